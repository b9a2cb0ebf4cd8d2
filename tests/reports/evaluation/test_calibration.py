import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from reports.arrays import FloatArray
from reports.evaluation.calibration import (
    FEWEST_GROUPS,
    calibrate,
    calibrated,
    choose_threshold,
    fit_temperature,
)
from reports.evaluation.sample import Sample, read_sample
from reports.evaluation.settings import EvaluationSettings, positive_class
from tests.benchmarks.calibration import gain, log_loss
from tests.reports.evaluation.samples import clustered


def sure(temperature: float, images: int = 4000, classes: int = 3, seed: int = 0) -> Sample:
    """Images whose true classes follow the probabilities at the temperature, not at 1."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(images, classes))
    true = np.array([rng.choice(classes, p=row) for row in softmax(logits, axis=1)])
    stated = softmax(logits * temperature, axis=1)
    names = tuple("abcdef"[:classes])
    return Sample(names, true, stated.argmax(axis=1), stated, np.arange(images))


@pytest.mark.parametrize("temperature", [2.5, 0.5])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_of_a_simulation_is_found_again(temperature: float, classes: int) -> None:
    found = fit_temperature(sure(temperature, classes=classes))
    assert found.temperature == pytest.approx(temperature, rel=0.06)
    assert (found.fitted_on, found.n, found.reason) == ("val", 4000, None)


def test_the_temperature_is_where_the_loss_is_least() -> None:
    sample = sure(2.5, images=200)
    best = fit_temperature(sample).temperature
    at = [log_loss(sample, each) for each in (best, best * 1.02, best / 1.02, 1)]
    assert min(at) == at[0] < at[1]


def test_calibrated_probabilities_are_those_of_the_divided_logarithms_in_the_same_order() -> None:
    shares = calibrated(np.array([[0.8, 0.2], [0.5, 0.5]]), 2.0)
    assert shares[0].tolist() == pytest.approx([2 / 3, 1 / 3])  # sqrt 0.8 : sqrt 0.2 = 2 : 1
    assert shares[1].tolist() == pytest.approx([0.5, 0.5])
    sure_ones = calibrated(np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]]), 3.0)
    assert (sure_ones.argmax(axis=1) == 0).all()
    assert sure_ones.sum(axis=1).tolist() == pytest.approx([1, 1])


def perfect(images: int) -> Sample:
    true = np.arange(images) % 2
    shares = np.where(np.arange(2) == true[:, np.newaxis], 0.9, 0.1)
    return Sample(("a", "b"), true, true, shares, np.arange(images))


MANY = sure(2.5)


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (perfect(0), "no validation images were kept out of training"),
        (perfect(1), "the validation part holds 1 group, fewer than 60"),
        (replace(MANY, groups=MANY.groups % 59), "holds 59 groups, fewer than 60"),
        (replace(perfect(60), true=np.zeros(60, dtype=int)), "holds one class only"),
        (perfect(60), "no temperature from 0.1 to 10 fits .* it would run below"),
        (replace(perfect(60), true=1 - perfect(60).true), "fits .* it would run above"),
    ],
)
def test_what_cannot_be_fitted_is_1_and_the_reason_is_said(sample: Sample, reason: str) -> None:
    found = fit_temperature(sample)
    assert (found.temperature, found.fitted_on, found.n) == (1, None, None)
    assert re.search(reason, str(found.reason))
    assert fit_temperature(replace(MANY, groups=MANY.groups % 60)).fitted_on == "val"


def test_on_fewer_groups_than_are_asked_for_a_fitted_temperature_costs_more_than_it_gives() -> None:
    slightly = 1.5  # times too sure of itself
    assert gain(20, slightly, 100) + gain(20, 1.0, 100) < 0, "whether it is or is not"
    assert gain(FEWEST_GROUPS, slightly, 100) + gain(FEWEST_GROUPS, 1.0, 100) > 0


# ---------------------------------------------------------------- thresholds

SCORES = np.repeat([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1, *[0.05] * 12], 2)
BY_YOUDEN = EvaluationSettings(threshold="youden")
HITS = np.repeat([True, True, False, True, False, False, True, *[False] * 13], 2)


def test_youdens_threshold_is_half_way_below_the_best_place() -> None:
    # at 0.6: 6 of 8 found, 2 of 32 false, J = 0.6875; at 0.2: 8 of 8, 6 of 32, J = 0.8125
    found = choose_threshold(SCORES, HITS, BY_YOUDEN)
    assert found.threshold == pytest.approx((0.2 + 0.1) / 2)
    assert found.chosen_on == "val"
    assert found.rule is not None
    assert "Youden" in found.rule


@pytest.mark.parametrize(
    ("wanted", "threshold"), [(0.5, 0.8), (0.51, 0.6), (0.75, 0.6), (0.9, 0.2)]
)
def test_a_wanted_sensitivity_takes_the_highest_threshold_that_reaches_it(
    wanted: float, threshold: float
) -> None:
    found = choose_threshold(SCORES, HITS, EvaluationSettings(sensitivity=wanted))
    assert found.threshold == threshold
    assert (SCORES[HITS] >= threshold).mean() >= wanted


@pytest.mark.parametrize(
    ("scores", "hits", "reason"),
    [
        (SCORES[:10], HITS[:10], "the validation part holds 10 images, fewer than 20"),
        (SCORES, HITS & False, "the validation part holds 0 of the positive class, fewer than 5"),
        (SCORES, np.arange(40) < 4, "holds 4 of the positive class, fewer than 5"),
        (SCORES, np.arange(40) < 36, "holds 4 of the others, fewer than 5"),
        (-SCORES, HITS, "no threshold is better than chance on the validation part"),
    ],
)
def test_without_enough_to_choose_by_the_threshold_is_one_half(
    scores: FloatArray, hits: FloatArray, reason: str
) -> None:
    found = choose_threshold(scores, hits.astype(bool), BY_YOUDEN)
    assert (found.threshold, found.chosen_on) == (0.5, "default")
    assert str(found.reason).endswith(reason)


# ---------------------------------------------------------------- both


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        ("Monkeypox Others", "Monkeypox"), ("Normal Pneumonia", "Pneumonia"),
        ("tumor no_tumor", "tumor"), ("nomask mask", "mask"), ("NonMelanoma Melanoma", "Melanoma"),
        ("benign_nevi malignant", "malignant"), ("healthy unhealthy", "unhealthy"),
        ("normal not_normal", "not_normal"), ("NORMAL ABNORMAL", "ABNORMAL"), ("0 1", "1"),
        ("nodule normal", "nodule"), ("with_rust without_rust", "with_rust"),
        ("control-01 treated-01", "treated-01"), ("RestOfSkin Lesion", "Lesion"),
        ("good bent", "bent"),
        ("猴痘 其他", "猴痘"), ("cat dog", None), ("nodule nose", None), ("normal healthy", None),
        ("nevus melanoma", None), ("other normal sick", None),
    ],
)  # fmt: skip
def test_the_positive_class_of_two_is_never_the_one_that_is_called_after_what_it_lacks(
    classes: str, positive: str | None
) -> None:
    names = classes.split()
    assert positive_class(names, None) == positive
    assert positive_class(names[::-1], None) == positive


def test_the_positive_class_asked_for_wins_and_must_be_a_class() -> None:
    assert positive_class(["Monkeypox", "Others"], "Others") == "Others"
    assert positive_class(["a", "b", "c"], "c") == "c"
    with pytest.raises(ValueError, match=r"one of the classes \(a, b\), got 'c'"):
        positive_class(["a", "b"], "c")


def test_where_neither_of_two_names_tells_it_is_said_and_no_threshold_is_chosen() -> None:
    found = calibrate(sure(2.5, classes=2), EvaluationSettings())
    assert (found.positive, found.threshold) == (None, None)
    assert found.describe().endswith(
        "no class is taken for the positive one, since neither 'a' nor 'b' is called normal, other "
        "or the like: sensitivity is shown for both"
    )


@pytest.mark.parametrize(
    ("settings", "threshold", "chosen_on"),
    [
        ({}, 0.5, "default"), ({"threshold": "0.3"}, 0.3, "default"),
        ({"threshold": "youden"}, None, "val"),
    ],
)  # fmt: skip
def test_the_threshold_is_one_half_unless_another_one_is_asked_for(
    settings: dict[str, Any], threshold: float | None, chosen_on: str
) -> None:
    found = calibrate(sure(2.5, classes=2), EvaluationSettings(positive="b", **settings))
    assert found.chosen_on == chosen_on
    assert found.threshold == threshold or (threshold is None and found.threshold != 0.5)


def test_two_rules_for_one_threshold_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sensitivity must not go with `threshold`, got 0.9 and"):
        EvaluationSettings(sensitivity=0.9, threshold="youden")


@pytest.mark.parametrize("given", ["0", "1", "-1", "nan", "j", "", "youden "])
def test_a_threshold_that_is_no_probability_and_no_rule_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="threshold must be youden or a number above 0 and below"):
        EvaluationSettings(threshold=given)


def test_the_threshold_is_one_on_the_calibrated_probability() -> None:
    sample = sure(2.5, classes=2)
    found = calibrate(sample, EvaluationSettings(positive="b", sensitivity=0.9))
    shares = calibrated(sample.probabilities, found.temperature)[:, 1]
    reached = shares[sample.true == 1] >= (found.threshold or 0)
    assert reached.mean() >= 0.9
    assert (shares[sample.true == 1] > (found.threshold or 0)).mean() < 0.9, "the highest one"


def test_the_file_says_what_was_fitted_and_on_what() -> None:
    content = calibrate(sure(2.5, classes=2), EvaluationSettings(positive="a")).content()
    assert list(content) == ["temperature", "positive", "threshold", "fitted_on", "n", "reason"]
    assert (content["positive"], content["fitted_on"], content["n"]) == ("a", "val", 4000)
    assert content["reason"] is None
    of_three = calibrate(MANY, EvaluationSettings()).content()
    assert (of_three["positive"], of_three["threshold"]) == (None, None)


def test_without_a_validation_part_nothing_is_chosen() -> None:
    table = clustered(["a", "b"], 40, seed=1)  # a test part alone
    validation = read_sample(table, ["a", "b"], split="val")
    found = calibrate(validation, EvaluationSettings(positive="b", threshold="youden"))
    assert found.content() == {
        "temperature": 1.0,
        "positive": "b",
        "threshold": 0.5,
        "fitted_on": None,
        "n": None,
        "reason": "no validation images were kept out of training",
    }
    assert "not fitted: no validation images were kept out of training" in found.describe()


def test_a_positive_class_that_the_validation_part_lacks_keeps_the_temperature() -> None:
    kept = MANY.true != 2
    arrays = (MANY.true, MANY.predicted, MANY.probabilities, MANY.groups)
    sample = Sample(MANY.classes, *(array[kept] for array in arrays))
    found = calibrate(sample, EvaluationSettings(positive="c", threshold="youden"))
    assert (found.fitted_on, found.threshold) == ("val", 0.5)
    assert found.reason == "the validation part holds 0 of the positive class, fewer than 5"
    assert found.temperature > 1
