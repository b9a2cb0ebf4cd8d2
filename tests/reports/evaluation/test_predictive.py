"""Predictive values and likelihood ratios: by hand, by their formulas, and by simulation."""

import math
from typing import Any

import numpy as np
import pytest

from reports.evaluation.evaluate import evaluate
from reports.evaluation.intervals import share_interval, wilson
from reports.evaluation.predictive import Share, predictive_values, ratio
from reports.evaluation.sample import Sample
from reports.evaluation.sample_size import HALF_WIDTH, more_groups
from reports.evaluation.settings import EvaluationSettings
from tests.benchmarks.coverage import Ranks, covered, predictive_intervals
from tests.reports.evaluation.samples import clustered


def counted(
    found: int, missed: int, alarms: int, left: int, prevalence: float | None = None
) -> Any:
    """Give what so many answers are worth, each image a group of its own."""
    positive = np.repeat([True, True, False, False], [found, missed, alarms, left])
    flagged = np.repeat([True, False, True, False], [found, missed, alarms, left])
    shares = np.column_stack([1.0 - flagged, 1.0 * flagged])
    sample = Sample(("a", "b"), 1 * positive, 1 * flagged, shares, np.arange(len(positive)))
    return predictive_values(sample, flagged, positive, prevalence)


def test_the_table_of_altman_and_bland_has_their_predictive_values_and_likelihood_ratios() -> None:
    """Liver scans: 231 of 258 abnormal ones found, 32 of 86 normal ones flagged (BMJ 1994)."""
    point = counted(231, 27, 32, 54)
    assert point["sensitivity"] == pytest.approx(0.895, abs=5e-4)
    assert point["specificity"] == pytest.approx(0.628, abs=5e-4)
    assert point["prevalence"] == pytest.approx(258 / 344)
    assert point["ppv"] == pytest.approx(0.878, abs=5e-4)
    assert point["npv"] == pytest.approx(0.667, abs=5e-4)
    assert point["lr_positive"] == pytest.approx((231 / 258) / (32 / 86))
    assert point["lr_negative"] == pytest.approx((27 / 258) / (54 / 86))
    assert point["at_prevalence"] is None


def test_their_intervals_count_groups_and_are_those_of_shares() -> None:
    point, groups = counted(231, 27, 32, 54), np.arange(263)
    assert point["ppv_ci95"] == pytest.approx(share_interval(groups, groups < 231))
    assert point["npv_ci95"] == pytest.approx(share_interval(groups[:81], groups[:81] < 54))


def test_at_the_prevalence_of_the_test_part_bayes_gives_the_same_predictive_values() -> None:
    point = counted(231, 27, 32, 54, prevalence=258 / 344)
    assert point["at_prevalence"]["ppv"] == pytest.approx(point["ppv"])
    assert point["at_prevalence"]["npv"] == pytest.approx(point["npv"])


def test_at_a_quarter_they_are_those_that_altman_and_bland_compute() -> None:
    at = counted(231, 27, 32, 54, prevalence=0.25)["at_prevalence"]
    assert at["prevalence"] == 0.25
    assert (at["ppv"], at["npv"]) == pytest.approx((0.45, 0.95), abs=0.006)
    for name in ("ppv", "npv"):
        low, high = at[f"{name}_ci95"]
        assert low < at[name] < high
    ratios = counted(231, 27, 32, 54)["lr_positive_ci95"]
    assert at["ppv_ci95"] == pytest.approx([each / (each + 3) for each in ratios])


def test_the_interval_of_a_ratio_is_that_of_donner_and_zou() -> None:
    a, la, ua, b, lb, ub = 0.8, 0.7, 0.88, 0.2, 0.12, 0.33
    low = (a * b - math.sqrt((a * b) ** 2 - la * ub * (2 * a - la) * (2 * b - ub))) / (
        ub * (2 * b - ub)
    )
    high = (a * b + math.sqrt((a * b) ** 2 - ua * lb * (2 * a - ua) * (2 * b - lb))) / (
        lb * (2 * b - lb)
    )
    found = ratio(Share(a, (la, ua)), Share(b, (lb, ub)))
    assert found.value == pytest.approx(4)
    assert found.interval == pytest.approx((low, high))
    assert 2 < low < 4 < high < 8


def test_without_a_false_alarm_the_ratio_is_endless_and_its_lower_bound_is_known() -> None:
    point = counted(20, 5, 0, 25, prevalence=0.1)
    assert point["lr_positive"] == math.inf
    low, high = point["lr_positive_ci95"]
    assert 1 < low < 20
    assert high == math.inf
    assert point["at_prevalence"]["ppv"] == 1
    assert point["at_prevalence"]["ppv_ci95"] == pytest.approx([low / (low + 9), 1])


def test_what_is_undefined_is_nan_without_an_interval() -> None:
    nobody = counted(0, 0, 0, 0, prevalence=0.1)
    known = {name for name, value in nobody.items() if value == value and value is not None}
    assert known == {"at_prevalence"}
    assert math.isnan(nobody["at_prevalence"]["ppv"])
    assert nobody["at_prevalence"]["ppv_ci95"] is None
    never = counted(0, 5, 0, 5, prevalence=0.1)
    for name in ("ppv", "lr_positive"):
        assert math.isnan(never[name])
        assert never[f"{name}_ci95"] is None
    assert never["lr_negative"] == 1


def test_the_prevalence_asked_for_is_that_of_the_operating_point() -> None:
    table = clustered(["a", "none"], 30, seed=1)
    found = evaluate(table, EvaluationSettings(prevalence=0.02)).metrics["operating_point"]
    assert found["at_prevalence"]["prevalence"] == 0.02
    assert found["at_prevalence"]["ppv"] < found["ppv"]
    assert evaluate(table).metrics["operating_point"]["at_prevalence"] is None


def test_intervals_hold_the_truth() -> None:
    """The table in docs/coverage.md has ten times as many test parts."""
    part = Ranks(10, 10, (1, 3), 0.8, any_class=True)
    found = covered(part, predictive_intervals, part.predictive(), 100)
    assert all(share >= 0.9 for share in found.values()), found


# ---------------------------------------------------------------- how many more groups


def wilson_of(value: float, groups: int) -> list[float]:
    return [float(bound) for bound in wilson(np.asarray(value), np.asarray(groups))]


@pytest.mark.parametrize("value", [0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("groups", [20, 60, 150])
def test_with_so_many_more_groups_the_interval_is_about_as_narrow(
    value: float, groups: int
) -> None:
    found = more_groups(value, wilson_of(value, groups), groups)
    if not found:
        assert np.ptp(wilson_of(value, groups)) <= 2 * HALF_WIDTH
        return
    low, high = wilson_of(value, groups + found["groups"])
    assert high - low <= 2 * HALF_WIDTH
    if value < 0.9:  # nearer to 1 the middle of the interval is reckoned with
        assert high - low > 1.8 * HALF_WIDTH


def test_groups_that_say_less_than_one_image_each_take_more_of_them() -> None:
    full = more_groups(0.8, wilson_of(0.8, 60), 60)
    half = more_groups(0.8, wilson_of(0.8, 60), 120)
    assert full
    assert half
    assert half["groups"] == pytest.approx(2 * full["groups"], rel=0.1)


def test_an_interval_that_is_narrow_enough_or_undefined_takes_no_more() -> None:
    assert more_groups(0.8, [0.76, 0.84], 500) is None
    assert more_groups(math.nan, None, 0) is None
    # the middle of the interval is 0.7953: 1.96^2 0.7953 (1 - 0.7953) / 0.05^2 = 250.2
    assert more_groups(0.8, wilson_of(0.8, 240), 240) == {"half_width": 0.05, "groups": 11}
