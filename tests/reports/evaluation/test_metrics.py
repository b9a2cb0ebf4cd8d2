import math

import pandas as pd
import pytest
from sklearn import metrics as reference

from reports.evaluation.evaluate import confusion, per_class
from reports.evaluation.sample import per_patient, read_sample
from tests.reports.evaluation.samples import drawn, predictions, summary

NAMES = ["NA", "001", "猴痘", "<script>alert(1)</script>"]


def by_hand() -> pd.DataFrame:
    """a: 3 pictures, 2 found; b: 2 pictures, 1 found."""
    return predictions(
        ["a", "b"],
        ["a", "a", "a", "b", "b"],
        [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.2, 0.8]],
        ["p1", "p1", "p2", "p3", "p3"],
    )


def test_per_class_equals_a_table_computed_by_hand() -> None:
    table = per_class(read_sample(by_hand(), ["a", "b"]), {}).set_index("class")
    assert list(table["support"]) == [3, 2]
    assert list(table["precision"]) == pytest.approx([2 / 3, 1 / 2])
    assert list(table["recall"]) == pytest.approx([2 / 3, 1 / 2])
    assert list(table["specificity"]) == pytest.approx([1 / 2, 2 / 3])
    assert list(table["f1"]) == pytest.approx([2 / 3, 1 / 2])
    assert list(table["auroc"]) == pytest.approx([5 / 6, 5 / 6])
    # by p_b: b at the first and third place; by p_a: a at the first, second and fourth
    assert list(table["average_precision"]) == pytest.approx([(1 + 1 + 3 / 4) / 3, (1 + 2 / 3) / 2])


def test_confusion_equals_a_table_computed_by_hand() -> None:
    table = confusion(read_sample(by_hand(), ["a", "b"]))
    assert table.to_numpy().tolist() == [[2, 1], [1, 1]]
    assert list(table.index) == list(table.columns) == ["a", "b"]


def test_summary_equals_figures_computed_by_hand() -> None:
    found = summary(read_sample(by_hand(), ["a", "b"]))
    losses = [math.log(p) for p in (0.9, 0.8, 0.3, 0.4, 0.8)]
    assert (found["n"], found["groups"]) == (5, 3)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # p_b of b: 0.4, 0.8; of a: 0.1, 0.2, 0.7: five of the six pairs are in order
    assert found["auroc"] == pytest.approx(5 / 6)
    assert found["majority_accuracy"] == pytest.approx(3 / 5)
    assert found["log_loss"] == pytest.approx(-sum(losses) / 5)
    assert found["weighted_f1"] == pytest.approx((3 * 2 / 3 + 2 * 1 / 2) / 5)
    # of the counts 2 1 / 1 1: (2 * 1 - 1 * 1) / sqrt(3 * 2 * 3 * 2)
    assert found["mcc"] == pytest.approx(1 / 6)
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.49 + 0.36 + 0.04) / 5)
    # confidences 0.9, 0.8, 0.7 wrong, 0.6 wrong, 0.8: |1 - 0.9| + |2 - 1.6| + 0.7 + 0.6, 5 pictures
    assert found["ece"] == pytest.approx((0.1 + 0.4 + 0.7 + 0.6) / 5)


def test_auroc_of_two_classes_is_that_of_the_second_in_sorted_order() -> None:
    table = drawn(["a", "b"], 50, seed=3)
    areas = [summary(read_sample(table, order))["auroc"] for order in (["a", "b"], ["b", "a"])]
    expected = reference.roc_auc_score(table["label"] == "b", table["p_b"])
    assert areas == pytest.approx([expected, expected], abs=1e-12)


def test_only_rows_of_the_split_with_status_ok_count() -> None:
    table = by_hand()
    table.loc[0, "status"] = "error"
    table.loc[1, "split"] = "val"
    table.loc[0, "predicted"] = ""
    assert summary(read_sample(table, ["a", "b"]))["n"] == 3
    assert summary(read_sample(table, ["a", "b"], split="val"))["n"] == 1
    assert per_class(read_sample(table, ["a", "b"]), {})["support"].sum() == 3
    assert confusion(read_sample(table, ["a", "b"])).to_numpy().sum() == 3


def test_precision_of_a_class_never_predicted_is_nan_and_its_f1_is_zero() -> None:
    table = predictions(["a", "b"], ["a", "b"], [[0.9, 0.1], [0.8, 0.2]])
    b = per_class(read_sample(table, ["a", "b"]), {}).iloc[1]
    assert math.isnan(b["precision"])
    assert (b["recall"], b["f1"], b["specificity"]) == (0, 0, 1)


def test_all_predictions_one_class_score_the_majority_baseline() -> None:
    table = predictions(["a", "b"], ["a", "a", "b"], [[0.9, 0.1]] * 3)
    found = summary(read_sample(table, ["a", "b"]))
    assert found["accuracy"] == found["majority_accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(0.5)
    assert found["auroc"] == pytest.approx(0.5)


def test_a_class_absent_from_test_has_a_row_and_an_undefined_recall() -> None:
    table = predictions(
        ["a", "b", "c"],
        ["a", "b", "b"],
        [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]],
    )
    c = per_class(read_sample(table, ["a", "b", "c"]), {}).iloc[2]
    found = summary(read_sample(table, ["a", "b", "c"]))
    assert math.isnan(c["recall"])
    assert (c["support"], c["precision"], c["f1"]) == (0, 0, 0)
    assert c["specificity"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["auroc"] == pytest.approx((1 + 3 / 4) / 2)
    assert confusion(read_sample(table, ["a", "b", "c"])).to_numpy()[2].tolist() == [
        0,
        0,
        0,
    ]


def test_a_class_neither_there_nor_predicted_is_undefined_and_left_out_of_macro_f1() -> None:
    table = predictions(["a", "b", "c"], ["a", "b"], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    c = per_class(read_sample(table, ["a", "b", "c"]), {}).iloc[2]
    assert c[["precision", "recall", "f1"]].isna().all()
    assert summary(read_sample(table, ["a", "b", "c"]))["macro_f1"] == 1


def test_one_class_in_test_leaves_auroc_and_specificity_undefined() -> None:
    table = predictions(["a", "b"], ["a"], [[0.9, 0.1]])
    found = summary(read_sample(table, ["a", "b"]))
    assert math.isnan(found["auroc"])
    assert (found["accuracy"], found["n"], found["groups"]) == (1, 1, 1)
    assert math.isnan(per_class(read_sample(table, ["a", "b"]), {})["specificity"][0])


def test_no_picture_at_all_gives_nan_and_never_zero() -> None:
    empty = predictions(["a", "b"], [], [])
    found = summary(read_sample(empty, ["a", "b"]))
    assert (found.pop("n"), found.pop("groups")) == (0, 0)
    assert all(map(math.isnan, found.values()))
    assert (
        per_class(read_sample(empty, ["a", "b"]), {})[["precision", "specificity"]]
        .isna()
        .all(axis=None)
    )
    assert confusion(read_sample(empty, ["a", "b"])).to_numpy().sum() == 0


def test_awkward_class_names_are_only_names() -> None:
    table = drawn(NAMES, 40, seed=5)
    assert list(per_class(read_sample(table, NAMES), {})["class"]) == NAMES
    assert per_class(read_sample(table, NAMES), {})["support"].sum() == 40


def test_a_picture_without_a_group_is_a_group_of_its_own() -> None:
    table = by_hand()
    table["group"] = ["", "", "p", "p", "p"]
    assert summary(read_sample(table, ["a", "b"]))["groups"] == 3


def test_probabilities_rounded_in_single_precision_raise_no_warning() -> None:
    table = drawn(["a", "b", "c"], 30, seed=7)
    columns = ["p_a", "p_b", "p_c"]
    table[columns] = table[columns].astype("float32").astype(float)
    assert math.isfinite(summary(read_sample(table, ["a", "b", "c"]))["log_loss"])


def test_a_label_that_is_no_class_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"Column 'label' must hold only the 2 classes, got 'a'"):
        per_class(read_sample(by_hand(), ["b", "c"]), {})


def test_the_calibration_error_is_that_of_bins_filled_by_hand() -> None:
    # (0.6, 0.667] holds 0.65 right and 0.61 wrong; (0.933, 1] holds 1.0 right; 0.6 ends a bin
    true = ["a", "b", "a", "a"]
    table = predictions(["a", "b"], true, [[0.65, 0.35], [0.61, 0.39], [1.0, 0.0], [0.6, 0.4]])
    expected = (abs(1 - (0.65 + 0.61)) + abs(1 - 1.0) + abs(1 - 0.6)) / 4
    found = summary(read_sample(table, ["a", "b"]))
    assert found["ece"] == pytest.approx(expected)


def test_probabilities_that_hold_what_they_say_have_no_calibration_error() -> None:
    table = predictions(["a", "b"], ["a"] * 3 + ["b"], [[0.75, 0.25]] * 4)
    assert summary(read_sample(table, ["a", "b"]))["ece"] == pytest.approx(0)


def test_correlation_is_undefined_where_one_class_alone_is_there_or_was_predicted() -> None:
    given = predictions(["a", "b"], ["a", "b"], [[0.9, 0.1]] * 2)
    there = predictions(["a", "b"], ["a", "a"], [[0.9, 0.1], [0.1, 0.9]])
    for table in (given, there):
        assert math.isnan(summary(read_sample(table, ["a", "b"]))["mcc"])


def test_a_patient_is_the_mean_of_its_pictures_and_one_unit_of_each_class() -> None:
    table = predictions(
        ["a", "b"],
        ["a", "a", "a", "b"],
        [[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.2, 0.8]],
        ["p", "p", "q", "q"],
    )
    units = per_patient(read_sample(table, ["a", "b"]))
    assert units.groups.tolist() == [0, 1, 1], "q holds two classes: two units, one group"
    assert units.true.tolist() == [0, 0, 1]
    assert units.probabilities[:, 0].tolist() == pytest.approx([0.65, 0.4, 0.2])
    assert units.predicted.tolist() == [0, 1, 1]


def test_a_path_and_a_group_of_one_name_are_two_groups() -> None:
    table = predictions(["a", "b"], ["a", "b"], [[0.9, 0.1], [0.1, 0.9]], ["", "test/0.jpg"])
    assert read_sample(table, ["a", "b"]).group_count == 2
