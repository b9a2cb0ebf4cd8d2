"""Recalibration: what is fitted, that it is measured on others, and what it would change."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from reports.arrays import FloatArray
from reports.evaluation import recalibration
from reports.evaluation.recalibration import Recalibration
from reports.evaluation.sample import Sample, read_sample
from tests.reports.evaluation.samples import predictions

CLASSES = ("a", "b", "c")


def distorted(count: int, slope: float, intercepts: FloatArray, seed: int = 0) -> Sample:
    """Draw images whose true chances are those of `slope` and `intercepts`, one group each."""
    random = np.random.default_rng(seed)
    logs = random.normal(0, 2, (count, len(intercepts)))
    chances = softmax(slope * np.log(softmax(logs, axis=1)) + intercepts, axis=1)
    true = (random.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    names = CLASSES[: len(intercepts)]
    shares = softmax(logs, axis=1).tolist()
    return read_sample(predictions(names, [names[k] for k in true], shares), names)


def fitted(sample: Sample, *, with_slope: bool = True) -> Recalibration:
    found = recalibration.fit(sample.probabilities, sample.true, with_slope=with_slope)
    assert found is not None
    return found


def test_of_two_classes_it_is_logistic_regression_on_the_logit() -> None:
    sample = distorted(300, 0.5, np.array([0.0, 1.0]))
    logit = np.log(sample.probabilities[:, 1] / sample.probabilities[:, 0])
    known = LogisticRegression(C=np.inf, tol=1e-8).fit(logit[:, None], sample.true)
    found = fitted(sample)
    assert found.slope == pytest.approx(known.coef_[0, 0], abs=1e-3)
    assert found.intercepts == pytest.approx([0, known.intercept_[0]], abs=1e-3)


@pytest.mark.parametrize("with_slope", [False, True])
def test_after_it_the_mean_probability_of_each_class_is_its_share(with_slope: bool) -> None:
    sample = distorted(400, 0.6, np.array([0.0, 1.0, -1.0]))
    found = fitted(sample, with_slope=with_slope)
    after = recalibration.recalibrate(sample.probabilities, found)
    assert after.mean(axis=0) == pytest.approx(np.bincount(sample.true) / 400, abs=1e-4)
    assert (found.slope == 1.0) is not with_slope


def test_a_class_that_is_not_there_keeps_its_odds_to_the_first() -> None:
    two = distorted(200, 1.0, np.array([0.0, 1.0, 0.0]))
    rows = two.true < 2
    by = recalibration.fit(two.probabilities[rows], two.true[rows], with_slope=False)
    assert by is not None
    assert by.intercepts[[0, 2]].tolist() == [0, 0]


def test_answers_without_a_mistake_have_no_best_slope() -> None:
    true = np.arange(40) % 2
    shares = np.where(np.eye(2)[true] > 0, 0.8, 0.2)
    assert recalibration.fit(shares, true, with_slope=True) is None


def test_no_image_has_a_say_in_its_own_recalibration(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = distorted(100, 0.5, np.array([0.0, 1.0]))
    parts = np.arange(100) % 5
    monkeypatch.setattr(recalibration, "parts_of", lambda _: parts)
    some = (parts == 2) & (np.arange(100) < 20)
    turned = replace(sample, true=np.where(some, 1 - sample.true, sample.true))
    one, other = (recalibration.cross_fitted(each, with_slope=True) for each in (sample, turned))
    assert one is not None
    assert other is not None
    same = (one.probabilities == other.probabilities).all(axis=1)
    assert same.tolist() == (parts == 2).tolist()


def test_groups_are_dealt_out_whole_and_each_class_to_all_parts() -> None:
    true = ["a"] * 20 + ["b"] * 10
    groups = [f"g{place // 2}" for place in range(30)]
    table = predictions(["a", "b"], true, [[0.6, 0.4]] * 30, groups)
    parts = recalibration.parts_of(read_sample(table, ["a", "b"]))
    assert np.bincount(parts[:10]).tolist() == [2] * 5
    assert np.bincount(parts[10:]).tolist() == [1] * 5


def test_distorted_probabilities_gain_and_good_ones_do_not_clearly() -> None:
    known = {"temperature": 2.0, "positive": "b", "threshold": 0.5}
    bad, good = (
        recalibration.measure(distorted(150, slope, np.array([0.0, shift])), known)
        for slope, shift in ((0.4, 1.5), (1.0, 0.0))
    )
    assert [row["name"] for row in bad["methods"]] == [
        "as it is", "intercept alone", "intercept and slope",
    ]  # fmt: skip
    assert all(row["gain_ci95"][0] > 0 for row in bad["methods"][1:])
    both = bad["methods"][2]
    assert both["slope"] == pytest.approx(0.4, abs=0.2)
    assert both["gain"] == pytest.approx(bad["methods"][0]["log_loss"] - both["log_loss"])
    assert both["would_be"]["temperature"] == pytest.approx(2.0 / both["slope"])
    assert good["methods"][2]["gain_ci95"][0] < 0


def test_the_threshold_for_calibration_json_answers_as_the_recalibrated_probability() -> None:
    by = Recalibration(0.7, np.array([0.0, -0.8]))
    known = {"temperature": 1.5, "positive": "b", "threshold": 0.3}
    found = recalibration.would_be(by, ("a", "b"), known)
    logit = np.linspace(-4, 4, 200)  # of the model's own probability, at temperature 1
    calibrated = np.stack([expit(-logit / 1.5), expit(logit / 1.5)], axis=1)
    wanted = recalibration.recalibrate(calibrated, by)[:, 1] >= 0.3
    assert (expit(logit / found["temperature"]) >= found["threshold"]).tolist() == wanted.tolist()
    assert 0 < wanted.sum() < 200


def test_of_more_classes_no_threshold_stands_for_the_intercepts() -> None:
    by = Recalibration(0.5, np.array([0.0, 1.0, 2.0]))
    assert recalibration.would_be(by, CLASSES, {"temperature": 1.0}) == {
        "temperature": 2.0,
        "threshold": None,
    }


@pytest.mark.parametrize(
    ("true", "reason"),
    [
        ("ab" * 9, "there are 18 groups, fewer than 20"),
        ("a" * 30, "there is one class alone"),
        ("a" * 30 + "bbb", "there are 3 groups of b, fewer than 5"),
    ],
)
def test_too_few_groups_are_said_and_nothing_is_fitted(true: str, reason: str) -> None:
    table = predictions(["a", "b"], list(true), [[0.6, 0.4]] * len(true))
    found = recalibration.measure(read_sample(table, ["a", "b"]), {})
    assert found["reason"] == reason
    assert len(found["methods"]) == 1
    assert not math.isnan(found["methods"][0]["log_loss"])
