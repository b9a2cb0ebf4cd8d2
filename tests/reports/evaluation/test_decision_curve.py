"""The net benefit: against dcurves, by hand, and by simulation.

The values of dcurves 1.1.7 (with pandas 2.3) are those of

    import dcurves
    table = pd.DataFrame({"true": true, "p": scipy.special.expit(odds)})
    print(dcurves.dca(table, "true", ["p"], thresholds=[0.05, 0.2, 0.5, 0.8]))

where `odds` and `true` are those of `answers`.
"""

import math

import numpy as np
import pytest

from reports.evaluation.decision_curve import benefit_interval, net_benefit
from reports.evaluation.intervals import NORMAL
from reports.evaluation.sample import Sample
from tests.benchmarks.coverage import Ranks, benefit_intervals, covered
from tests.reports.evaluation.test_logistic import sample

DCURVES = {
    0.05: (0.511411, 0.506288),
    0.20: (0.404867, 0.413717),
    0.50: (0.221239, 0.061947),
    0.80: (0.088496, -1.345133),
}
"""By threshold, the net benefit of acting on the answers and on every image."""


def test_the_net_benefit_is_that_of_dcurves() -> None:
    table = net_benefit(sample(), "b", None)
    assert list(table) == ["class", "threshold", "net_benefit", "low", "high", "treat_all"]
    assert len(table) == 99
    for threshold, expected in DCURVES.items():
        row = table[np.isclose(table["threshold"], threshold)].iloc[0]
        assert (row["net_benefit"], row["treat_all"]) == pytest.approx(expected, abs=1e-6)
    assert ((table["low"] <= table["net_benefit"]) & (table["net_benefit"] <= table["high"])).all()


def test_probabilities_are_those_after_the_temperature() -> None:
    found = sample()
    odds = np.log(found.probabilities[:, 1] / found.probabilities[:, 0]) / 2
    shares = np.column_stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))])
    cooled = Sample(found.classes, found.true, found.predicted, shares, found.groups)
    expected, table = (
        net_benefit(cooled, "b", None),
        net_benefit(found, "b", np.full(len(found), 2.0)),
    )
    assert table["net_benefit"].tolist() == pytest.approx(expected["net_benefit"].tolist())


def test_without_a_positive_class_or_an_image_there_is_no_curve() -> None:
    nobody = Sample(("a", "b"), *(np.zeros(0, dtype=int),) * 2, np.zeros((0, 2)), np.zeros(0, int))
    for table in (net_benefit(sample(), None, None), net_benefit(nobody, "b", None)):
        assert table.empty
        assert "treat_all" in table


def five() -> Sample:
    true = np.array([1, 1, 1, 0, 0])
    shares = np.array([0.9, 0.8, 0.3, 0.2, 0.1])
    both = np.column_stack([1 - shares, shares])
    return Sample(("a", "b"), true, both.argmax(axis=1), both, np.arange(5))


def test_where_no_false_alarm_is_left_there_may_be_one_yet() -> None:
    """Two of five are found, none wrongly: the bounds are those of the two shares by Wilson."""
    found = five()
    flagged, hits = found.probabilities[:, 1] >= 0.5, found.true == 1
    low, high = benefit_interval(found, flagged, hits, weight=1.0)
    most_alarms = NORMAL**2 / (5 + NORMAL**2)
    assert (low, high) == pytest.approx(
        (0.4 - math.hypot(0.4 - 0.1176, most_alarms), 0.7693), abs=1e-4
    )
    harder, _ = benefit_interval(found, flagged, hits, weight=9.0)
    assert harder == pytest.approx(0.4 - math.hypot(0.4 - 0.1176, 9 * most_alarms), abs=1e-4)


def test_images_of_one_group_have_no_band() -> None:
    found = five()
    alone = Sample(found.classes, found.true, found.predicted, found.probabilities, 0 * found.true)
    assert net_benefit(alone, "b", None)[["low", "high"]].isna().all(axis=None)


def test_bands_hold_the_truth() -> None:
    """The table in docs/coverage.md has ten times as many test parts."""
    part = Ranks(10, 10, (1, 3), 0.8, any_class=True)
    found = covered(part, benefit_intervals, part.benefits(), 100)
    assert all(share >= 0.9 for share in found.values()), found
