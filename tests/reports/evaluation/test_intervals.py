import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import binomtest, t
from sklearn.metrics import matthews_corrcoef

from reports.arrays import BoolArray, FloatArray, IntArray
from reports.evaluation import intervals
from reports.evaluation.intervals import (
    NORMAL,
    effective_number,
    mean_interval,
    score_interval,
    share_interval,
    wilson,
)
from reports.evaluation.sample import Sample, read_sample
from tests.benchmarks import coverage
from tests.reports.evaluation.samples import clustered, computed, of_classes


def wilson_of(share: float, trials: float) -> tuple[float, float]:
    """Wilson's interval as its textbook formula has it."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials)
    half *= math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return middle - half, middle + half


# ---------------------------------------------------------------- of shares


def test_wilson_s_interval_is_scipy_s_and_that_of_images_that_are_their_own_groups() -> None:
    for hits, trials in ((0, 5), (3, 7), (160, 161), (9, 9)):
        found = wilson(np.asarray(hits / trials), np.asarray(trials))
        expected = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
        assert [float(bound) for bound in found] == pytest.approx([expected.low, expected.high])
    own = np.array([1, 1, 0, 1, 0, 1, 1, 1, 1])
    assert share_interval(np.arange(9), own) == pytest.approx(wilson_of(7 / 9, 9))


def test_the_design_effect_of_three_groups_is_that_of_the_hand() -> None:
    # Groups of 4, 2 and 2 images with 3, 1 and 2 right: the share is 6 / 8.
    groups = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    hits = np.array([1, 1, 1, 0, 1, 0, 1, 1])
    # right - 0.75 images: 0, -0.5, 0.5; their squares over 8 squared, times 3 / 2 groups
    variance = 3 / 2 * (0.25 + 0.25) / 64
    independent = 0.75 * 0.25 / 7
    student = t.ppf(0.975, 7) / t.ppf(0.975, 2)
    number = 8 * independent / variance * student**2
    assert number == pytest.approx(5.5223, abs=1e-3)
    assert share_interval(groups, hits) == pytest.approx(wilson_of(0.75, min(3, number)))
    found = effective_number(*map(np.asarray, (0.75, variance, 8, 2, math.inf)))
    assert float(found) == pytest.approx(number)


@pytest.mark.parametrize(("value", "groups"), [(0, 5), (1, 5), (1, 1), (0, 300)])
def test_a_share_of_0_or_1_is_as_sure_as_its_groups(value: int, groups: int) -> None:
    images = np.repeat(np.arange(groups), 8)
    low = groups / (groups + NORMAL**2)
    found = share_interval(images, np.full(len(images), value))
    assert found == pytest.approx((low, 1) if value else (0, 1 - low))


def test_a_score_is_known_no_better_than_its_groups_allow() -> None:
    groups, hits = np.repeat(np.arange(10), 8), np.tile([1, 1, 1, 0], 20)
    assert share_interval(groups, hits) == pytest.approx(wilson_of(0.75, 10))
    classes = np.array([0] * 10 + [1] * 2)  # which weigh the same: the harmonic mean counts
    found = score_interval(0.5, np.zeros(12), np.arange(12), classes)
    assert found == pytest.approx(wilson_of(0.5, 4 / (1 / 10 + 1 / 2)))


def test_images_without_units_do_not_count() -> None:
    groups, units = np.array([0, 1, 2, 3, 4, 9, 9]), np.array([2, 1, 1, 2, 2, 0, 0])
    hits = np.array([2, 0, 1, 2, 0, 0, 0])
    assert share_interval(groups, hits, units) == share_interval(groups[:5], hits[:5], units[:5])
    assert share_interval(groups, hits, units)[0] > 0


def test_nothing_is_said_of_one_group_or_of_nothing() -> None:
    one = np.zeros(4, dtype=np.int64)
    assert math.isnan(share_interval(one, np.array([1, 1, 0, 1]))[0])
    assert math.isnan(share_interval(one, np.zeros(4), np.zeros(4))[0])
    assert math.isnan(share_interval(one[:0], np.zeros(0))[0])
    assert math.isnan(score_interval(math.nan, np.zeros(4), one)[0])


def test_intervals_never_leave_0_to_1_and_hold_their_score() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        groups = rng.integers(rng.integers(2, 9), size=12)
        hits = rng.random(12) < rng.random()
        low, high = share_interval(groups, hits)
        if len(np.unique(groups)) > 1:
            assert 0 <= low <= hits.mean() <= high <= 1


# ---------------------------------------------------------------- of means

APART, TOGETHER = [[0.1, 0], [-0.1, 0], [0, 0.2], [0, -0.2]], [[0.1, 0.2], [-0.1, -0.2]]


@pytest.mark.parametrize(
    ("moved", "low", "high"),
    [
        (APART, math.hypot(0.2, 0.2), math.hypot(0.05, 0.3)),
        (TOGETHER, 0.4, 0.35),
        ([[0.1, -0.2], [-0.1, 0.2]], math.hypot(0.2, 0.2), math.hypot(0.05, 0.3)),
        ([[0.0, 0.2], [0.0, -0.2]], math.hypot(0.2, 0.2), math.hypot(0.05, 0.3)),
    ],
    ids=["squares add up", "rising together is wider", "opposite is no narrower", "constant"],
)
def test_a_mean_of_two_scores_combines_their_distances(
    moved: list[list[float]], low: float, high: float
) -> None:
    values, bounds = np.array([0.9, 0.5]), [(0.7, 0.95), (0.3, 0.8)]
    found = mean_interval(values, bounds, csr_array(np.array(moved)))
    assert found == pytest.approx((0.7 - low / 2, 0.7 + high / 2))


# ---------------------------------------------------------------- of scores over the classes


def answered(true: IntArray, right: BoolArray, groups: IntArray | None = None) -> Sample:
    """Two classes, a wrong answer being the other one."""
    own = np.arange(len(true)) if groups is None else groups
    uniform = np.full((len(true), 2), 0.5)
    return Sample(("a", "b"), true, np.where(right, true, 1 - true), uniform, own)


def test_the_balanced_accuracy_of_a_constant_answer_has_the_recalls_own_distances() -> None:
    true = np.repeat([0, 1], 12)
    low, high = intervals.of_balanced_accuracy(answered(true, true == 0))
    edge = 1 - 12 / (12 + NORMAL**2)
    assert (low, high) == pytest.approx((0.5 - edge / 2, 0.5 + edge / 2))


def test_a_class_of_one_group_makes_the_balanced_accuracy_unsure_and_one_group_undefined() -> None:
    true, right = np.array([0] * 20 + [1] * 4), np.array([True] * 22 + [False] * 2)
    low, high = intervals.of_balanced_accuracy(
        answered(true, right, np.array([*range(20), 20, 20, 20, 20]))
    )
    assert low < 0.5
    assert high == pytest.approx(1)
    one = answered(true, right, np.zeros(24, dtype=np.int64))
    assert math.isnan(intervals.of_balanced_accuracy(one)[0])


def test_the_correlation_of_two_equal_classes_is_twice_the_accuracy_less_one() -> None:
    true = np.tile([0, 1], 20)
    sample = answered(true, np.arange(40) >= 8)
    value = float(matthews_corrcoef(sample.true, sample.predicted))
    assert value == pytest.approx(2 * 0.8 - 1)
    accuracy = share_interval(sample.groups, sample.right)
    found = intervals.of_mcc(sample, value)
    assert found == pytest.approx([2 * bound - 1 for bound in accuracy], abs=0.02)
    below = answered(true, np.arange(40) < 4)
    low, high = intervals.of_mcc(below, float(matthews_corrcoef(true, below.predicted)))
    assert -1 <= low < -0.8 < high < 0


# ---------------------------------------------------------------- influences

STEP = 1e-6


def alone(seed: int) -> Sample:
    """A sample of three classes, one more that is only predicted, each image its own group."""
    table = clustered(["a", "b", "c"], 12, seed).assign(p_d=0.01)
    table.loc[3, "predicted"] = "d"
    found = read_sample(table, ["a", "b", "c", "d"])
    ties = np.round(found.probabilities, 1)
    return Sample(found.classes, found.true, found.predicted, ties, np.arange(len(found)))


def slopes(sample: Sample, score: Callable[[FloatArray], float]) -> list[float]:
    """Give how a score changes with one image counted a little more and less, for each image."""
    found = []
    for image in range(len(sample)):
        weights = np.ones((2, len(sample)))
        weights[:, image] += (STEP, -STEP)
        more, less = (score(row[np.newaxis]) for row in weights)
        found.append((more - less) / (2 * STEP))
    return found


@pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "mcc"])
def test_an_influence_is_the_slope_of_the_score(name: str) -> None:
    sample = alone(seed=1)
    expected = slopes(sample, lambda weights: float(computed(sample, weights)[name][0]))
    found = getattr(intervals, f"{name}_influence")(sample)
    assert found.tolist() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", ["recall", "auroc"])
@pytest.mark.parametrize("index", range(3))
def test_an_influence_on_a_class_is_the_slope_of_its_score(name: str, index: int) -> None:
    sample = alone(seed=2)
    expected = slopes(sample, lambda weights: float(of_classes(sample, weights)[name][0, index]))
    if name == "auroc":
        found = intervals.auroc_influence(sample, index)
    else:
        found = np.where(sample.true == index, intervals.recall_influence(sample), 0)
    assert found.tolist() == pytest.approx(expected, abs=1e-8)
    assert found.sum() == pytest.approx(0, abs=1e-12)


# ---------------------------------------------------------------- coverage


@pytest.mark.parametrize("groups", [23, 60, 161])
@pytest.mark.parametrize("sizes", coverage.SIZES)
def test_intervals_of_shares_hold_the_truth_as_often_as_they_say(
    groups: int, sizes: tuple[int, int]
) -> None:
    for share in coverage.SHARES:
        assert coverage.share_covered(groups, sizes, share, 1500) >= 0.93


@pytest.mark.parametrize(
    "part",
    [
        coverage.Answers(20, (0.95, 0.95), (1, 3)),
        coverage.Answers(20, (0.95, 0.95), (8, 8), "any class"),
        coverage.Answers(60, (0.95,) * 10, (1, 3), "any class"),
        coverage.Answers(20, (0.9, 0.6), (1, 3), "one class, 5 the first"),
    ],
)
def test_intervals_of_scores_over_the_classes_hold_the_truth(part: coverage.Answers) -> None:
    found = coverage.covered(part, coverage.counted_intervals, part.truth(), 200)
    margin = 0.03  # of 200 test parts
    assert found["balanced_accuracy"] >= 0.93 - margin
    assert min(found.values()) >= 0.90 - margin


@pytest.mark.parametrize("groups", [8, 20, 60])
@pytest.mark.parametrize("auroc", [0.8, 0.97])
def test_intervals_of_the_auroc_hold_the_truth(groups: int, auroc: float) -> None:
    part = coverage.Ranks(groups, 2 * groups, (8, 8), auroc)
    covered = partial(coverage.covered, part, coverage.ranked_interval)
    assert covered({"auroc": auroc}, 200)["auroc"] >= 0.92


@pytest.mark.parametrize("apart", [1, 3])
def test_intervals_of_the_mean_auroc_hold_the_truth_and_say_something(apart: float) -> None:
    part = coverage.Means(5, 40, (1, 3), apart)
    found = coverage.covered(part, coverage.mean_interval, part.truth(), 200)
    assert found["auroc"] >= 0.92
    low, high = coverage.mean_interval(part.sample(np.random.default_rng(1)))["auroc"]
    assert high - low < 0.2
