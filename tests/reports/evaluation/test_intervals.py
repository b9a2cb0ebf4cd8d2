import math

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from reports.arrays import BoolArray, IntArray
from reports.evaluation import intervals
from reports.evaluation.sample import Sample
from reports.evaluation.wilson import share_interval
from tests.benchmarks.coverage import (
    SHARES,
    SIZES,
    Answers,
    Means,
    Ranks,
    counted_intervals,
    covered,
    mean_interval,
    ranked_interval,
    share_covered,
)


def answered(true: IntArray, right: BoolArray, groups: IntArray | None = None) -> Sample:
    """Two classes, a wrong answer being the other one."""
    places = np.arange(len(true)) if groups is None else groups
    uniform = np.full((len(true), 2), 0.5)
    return Sample(("a", "b"), true, np.where(right, true, 1 - true), uniform, places)


def test_the_balanced_accuracy_of_a_constant_answer_has_the_recalls_own_distances() -> None:
    true = np.repeat([0, 1], 12)
    low, high = intervals.of_balanced_accuracy(answered(true, true == 0))
    edge = 1 - 12 / (12 + 1.959963984540054**2)
    assert (low, high) == pytest.approx((0.5 - edge / 2, 0.5 + edge / 2))


def test_a_class_of_one_group_makes_the_balanced_accuracy_unsure_and_not_undefined() -> None:
    true = np.array([0] * 20 + [1] * 4)
    groups = np.array([*range(20), 20, 20, 20, 20])
    low, high = intervals.of_balanced_accuracy(
        answered(true, np.array([True] * 20 + [True, True, False, False]), groups)
    )
    assert low < 0.5
    assert high == pytest.approx(1)


def test_one_group_alone_has_no_balanced_accuracy() -> None:
    true, one = np.array([0, 1, 1]), np.zeros(3, dtype=np.int64)
    right = np.array([True, False, True])
    assert math.isnan(intervals.of_balanced_accuracy(answered(true, right, one))[0])


def test_the_correlation_of_two_equal_classes_is_twice_the_accuracy_less_one() -> None:
    true = np.tile([0, 1], 20)
    sample = answered(true, np.arange(40) >= 8)
    value = float(matthews_corrcoef(sample.true, sample.predicted))
    assert value == pytest.approx(2 * 0.8 - 1)
    accuracy = share_interval(sample.groups, sample.right)
    found = intervals.of_mcc(sample, value)
    assert found == pytest.approx([2 * bound - 1 for bound in accuracy], abs=0.02)


def test_a_correlation_below_chance_has_an_interval_inside_its_range() -> None:
    true = np.tile([0, 1], 20)
    sample = answered(true, np.arange(40) < 4)
    low, high = intervals.of_mcc(sample, float(matthews_corrcoef(true, sample.predicted)))
    assert -1 <= low < -0.8 < high < 0


# ---------------------------------------------------------------- coverage


@pytest.mark.parametrize("groups", [23, 60, 161])
@pytest.mark.parametrize("sizes", SIZES)
def test_intervals_of_shares_hold_the_truth_as_often_as_they_say(
    groups: int, sizes: tuple[int, int]
) -> None:
    for share in SHARES:
        assert share_covered(groups, sizes, share, 1500) >= 0.93


@pytest.mark.parametrize(
    "part",
    [
        Answers(20, (0.95, 0.95), (1, 3)),
        Answers(20, (0.95, 0.95), (8, 8), "any class"),
        Answers(60, (0.95,) * 10, (1, 3), "any class"),
        Answers(20, (0.9, 0.6), (1, 3), "one class, 5 the first"),
    ],
)
def test_intervals_of_scores_over_the_classes_hold_the_truth(part: Answers) -> None:
    found = covered(part, counted_intervals, part.truth(), 200)
    margin = 0.03  # of 200 test parts
    assert found["balanced_accuracy"] >= 0.93 - margin
    assert min(found.values()) >= 0.90 - margin


@pytest.mark.parametrize("groups", [8, 20, 60])
@pytest.mark.parametrize("auroc", [0.8, 0.97])
def test_intervals_of_the_auroc_hold_the_truth(groups: int, auroc: float) -> None:
    part = Ranks(groups, 2 * groups, (8, 8), auroc)
    assert covered(part, ranked_interval, {"auroc": auroc}, 200)["auroc"] >= 0.92


@pytest.mark.parametrize("apart", [1, 3])
def test_intervals_of_the_mean_auroc_hold_the_truth_and_say_something(apart: float) -> None:
    part = Means(5, 40, (1, 3), apart)
    assert covered(part, mean_interval, part.truth(), 200)["auroc"] >= 0.92
    low, high = mean_interval(part.sample(np.random.default_rng(1)))["auroc"]
    assert high - low < 0.2
