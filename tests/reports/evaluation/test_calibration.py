import re

import numpy as np
import pytest

from reports.evaluation.calibration import calibrate, calibrated, choose_threshold, fit_temperature
from reports.evaluation.sample import FloatArray, Sample, read_sample
from reports.evaluation.settings import EvaluationSettings, positive_class
from tests.reports.evaluation.samples import clustered


def sure(temperature: float, pictures: int = 4000, classes: int = 3, seed: int = 0) -> Sample:
    """Pictures whose true classes follow the probabilities at the temperature, not at 1."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(pictures, classes))
    truth = softmax(logits)
    true = np.array([rng.choice(classes, p=row) for row in truth])
    stated = softmax(logits * temperature)
    names = tuple("abcdef"[:classes])
    return Sample(names, true, stated.argmax(axis=1), stated, np.arange(pictures))


def softmax(logits: FloatArray) -> FloatArray:
    shares: FloatArray = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize("temperature", [2.5, 0.5])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_of_a_simulation_is_found_again(temperature: float, classes: int) -> None:
    found = fit_temperature(sure(temperature, classes=classes))
    assert found.temperature == pytest.approx(temperature, rel=0.06)
    assert (found.fitted_on, found.n, found.reason) == ("val", 4000, None)


def test_the_temperature_is_where_the_loss_is_least() -> None:
    sample = sure(2.5, pictures=200)
    best = fit_temperature(sample).temperature

    def loss(temperature: float) -> float:
        shares = calibrated(sample.probabilities, temperature)
        return -float(np.log(shares[np.arange(200), sample.true]).mean())

    assert loss(best) < min(loss(best * 1.02), loss(best / 1.02), loss(1))


def test_calibrated_probabilities_are_those_of_the_divided_logarithms() -> None:
    shares = calibrated(np.array([[0.8, 0.2], [0.5, 0.5]]), 2.0)
    assert shares[0].tolist() == pytest.approx([2 / 3, 1 / 3])  # sqrt 0.8 : sqrt 0.2 = 2 : 1
    assert shares[1].tolist() == pytest.approx([0.5, 0.5])


def test_calibration_keeps_the_order_of_the_classes_and_a_certainty_is_no_fault() -> None:
    before = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    after = calibrated(before, 3.0)
    assert (after.argsort(axis=1)[:, -1] == 0).all()
    assert after.sum(axis=1).tolist() == pytest.approx([1, 1])


def perfect(pictures: int) -> Sample:
    true = np.arange(pictures) % 2
    shares = np.where(np.arange(2) == true[:, np.newaxis], 0.9, 0.1)
    return Sample(("a", "b"), true, true, shares, np.arange(pictures))


def backwards(pictures: int) -> Sample:
    right = perfect(pictures)
    return Sample(right.classes, 1 - right.true, right.predicted, right.probabilities, right.groups)


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (perfect(0), "there is no validation part"),
        (perfect(1), "the validation part holds 1 picture, fewer than 20"),
        (perfect(19), "the validation part holds 19 pictures, fewer than 20"),
        (perfect(40), "no temperature from 0.1 to 10 fits .* it would run below"),
        (backwards(40), "no temperature from 0.1 to 10 fits .* it would run above"),
    ],
)
def test_what_cannot_be_fitted_is_1_and_the_reason_is_said(sample: Sample, reason: str) -> None:
    found = fit_temperature(sample)
    assert (found.temperature, found.fitted_on, found.n) == (1, None, None)
    assert found.reason is not None
    assert re.search(reason, found.reason)


def test_one_class_in_the_validation_part_is_not_fitted_on() -> None:
    sample = perfect(60)
    rows = sample.true == 0
    alone = Sample(
        ("a", "b"), sample.true[rows], sample.predicted[rows], sample.probabilities[rows],
        np.arange(30),
    )  # fmt: skip
    assert fit_temperature(alone).reason == "the validation part holds one class only"
    assert calibrate(alone, EvaluationSettings()).threshold == 0.5


# ---------------------------------------------------------------- thresholds

SCORES = np.repeat([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1, *[0.05] * 12], 2)
HITS = np.repeat([True, True, False, True, False, False, True, *[False] * 13], 2)


def test_youdens_threshold_is_half_way_below_the_best_place() -> None:
    # at 0.6: 6 of 8 found, 2 of 32 false, J = 0.6875; at 0.2: 8 of 8, 6 of 32, J = 0.8125
    found = choose_threshold(SCORES, HITS, None)
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
    found = choose_threshold(SCORES, HITS, wanted)
    assert found.threshold == threshold
    assert (SCORES[HITS] >= threshold).mean() >= wanted


@pytest.mark.parametrize(
    ("scores", "hits", "reason"),
    [
        (SCORES[:10], HITS[:10], "the validation part holds 10 pictures, fewer than 20"),
        (SCORES, HITS & False, "the validation part holds no picture of the positive class"),
        (SCORES, HITS | True, "the validation part holds no other picture"),
        (-SCORES, HITS, "no threshold is better than chance on the validation part"),
    ],
)
def test_without_enough_to_choose_by_the_threshold_is_one_half(
    scores: FloatArray, hits: FloatArray, reason: str
) -> None:
    found = choose_threshold(scores, hits.astype(bool), None)
    assert (found.threshold, found.chosen_on, found.reason) == (0.5, "default", reason)


# ---------------------------------------------------------------- both


def test_of_two_classes_the_positive_one_is_the_second_in_sorted_order() -> None:
    assert positive_class(["b", "a"], None) == "b"
    assert positive_class(["b", "a"], "a") == "a"
    assert positive_class(["a", "b", "c"], None) is None
    with pytest.raises(ValueError, match=r"one of the classes \(a, b\), got 'c'"):
        positive_class(["a", "b"], "c")


def test_the_threshold_is_one_on_the_calibrated_probability() -> None:
    sample = sure(2.5, classes=2)
    found = calibrate(sample, EvaluationSettings(sensitivity=0.9))
    shares = calibrated(sample.probabilities, found.temperature)[:, 1]
    reached = shares[sample.true == 1] >= (found.threshold or 0)
    assert reached.mean() >= 0.9
    assert (shares[sample.true == 1] > (found.threshold or 0)).mean() < 0.9, "the highest one"


def test_the_file_says_what_was_fitted_and_on_what() -> None:
    content = calibrate(sure(2.5, classes=2), EvaluationSettings(positive="a")).content()
    assert list(content) == ["temperature", "positive", "threshold", "fitted_on", "n", "reason"]
    assert (content["positive"], content["fitted_on"], content["n"]) == ("a", "val", 4000)
    assert content["reason"] is None


def test_three_classes_without_a_positive_one_have_no_threshold() -> None:
    content = calibrate(sure(2.5), EvaluationSettings()).content()
    assert (content["positive"], content["threshold"]) == (None, None)
    assert content["temperature"] == pytest.approx(2.5, rel=0.06)


def test_without_a_validation_part_nothing_is_chosen() -> None:
    table = clustered(["a", "b"], 40, seed=1)  # a test part alone
    found = calibrate(read_sample(table, ["a", "b"], split="val"), EvaluationSettings())
    assert found.content() == {
        "temperature": 1.0,
        "positive": "b",
        "threshold": 0.5,
        "fitted_on": None,
        "n": None,
        "reason": "there is no validation part",
    }
    assert "not fitted: there is no validation part" in found.describe()


def test_a_positive_class_that_the_validation_part_lacks_keeps_the_temperature() -> None:
    whole = sure(2.5)
    kept = whole.true != 2
    arrays = (whole.true, whole.predicted, whole.probabilities, whole.groups)
    sample = Sample(whole.classes, *(array[kept] for array in arrays))
    found = calibrate(sample, EvaluationSettings(positive="c"))
    assert found.fitted_on == "val"
    assert found.threshold == 0.5
    assert found.reason == "the validation part holds no picture of the positive class"
    assert found.temperature > 1


@pytest.mark.parametrize("count", [4, 36])
def test_a_threshold_is_not_chosen_on_a_few_of_one_side(count: int) -> None:
    positive = np.arange(40) < count
    chosen = choose_threshold(np.where(positive, 0.9, 0.1), positive, None)
    side = "the positive class" if count == 4 else "the others"
    assert chosen.threshold == 0.5
    assert chosen.chosen_on == "default"
    assert chosen.reason == f"the validation part holds 4 of {side}, fewer than 5"
