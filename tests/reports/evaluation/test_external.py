"""The difference of two independent scores, and answers to images that both sides hold."""

import math

import numpy as np
import pandas as pd
import pytest

from reports.evaluation import external
from reports.evaluation.intervals import share_interval, wilson
from tests.reports.evaluation.samples import predictions


def test_squared_distances_of_the_bounds_add_up() -> None:
    low, high = external.difference_interval(0.8, [0.7, 0.84], 0.6, [0.56, 0.75])
    assert low == pytest.approx(-0.2 - math.hypot(0.04, 0.04))
    assert high == pytest.approx(-0.2 + math.hypot(0.15, 0.1))


def test_newcombes_example_is_reproduced() -> None:
    """His table II, example (a), method 10: 56 of 70 less 48 of 80, 0.0524 to 0.3339."""
    one, other = (
        [float(bound) for bound in wilson(np.asarray(share), np.asarray(n))]
        for share, n in ((48 / 80, 80), (56 / 70, 70))
    )
    low, high = external.difference_interval(48 / 80, one, 56 / 70, other)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_without_an_interval_on_both_sides_there_is_none_of_the_difference() -> None:
    assert math.isnan(external.difference_interval(0.8, None, 0.6, [0.5, 0.7])[0])
    rows = external.compare({"accuracy": 0.8, "accuracy_ci95": None}, {"accuracy": 0.6})
    found = {row["name"]: row for row in rows}
    assert found["accuracy"]["difference"] == pytest.approx(-0.2)
    assert math.isnan(found["accuracy"]["difference_ci95"][0])
    assert math.isnan(found["auroc"]["difference"]), "old files lack a score"


def test_means_over_other_classes_are_not_compared() -> None:
    one, other = ({"balanced_accuracy": v, "accuracy": v} for v in (0.65, 0.6))
    rows = external.compare(one, other, same_classes=False)
    found = {row["name"]: row for row in rows}
    assert found["balanced_accuracy"]["external"] == 0.6
    assert math.isnan(found["balanced_accuracy"]["difference"])
    assert found["accuracy"]["difference"] == pytest.approx(-0.05)
    lacking = {"external": ["b"], "internal": ["c"]}
    assert external.lacking(["a", "b", "a"], ["c", "a"]) == lacking


def test_the_interval_holds_a_true_difference_of_zero_as_often_as_it_says() -> None:
    """300 simulations of 25 and 50 groups of 3 images each, all of the same true share."""
    random, held = np.random.default_rng(7), 0
    for _ in range(300):
        sides = []
        for groups in (25, 50):
            chance = np.repeat(random.beta(3, 1, groups), 3)
            hits = random.random(3 * groups) < chance
            sides.append((hits.mean(), share_interval(np.repeat(np.arange(groups), 3), hits)))
        (one, its), (other, others) = sides
        low, high = external.difference_interval(one, its, other, others)
        held += low <= 0 <= high
    assert held >= 0.95 * 300


def manifest(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"path": names, "sha256": [name.split("/")[-1] for name in names]})


def test_images_of_both_sides_are_paired_by_their_bytes() -> None:
    old = predictions("ab", ["a", "b", "a"], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    new = predictions("ab", ["b", "a"], [[0.2, 0.8], [0.6, 0.4]])
    new["path"] = ["elsewhere/1.jpg", "elsewhere/9.jpg"]
    found = external.in_both(
        old, new, manifest(old["path"].tolist()), manifest(new["path"].tolist())
    )
    assert found is not None
    assert (found["n"], found["accuracy"], found["most_apart"]) == (1, [1.0, 1.0], 0.0)
    twice = manifest(old["path"].tolist()).assign(sha256="1.jpg")
    again = external.in_both(old, new, twice, manifest(new["path"].tolist()))
    assert again is not None
    assert again["n"] == 1, "of identical files one counts"
    other = manifest(["test/0.jpg", "test/7.jpg", "test/8.jpg"])
    assert external.in_both(old, new, other.assign(path=old["path"]), manifest(["x", "y"])) is None
