import math

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import binomtest, t

from reports.evaluation.wilson import (
    NORMAL,
    effective_number,
    mean_interval,
    score_interval,
    share_interval,
    wilson,
)


def wilson_of(share: float, trials: float) -> tuple[float, float]:
    """Wilson's interval as its textbook formula has it."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials)
    half *= math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return middle - half, middle + half


def test_wilson_s_interval_is_scipy_s() -> None:
    for hits, trials in ((0, 5), (3, 7), (160, 161), (9, 9)):
        found = wilson(np.asarray(hits / trials), np.asarray(trials))
        expected = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
        assert [float(bound) for bound in found] == pytest.approx([expected.low, expected.high])


def test_images_that_are_their_own_groups_have_the_plain_interval() -> None:
    hits = np.array([1, 1, 0, 1, 0, 1, 1, 1, 1])
    assert share_interval(np.arange(9), hits) == pytest.approx(wilson_of(7 / 9, 9))


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


def test_a_share_is_known_no_better_than_its_groups_allow() -> None:
    groups, hits = np.repeat(np.arange(10), 8), np.tile([1, 1, 1, 0], 20)
    assert share_interval(groups, hits) == pytest.approx(wilson_of(0.75, 10))


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


def test_a_mean_of_two_scores_adds_the_squares_of_their_distances() -> None:
    values, bounds = np.array([0.9, 0.5]), [(0.7, 0.95), (0.3, 0.8)]
    apart = csr_array(np.array([[0.1, 0.0], [-0.1, 0.0], [0.0, 0.2], [0.0, -0.2]]))
    low, high = mean_interval(values, bounds, apart)
    assert low == pytest.approx(0.7 - math.hypot(0.2, 0.2) / 2)
    assert high == pytest.approx(0.7 + math.hypot(0.05, 0.3) / 2)


def test_scores_that_rise_together_have_a_wider_mean_and_opposite_ones_no_narrower() -> None:
    values, bounds = np.array([0.9, 0.5]), [(0.7, 0.95), (0.3, 0.8)]
    moved = np.array([[0.1, 0.2], [-0.1, -0.2]])
    together = mean_interval(values, bounds, csr_array(moved))
    assert together == pytest.approx((0.7 - 0.4 / 2, 0.7 + 0.35 / 2))
    against = mean_interval(values, bounds, csr_array(moved * [1, -1]))
    assert against[0] == pytest.approx(0.7 - math.hypot(0.2, 0.2) / 2)


def test_a_constant_score_has_no_correlation() -> None:
    values, bounds = np.array([1.0, 0.5]), [(0.8, 1.0), (0.3, 0.7)]
    moved = csr_array(np.array([[0.0, 0.2], [0.0, -0.2]]))
    low, high = mean_interval(values, bounds, moved)
    assert (low, high) == pytest.approx((0.75 - math.hypot(0.2, 0.2) / 2, 0.85))


def test_classes_that_weigh_the_same_are_as_sure_as_their_harmonic_mean() -> None:
    groups, classes = np.arange(12), np.array([0] * 10 + [1] * 2)
    found = score_interval(0.5, np.zeros(12), groups, classes)
    assert found == pytest.approx(wilson_of(0.5, 4 / (1 / 10 + 1 / 2)))
