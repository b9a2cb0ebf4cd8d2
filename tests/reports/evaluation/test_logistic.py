"""Calibration slope and intercept: against statsmodels, by their definition, and by simulation.

The values of statsmodels 0.15 are those of this program, where `odds`, `true` and `groups` are
those of `answers`:

    import statsmodels.api as sm
    from scipy.interpolate import CubicSpline

    binomial = {"family": sm.families.Binomial()}
    by_group = {"cov_type": "cluster", "cov_kwds": {"groups": groups, "use_correction": False}}
    line = sm.GLM(true, sm.add_constant(odds), **binomial).fit(**by_group)
    shift = sm.GLM(true, np.ones((113, 1)), offset=odds, **binomial).fit(**by_group)
    print(line.params, line.bse, shift.params, shift.bse)

    knots = np.quantile(odds, (0.1, 0.5, 0.9))

    def basis(x):  # the natural cubic splines that are 1 at one knot, with lines beyond the last
        columns = []
        for row in np.eye(3):
            spline = CubicSpline(knots, row, bc_type="natural")
            inside = np.clip(x, knots[0], knots[-1])
            columns.append(spline(inside) + spline(inside, 1) * (x - inside))
        return np.column_stack(columns)

    smooth = sm.GLM(true, basis(odds), **binomial).fit()
    print(smooth.predict(basis(np.array([odds.min(), -1, 0, 1, odds.max()]))))
"""

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from reports.arrays import FloatArray, IntArray
from reports.evaluation.calibration import calibrated
from reports.evaluation.calibration_curve import calibration_curve, class_reliability, spline
from reports.evaluation.logistic import (
    LEAST_SHARE,
    Fit,
    fit,
    fit_line,
    likeliest,
    log_odds,
)
from reports.evaluation.sample import Sample
from tests.benchmarks.coverage import Ranks, covered, recalibrated_intervals

LINE, LINE_ERRORS = [0.42605203720837087, 0.7755561088864003], [0.2502999037127179, 0.1423798578]
SHIFT, SHIFT_ERROR = 0.5047606736098833, 0.268603746797692
CURVE = [0.08614173213923447, 0.3933113827162355, 0.5839093027654809, 0.7778807888765651]
CURVE += [0.9578129991753507]


def answers() -> tuple[FloatArray, IntArray, IntArray]:
    """Draw log odds, truth and groups of 113 images of 40 groups."""
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(40), rng.integers(1, 5, 40))
    count = len(groups)
    odds = np.round(1.5 * rng.normal(size=40)[groups] + rng.normal(size=count), 3)
    true = rng.random(count) < 1 / (1 + np.exp(-(0.3 + 0.7 * odds)))
    return odds, true.astype(np.int64), groups


def sample(name: str = "b") -> Sample:
    """Make a sample of two classes from them; the log odds are those of this class."""
    odds, true, groups = answers()
    shares = np.column_stack([expit(-odds), expit(odds)])
    names = ("a", "b") if name == "b" else ("b", "a")
    return Sample(names, true, shares.argmax(axis=1), shares, groups)


def both() -> tuple[Fit, Fit]:
    odds, true, groups = answers()
    found = fit_line(odds, true == 1, groups, np.ones(len(odds)))
    assert found.line
    assert found.shift
    return found.line, found.shift


def errors(design: FloatArray, shares: FloatArray, power: float) -> FloatArray:
    """Write the sandwich out: residuals of a group times (1 - H) to a power, by dense matrices."""
    _, true, groups = answers()
    spread = shares * (1 - shares)
    bread = np.linalg.inv((design.T * spread) @ design)
    meat = np.zeros_like(bread)
    for group in range(groups.max() + 1):
        rows = groups == group
        root = np.sqrt(spread[rows])[:, np.newaxis]
        hat = root * (design[rows] @ bread @ design[rows].T) * root.T
        lengths, axes = np.linalg.eigh(np.eye(len(hat)) - hat)
        residuals = (true - shares)[rows] / root[:, 0]
        score = (design[rows] * root).T @ (axes @ ((axes.T @ residuals) * lengths**power))
        meat += np.outer(score, score)
    return np.asarray(np.sqrt(np.diag(bread @ meat @ bread)))


def test_slope_and_intercept_are_statsmodels() -> None:
    line, shift = both()
    assert line.coefficients.tolist() == pytest.approx(LINE, abs=1e-8)
    assert shift.coefficients.tolist() == pytest.approx([SHIFT], abs=1e-8)
    found = sample().calibration_lines[1]
    assert (found.slope, found.intercept) == pytest.approx((LINE[1], SHIFT))


def test_the_variance_is_the_sandwich_of_statsmodels_corrected_for_few_groups() -> None:
    odds, _, _ = answers()
    ones = np.ones((len(odds), 1))
    designs = np.column_stack([ones, odds]), ones
    offsets = np.zeros(len(odds)), odds
    plain = (LINE_ERRORS, [SHIFT_ERROR])
    for found, design, offset, expected in zip(both(), designs, offsets, plain, strict=True):
        shares = expit(design @ found.coefficients + offset)
        assert errors(design, shares, 0).tolist() == pytest.approx(expected, abs=1e-7)
        corrected = np.sqrt((found.moved**2).sum(axis=0))
        assert corrected.tolist() == pytest.approx(errors(design, shares, -0.5).tolist())


def test_the_interval_is_student_s_with_as_many_groups_as_count() -> None:
    """Of groups of one image that weigh the same, t has a degree of freedom less than groups."""
    weights = np.ones((20, 1))
    alone = Fit(np.array([1.0]), np.full((20, 1), 0.1), 0.1 * weights)
    assert alone.half_widths(np.ones((1, 1)))[0] == pytest.approx(2.0930 * 0.1 * 20**0.5, rel=1e-4)
    weights[0] = 10  # one group weighs as much as a hundred others
    uneven = Fit(np.array([1.0]), np.full((20, 1), 1.0), weights)
    freedom = max(1.0, (119**2) / (10**4 + 19) - 1)
    assert freedom == 1
    assert uneven.half_widths(np.ones((1, 1)))[0] == pytest.approx(
        12.7062 * math.sqrt(LEAST_SHARE * 119), rel=1e-4
    )


def test_log_odds_that_are_twice_as_great_have_half_the_slope_and_a_shifted_one_its_intercept() -> (
    None
):
    odds, true, groups = answers()
    ones = np.ones(len(odds))
    found, twice, moved = (
        fit_line(each, true == 1, groups, ones) for each in (odds, 2 * odds, odds + 1)
    )
    assert twice.slope == pytest.approx(found.slope / 2)
    assert [b / 2 for b in found.slope_interval] == pytest.approx(list(twice.slope_interval))
    assert moved.slope == pytest.approx(found.slope)
    assert moved.intercept == pytest.approx(found.intercept - 1)


def test_of_two_classes_both_have_one_slope_and_opposite_intercepts() -> None:
    one, other = (sample().calibration_lines[index] for index in (0, 1))
    assert one.slope == pytest.approx(other.slope)
    assert one.intercept == pytest.approx(-other.intercept)
    low, high = one.intercept_interval
    assert other.intercept_interval == pytest.approx((-high, -low))


def test_an_image_that_counts_twice_is_as_good_as_two() -> None:
    odds, true, _ = answers()
    counted = np.where(np.arange(len(odds)) % 3 == 0, 2.0, 1.0)
    rows = np.repeat(np.arange(len(odds)), counted.astype(int))
    design, start = np.column_stack([np.ones(len(odds)), odds]), np.zeros(len(odds))
    weighted = likeliest(design, true == 1, start, counted)
    repeated = likeliest(design[rows], true[rows] == 1, start[rows], np.ones(len(rows)))
    assert weighted == pytest.approx(repeated)


def test_what_separates_and_too_few_groups_have_no_slope() -> None:
    groups, ones = np.arange(20), np.ones(20)
    hits = groups >= 10
    apart = fit_line(groups.astype(np.float64), hits, groups, ones)
    touching = fit_line((groups - hits).astype(np.float64), hits, groups, ones)  # in 9
    few = fit_line(np.tile(np.arange(4, dtype=np.float64), 5), groups % 5 == 0, groups, ones)
    for found in (apart, touching, few):
        assert math.isnan(found.slope)
        assert math.isnan(found.intercept)
        assert np.isnan(found.slope_interval).all()
        assert np.isnan(found.intercept_interval).all()
    assert fit(np.ones((20, 1)), np.ones(20, dtype=bool), groups, ones) is None


def test_probabilities_of_0_and_1_have_finite_log_odds_and_sure_ones_are_not_rounded() -> None:
    shares = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1e-20], [0.3, 0.7]])
    found = log_odds(shares, 0)
    assert np.isfinite(found).all()
    assert found[2] == pytest.approx(20 * math.log(10))
    assert found[3] == pytest.approx(math.log(3 / 7))


@pytest.mark.parametrize("groups", [10, 30])
def test_intervals_of_slope_and_intercept_and_the_curve_s_band_hold_the_truth(groups: int) -> None:
    """The table in docs/coverage.md has ten times as many test parts."""
    part = Ranks(groups, groups, (1, 3), 0.8, any_class=True)
    truth = {"slope": 1.0, "intercept": 0.0, "0.2": 0.2, "0.5": 0.5, "0.8": 0.8}
    found = covered(part, recalibrated_intervals, truth, 150)
    assert all(0.9 <= share <= 1 for share in found.values()), found


# ---------------------------------------------------------------- the smooth curve


def test_the_curve_is_the_spline_that_statsmodels_fits() -> None:
    odds, _, _ = answers()
    table = calibration_curve(sample(), "b", None)
    assert list(table) == ["when", "class", "probability", "observed", "low", "high"]
    assert set(table["when"]) == {"before"}
    assert set(table["class"]) == {"b"}
    ends = table["observed"].iloc[[0, -1]].tolist()
    assert ends == pytest.approx([CURVE[0], CURVE[-1]])
    assert table["probability"].iloc[[0, -1]].tolist() == pytest.approx(
        expit([odds.min(), odds.max()]).tolist()
    )
    inner = np.interp(expit([-1, 0, 1]), table["probability"], table["observed"])
    assert inner.tolist() == pytest.approx(CURVE[1:-1], abs=2e-4)
    assert ((table["low"] < table["observed"]) & (table["observed"] < table["high"])).all()


def test_a_spline_is_a_line_beyond_its_knots_and_bends_smoothly_between() -> None:
    places = np.linspace(-4, 4, 801)
    columns = spline(places, np.array([-1.0, 0.0, 0.5, 2.0]))
    assert columns.shape == (801, 4)
    bends = np.diff(columns, 2, axis=0)
    outside = (places[1:-1] < -1.01) | (places[1:-1] > 2.01)
    assert np.abs(bends[outside]).max() < 1e-10
    assert np.abs(np.diff(bends, axis=0)).max() < 1e-4, "its curvature has no steps"
    assert spline(places, np.array([0.0, 0.0, 1.0])).shape == (801, 2)


def test_of_more_classes_the_curve_is_about_the_answer_and_none_where_groups_are_few() -> None:
    rng = np.random.default_rng(2)
    shares = rng.dirichlet(np.ones(3), 60)
    true = np.array([rng.choice(3, p=row) for row in shares])
    three = Sample(("a", "b", "c"), true, shares.argmax(axis=1), shares, np.arange(60))
    table = calibration_curve(three, None, np.full(60, 2.0))
    assert set(table["class"]) == {""}
    before, after = (table[table["when"] == when] for when in ("before", "after"))
    assert before["probability"].iloc[-1] == pytest.approx(shares.max())
    assert after["probability"].iloc[-1] == pytest.approx(calibrated(shares, 2.0).max())
    assert class_reliability(three, None, None).empty
    few = Sample(("a", "b", "c"), true, true, shares, np.arange(60))
    assert calibration_curve(few, None, None).empty, "no answer is wrong"


def test_the_bins_of_a_class_count_its_images_by_its_probability() -> None:
    shares = np.array([0.03, 0.05, 0.5, 0.95, 0.99, 0.96])
    true = np.array([0, 1, 1, 1, 1, 0])
    both_shares = np.column_stack([1 - shares, shares])
    two = Sample(("a", "b"), true, both_shares.argmax(axis=1), both_shares, np.arange(6))
    table = class_reliability(two, "b", None)
    assert list(table)[:2] == ["class", "when"]
    filled = table[table["n"] > 0]
    assert filled["n"].tolist() == [2, 1, 3]
    assert filled["confidence"].tolist() == pytest.approx([0.04, 0.5, (0.95 + 0.99 + 0.96) / 3])
    assert filled["accuracy"].tolist() == pytest.approx([1 / 2, 1, 2 / 3])
    other = class_reliability(two, "a", None)
    assert other[other["n"] > 0]["accuracy"].tolist() == pytest.approx([1 / 3, 0, 1 / 2])
    assert logit(filled["low"].iloc[1]) < 0 < filled["high"].iloc[1]
