"""The metrics of a sample and of its draws: by hand, and against scikit-learn's."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from reports.arrays import FloatArray
from reports.evaluation.evaluate import confusion, per_class
from reports.evaluation.ranking import rank
from reports.evaluation.sample import Sample, per_group, read_sample
from tests.reports.evaluation.samples import (
    clustered,
    computed,
    drawn,
    of_classes,
    predictions,
    summary,
)
from tests.reports.evaluation.test_bootstrap import every_draw

TWO, CLASSES = ["a", "b"], ["a", "b", "c"]


def of_two(true: str, probabilities_of_a: Sequence[float], **columns: Any) -> Sample:
    """Make a sample of the classes a and b, an image a letter."""
    shares = [[p, 1 - p] for p in probabilities_of_a]
    return read_sample(predictions(TWO, list(true), shares).assign(**columns), TWO)


def classwise(sample: Sample) -> pd.DataFrame:
    return per_class(sample, {}).set_index("class")


# ---------------------------------------------------------------- by hand

HAND = predictions(
    TWO,
    ["a", "a", "a", "b", "b"],
    [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.2, 0.8]],
    ["p1", "p1", "p2", "p3", "p3"],
)
"""a: 3 images, 2 found; b: 2 images, 1 found."""


def test_per_class_and_confusion_equal_tables_computed_by_hand() -> None:
    table = classwise(read_sample(HAND, TWO))
    expected = {
        "support": [3, 2],
        "precision": pytest.approx([2 / 3, 1 / 2]),
        "recall": pytest.approx([2 / 3, 1 / 2]),
        "specificity": pytest.approx([1 / 2, 2 / 3]),
        "f1": pytest.approx([2 / 3, 1 / 2]),
        "auroc": pytest.approx([5 / 6, 5 / 6]),
        # by p_b: b at the first and third place; by p_a: a at the first, second and fourth
        "average_precision": pytest.approx([(1 + 1 + 3 / 4) / 3, (1 + 2 / 3) / 2]),
    }
    assert {name: list(table[name]) for name in expected} == expected
    counts = confusion(read_sample(HAND, TWO))
    assert counts.to_numpy().tolist() == [[2, 1], [1, 1]]
    assert list(counts.index) == list(counts.columns) == TWO


def test_summary_equals_scores_computed_by_hand() -> None:
    found = summary(read_sample(HAND, TWO))
    losses = [math.log(p) for p in (0.9, 0.8, 0.3, 0.4, 0.8)]
    expected = {
        "n": 5,
        "groups": 3,
        "accuracy": 3 / 5,
        "balanced_accuracy": (2 / 3 + 1 / 2) / 2,
        "macro_f1": (2 / 3 + 1 / 2) / 2,
        # p_b of b: 0.4, 0.8; of a: 0.1, 0.2, 0.7: five of the six pairs are in order
        "auroc": 5 / 6,
        "majority_accuracy": 3 / 5,
        "log_loss": -sum(losses) / 5,
        "brier_skill": 1 - 0.188 / 0.24,
        "weighted_f1": (3 * 2 / 3 + 2 * 1 / 2) / 5,
        # of the counts 2 1 / 1 1: (2 * 1 - 1 * 1) / sqrt(3 * 2 * 3 * 2)
        "mcc": 1 / 6,
        "brier": (0.01 + 0.04 + 0.49 + 0.36 + 0.04) / 5,
        # 0.9, 0.8, 0.7 wrong, 0.6 wrong, 0.8: |1 - 0.9| + |2 - 1.6| + 0.7 + 0.6, 5 images
        "ece": (0.1 + 0.4 + 0.7 + 0.6) / 5,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_the_calibration_error_is_that_of_bins_filled_by_hand() -> None:
    # (0.6, 0.667] holds 0.65 right and 0.61 wrong; (0.933, 1] holds 1.0 right; 0.6 ends a bin
    expected = (abs(1 - (0.65 + 0.61)) + abs(1 - 1.0) + abs(1 - 0.6)) / 4
    assert summary(of_two("abaa", [0.65, 0.61, 1, 0.6]))["ece"] == pytest.approx(expected)
    assert summary(of_two("aaab", [0.75] * 4))["ece"] == pytest.approx(0)


def test_a_group_is_the_mean_of_its_images_and_one_answer_of_each_class() -> None:
    sample = of_two("aaab", [0.9, 0.4, 0.4, 0.2], group=["p", "p", "q", "q"])
    units = per_group(sample)
    assert units.groups.tolist() == [0, 1, 1], "q holds two classes: two answers, one group"
    assert units.true.tolist() == [0, 0, 1]
    assert units.probabilities[:, 0].tolist() == pytest.approx([0.65, 0.4, 0.2])
    assert units.predicted.tolist() == [0, 1, 1]


# ---------------------------------------------------------------- what counts


def test_only_rows_of_the_split_with_status_ok_count() -> None:
    table = HAND.copy()
    table.loc[0, "status"], table.loc[1, "split"], table.loc[0, "predicted"] = "error", "val", ""
    sample = read_sample(table, TWO)
    assert summary(sample)["n"] == classwise(sample)["support"].sum() == 3
    assert confusion(sample).to_numpy().sum() == 3
    assert summary(read_sample(table, TWO, split="val"))["n"] == 1


def test_an_image_without_a_group_is_a_group_of_its_own() -> None:
    assert of_two("aaabb", [0.5] * 5, group=["", "", "p", "p", "p"]).group_count == 3
    assert of_two("ab", [0.9, 0.1], group=["", "test/0.jpg"]).group_count == 2, "a path is no group"


def test_names_are_only_names_and_a_label_that_is_no_class_is_refused() -> None:
    names = ["NA", "001", "猴痘", "<script>alert(1)</script>"]
    table = per_class(read_sample(drawn(names, 40, seed=5), names), {})
    assert list(table["class"]) == names
    assert table["support"].sum() == 40
    with pytest.raises(ValueError, match=r"Column 'label' must hold only the 2 classes, got 'a'"):
        read_sample(HAND, ["b", "c"])


def test_auroc_of_two_classes_is_that_of_the_second_in_sorted_order() -> None:
    table = drawn(TWO, 50, seed=3)
    areas = [summary(read_sample(table, order))["auroc"] for order in (TWO, TWO[::-1])]
    expected = reference.roc_auc_score(table["label"] == "b", table["p_b"])
    assert areas == pytest.approx([expected, expected], abs=1e-12)


# ---------------------------------------------------------------- what is undefined


def test_precision_of_a_class_never_predicted_is_nan_and_its_f1_is_zero() -> None:
    sample = of_two("aab", [0.9, 0.8, 0.7])
    b, found = classwise(sample).loc["b"], summary(sample)
    assert b[["precision", "precision_low"]].isna().all()
    assert list(b[["recall", "f1", "specificity"]]) == [0, 0, 1]
    assert math.isnan(found["mcc"])
    assert found["accuracy"] == found["majority_accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(0.5)


def test_a_class_absent_from_test_has_a_row_and_an_undefined_recall() -> None:
    shares = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    sample = read_sample(predictions(CLASSES, ["a", "b", "b"], shares), CLASSES)
    c, found = classwise(sample).loc["c"], summary(sample)
    assert c[["recall", "recall_low", "recall_high", "auroc", "auroc_low"]].isna().all()
    assert (c["support"], c["precision"], c["f1"]) == (0, 0, 0)
    assert c["specificity"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["auroc"] == pytest.approx((1 + 3 / 4) / 2)
    assert confusion(sample).to_numpy()[2].tolist() == [0, 0, 0]


def test_a_class_neither_there_nor_predicted_is_undefined_and_left_out_of_macro_f1() -> None:
    table = predictions(CLASSES, ["a", "b"], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    sample = read_sample(table, CLASSES)
    assert classwise(sample).loc["c", ["precision", "recall", "f1"]].isna().all()
    assert summary(sample)["macro_f1"] == 1


def test_one_class_in_test_leaves_auroc_specificity_and_correlation_undefined() -> None:
    sample = of_two("aa", [0.9, 0.1])
    found = summary(sample)
    assert math.isnan(found["auroc"])
    assert math.isnan(found["mcc"])
    assert (found["accuracy"], found["n"]) == (0.5, 2)
    assert classwise(sample)["specificity"].isna().tolist() == [True, False]


def test_no_image_at_all_gives_nan_and_never_zero() -> None:
    empty = of_two("", [])
    found = summary(empty)
    assert (found.pop("n"), found.pop("groups")) == (0, 0)
    assert all(map(math.isnan, found.values()))
    assert classwise(empty)[["precision", "specificity"]].isna().all(axis=None)
    assert confusion(empty).to_numpy().sum() == 0


def test_a_draw_without_a_class_has_no_score_of_it() -> None:
    found = of_classes(of_two("ab", [0.9, 0.2]), np.array([[2.0, 0.0]]))
    undefined = [found[name][0, 1] for name in ("recall", "auroc", "average_precision")]
    assert all(map(math.isnan, [*undefined, found["specificity"][0, 0]]))
    assert found["recall"][0, 0] == 1


def test_probabilities_rounded_in_single_precision_raise_no_warning() -> None:
    table = drawn(CLASSES, 30, seed=7)
    columns = [f"p_{name}" for name in CLASSES]
    table[columns] = table[columns].astype("float32").astype(float)
    assert math.isfinite(summary(read_sample(table, CLASSES))["log_loss"])


# ---------------------------------------------------------------- against scikit-learn

F1: dict[str, Any] = {"macro_f1": "macro", "weighted_f1": "weighted"}
COMPARED = ["accuracy", "balanced_accuracy", *F1, "mcc", "auroc", "log_loss", "brier"]
COMPARED += ["brier_skill"]


def weighted(name: str, sample: Sample, weights: FloatArray) -> float:
    """Compute a score with scikit-learn, each image weighted by its group's draws."""
    w = weights[sample.groups]
    true, predicted = sample.true[w > 0], sample.predicted[w > 0]
    shares, w = sample.probabilities[w > 0], w[w > 0]
    every, there = np.arange(len(sample.classes)), np.unique(true)
    options: dict[str, Any] = {"sample_weight": w}
    if name == "accuracy":
        return float(reference.accuracy_score(true, predicted, **options))
    if name == "balanced_accuracy":
        options |= {"labels": there, "average": "macro"}
        return float(reference.recall_score(true, predicted, **options))
    if name in F1:
        labels = np.union1d(true, predicted) if name == "macro_f1" else there
        options |= {"labels": labels, "average": F1[name]}
        return float(reference.f1_score(true, predicted, **options))
    if name == "mcc":
        return float(reference.matthews_corrcoef(true, predicted, **options))
    if name == "auroc":
        areas = [reference.roc_auc_score(true == k, shares[:, k], **options) for k in there]
        return float(np.mean(areas))
    if name == "brier_skill":
        shares_of_all = (sample.true[:, np.newaxis] == every).mean(axis=0)
        always = np.tile(shares_of_all, (len(w), 1))
        options |= {"labels": every}
        scores = [reference.brier_score_loss(true, each, **options) for each in (shares, always)]
        return 1 - float(scores[0] / scores[1])
    score = reference.log_loss if name == "log_loss" else reference.brier_score_loss
    return float(score(true, shares, labels=every, **options))


def weighted_of_class(sample: Sample, weights: FloatArray, index: int) -> dict[str, float]:
    """Compute the metrics of a class that is there and was predicted in the same way."""
    w, p = weights[sample.groups], sample.probabilities[:, index]
    hits, given = sample.true == index, sample.predicted == index
    return {
        "precision": reference.precision_score(hits, given, sample_weight=w),
        "recall": reference.recall_score(hits, given, sample_weight=w),
        "specificity": reference.recall_score(~hits, ~given, sample_weight=w),
        "f1": reference.f1_score(hits, given, sample_weight=w),
        "auroc": reference.roc_auc_score(hits, p, sample_weight=w),
        "average_precision": reference.average_precision_score(hits, p, sample_weight=w),
    }


@pytest.mark.parametrize("name", COMPARED)
def test_a_score_of_each_draw_is_scikit_learn_s_with_the_draw_as_weights(name: str) -> None:
    sample = read_sample(clustered(CLASSES, 12, seed=4), CLASSES)
    weights = every_draw(sample, 40)
    expected = [weighted(name, sample, row) for row in weights]
    assert computed(sample, weights)[name].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("count", [2, 9, 40])
def test_every_value_is_scikit_learn_s_on_random_tables(count: int) -> None:
    classes = sorted(f"c{index:03d}" for index in range(count))
    sample = read_sample(drawn(classes, 60 * count, seed=count), classes)
    ones = np.ones(sample.group_count)
    found, each = computed(sample), of_classes(sample)
    expected = {name: weighted(name, sample, ones) for name in COMPARED}
    assert {name: found[name][0] for name in COMPARED} == pytest.approx(expected, abs=1e-12)
    for index in range(0, count, 5):
        of_class = weighted_of_class(sample, ones, index)
        assert {name: each[name][0, index] for name in of_class} == pytest.approx(of_class)


def test_a_class_score_of_each_draw_is_scikit_learn_s_with_the_draw_as_weights() -> None:
    sample = read_sample(clustered(CLASSES, 12, seed=5), CLASSES)
    weights = every_draw(sample, 40)
    found = of_classes(sample, weights)
    for row, draw in enumerate(weights):
        w = draw[sample.groups]
        if not w[sample.true == 1].sum() or not w[sample.predicted == 1].sum():
            assert math.isnan(found["recall"][row, 1]) or math.isnan(found["precision"][row, 1])
            continue
        expected = weighted_of_class(sample, draw, 1)
        assert {name: found[name][row, 1] for name in expected} == pytest.approx(expected)


def test_the_calibration_error_of_a_draw_is_that_of_its_images_written_out() -> None:
    sample = read_sample(clustered(CLASSES, 9, seed=6), CLASSES)
    weights = every_draw(sample, 5)
    found = computed(sample, weights)["ece"]
    for row, draw in enumerate(weights):
        rows = np.repeat(np.arange(len(sample)), draw[sample.groups].astype(int))
        arrays = (sample.true[rows], sample.predicted[rows], sample.probabilities[rows])
        again = Sample(sample.classes, *arrays, np.zeros(len(rows), dtype=np.int64))
        assert found[row] == pytest.approx(computed(again)["ece"][0])


def test_equal_probabilities_form_one_step_and_curves_run_through_scikit_learn_s_points() -> None:
    rng = np.random.default_rng(8)
    for p in (rng.integers(0, 4, 80) / 4, np.round(rng.random(80), 2)):
        hits, w = rng.random(80) < 0.5, rng.integers(0, 3, 80).astype(float)
        steps = rank(p, hits, np.arange(80)).steps(w[np.newaxis])
        of_class = (hits, p)
        assert steps.auroc()[0] == pytest.approx(
            reference.roc_auc_score(*of_class, sample_weight=w)
        )
        assert steps.average_precision()[0] == pytest.approx(
            reference.average_precision_score(*of_class, sample_weight=w)
        )
        false, found, _ = reference.roc_curve(*of_class, sample_weight=w)
        grid = np.linspace(0, 1, 101)
        assert steps.roc(grid)[0].tolist() == pytest.approx(np.interp(grid, false, found).tolist())
        precision, recall, _ = reference.precision_recall_curve(*of_class, sample_weight=w)
        for at, value in zip(grid[1:], steps.precision(grid)[0, 1:], strict=True):
            first = np.flatnonzero(recall >= at - 1e-9)[-1]  # recall falls along that curve
            assert value == pytest.approx(precision[first])
