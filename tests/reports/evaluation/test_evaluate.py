import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.evaluation import evaluate as evaluation
from reports.evaluation.evaluate import evaluate
from reports.evaluation.intervals import NORMAL
from reports.evaluation.metrics import CLASS_METRICS, METRICS
from reports.evaluation.sample import read_sample
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.tables import read_table
from tests.reports.evaluation.samples import clustered, drawn, of_classes, predictions, summary

CLASSES = ["a", "b", "c"]
CLASS_SCORES = [metric.name for metric in CLASS_METRICS]
SCORES = [metric.name for metric in METRICS if metric.interval is not None]


def least(groups: float) -> float:
    """Give the lower bound of Wilson's interval where all of so many groups are right."""
    return groups / (groups + NORMAL**2)


def tables(groups: int = 40, classes: list[str] = CLASSES, seed: int = 0) -> pd.DataFrame:
    """A test and a validation part of so many patients each."""
    parts = [
        clustered(classes, groups, seed, split="test"),
        clustered(classes, groups, seed + 100, split="val"),
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_files_have_the_columns_and_keys_that_others_rely_on(tmp_path: Path) -> None:
    evaluation.write(evaluate(tables(classes=["a", "none"])), tmp_path)
    heading = (tmp_path / "per_class.csv").read_text().splitlines()[0].split(",")
    assert heading == ["class", "support"] + [
        f"{name}{end}" for name in CLASS_SCORES for end in ("", "_low", "_high")
    ]
    content = json.loads((tmp_path / "metrics.json").read_text())
    scores = [key for name in SCORES for key in (name, f"{name}_ci95")]
    assert list(content) == [
        "n", "groups", "few_groups", "smallest_class", *scores, "majority_accuracy",
        "more_groups", "per_patient", "operating_point", "uncertainty",
    ]  # fmt: skip
    assert list(content["per_patient"]) == [
        "n", "accuracy", "accuracy_ci95", "balanced_accuracy", "balanced_accuracy_ci95",
    ]  # fmt: skip
    assert list(content["operating_point"]) == [
        "positive", "threshold", "chosen_on", "rule",
        "sensitivity", "sensitivity_ci95", "specificity", "specificity_ci95", "prevalence",
        "ppv", "ppv_ci95", "npv", "npv_ci95", "lr_positive", "lr_positive_ci95",
        "lr_negative", "lr_negative_ci95", "at_prevalence",
    ]  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {
        "per_class.csv", "confusion.csv", "metrics.json", "calibration.json",
        "roc.csv", "precision_recall.csv", "reliability.csv", "confidences.csv",
        "class_reliability.csv", "calibration_curve.csv", "net_benefit.csv",
        "risk_coverage.csv",
    }  # fmt: skip


def test_points_are_those_of_the_test_part_and_lie_inside_their_intervals() -> None:
    table = tables()
    found, sample = evaluate(table), read_sample(table, CLASSES)
    expected = summary(sample)
    for name in SCORES:
        low, high = found.metrics[f"{name}_ci95"]
        assert found.metrics[name] == expected[name]
        assert low <= found.metrics[name] <= high
        assert low < high
    each, points = found.per_class, of_classes(sample)
    for name in CLASS_SCORES:
        assert (each[name] == points[name][0]).all()
        assert ((each[f"{name}_low"] <= each[name]) & (each[name] <= each[f"{name}_high"])).all()


def test_with_two_classes_the_auroc_of_all_and_of_each_has_one_interval() -> None:
    found = evaluate(tables(30, classes=["a", "b"]))
    expected = [found.metrics["auroc"], *found.metrics["auroc_ci95"]]
    each = found.per_class[["auroc", "auroc_low", "auroc_high"]].to_numpy()
    np.testing.assert_allclose(each, [expected] * 2, atol=1e-12)


def test_images_of_few_groups_say_less_than_as_many_of_their_own() -> None:
    table = clustered(CLASSES, 12, seed=9, size=30)
    together = evaluate(table).metrics["accuracy_ci95"]
    apart = evaluate(table.assign(group="")).metrics["accuracy_ci95"]
    assert together[1] - together[0] > 1.5 * (apart[1] - apart[0])


def held(**groups: int) -> pd.DataFrame:
    """Draw a test part whose classes have so many groups each, one image a group."""
    true = [name for name, count in groups.items() for _ in range(count)]
    rng = np.random.default_rng(len(true))
    return predictions(list(groups), true, rng.dirichlet(np.ones(len(groups)), len(true)).tolist())


@pytest.mark.parametrize(("a", "b", "few"), [(100, 5, True), (100, 19, True), (20, 20, False)])
def test_few_groups_of_the_smallest_class_are_said(a: int, b: int, few: bool) -> None:
    found = evaluate(held(a=a, b=b)).metrics
    assert found["few_groups"] == few
    assert found["smallest_class"] == {"class": "a" if a == b else "b", "groups": b}


def test_a_score_of_1_has_wilson_s_interval_of_its_groups() -> None:
    true = ["a"] * 6 + ["b"] * 3
    shares = [[0.9, 0.1]] * 6 + [[0.2, 0.8]] * 3
    groups = ["p1", "p1", "p2", "p3", "p4", "p5", "q1", "q2", "q2"]
    found = evaluate(predictions(["a", "b"], true, shares, groups))
    assert found.metrics["accuracy_ci95"] == pytest.approx([least(7), 1])
    distances = (1 - least(5)) ** 2 + (1 - least(2)) ** 2
    assert found.metrics["balanced_accuracy_ci95"] == pytest.approx([1 - distances**0.5 / 2, 1])
    each = found.per_class.set_index("class")
    assert each["recall_low"].tolist() == pytest.approx([least(5), least(2)])
    assert each.loc["a", "specificity_low"] == pytest.approx(least(2))
    assert each["auroc_low"].tolist() == pytest.approx([least(4 / (1 / 5 + 1 / 2))] * 2)


def test_with_under_5_groups_of_a_class_macro_f1_and_mcc_have_no_interval() -> None:
    few, enough = (evaluate(held(a=40, b=count)).metrics for count in (4, 5))
    for name in ("macro_f1", "mcc"):
        assert not math.isnan(few[name])
        assert few[f"{name}_ci95"] is None
        low, high = enough[f"{name}_ci95"]
        assert low < enough[name] < high
    assert few["balanced_accuracy_ci95"] is not None


def nothing_known(content: dict[str, Any], name: str) -> bool:
    return math.isnan(content[name]) and content[f"{name}_ci95"] is None


def test_no_image_at_all_gives_nulls_and_empty_tables(tmp_path: Path) -> None:
    found = evaluate(predictions(["a", "b"], [], []), EvaluationSettings(positive="b"))
    metrics = found.metrics
    assert (metrics["n"], metrics["groups"], metrics["few_groups"]) == (0, 0, True)
    assert all(nothing_known(metrics, name) for name in SCORES)
    assert nothing_known(metrics["per_patient"], "accuracy")
    assert nothing_known(metrics["operating_point"], "sensitivity")
    assert found.roc.empty
    assert found.precision_recall.empty
    assert found.reliability["n"].sum() == 0
    evaluation.write(found, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["accuracy"] is None
    assert (tmp_path / "per_class.csv").read_text().splitlines()[1] == "a,0" + "," * 24


def test_one_image_has_a_score_and_the_widest_interval() -> None:
    found = evaluate(predictions(CLASSES, ["a"], [[0.8, 0.1, 0.1]]))
    assert found.metrics["accuracy"] == 1
    assert found.metrics["accuracy_ci95"] == pytest.approx([least(1), 1])
    assert nothing_known(found.metrics, "auroc")
    assert found.metrics["log_loss_ci95"] is None


def test_one_group_has_a_score_and_no_interval() -> None:
    table = tables(classes=["a", "b"]).assign(group="the one")
    found = evaluate(table)
    assert 0 < found.metrics["accuracy"] < 1
    assert all(found.metrics[f"{name}_ci95"] is None for name in SCORES)
    assert found.per_class["recall_low"].isna().all()
    assert found.metrics["per_patient"]["n"] == 2, "one unit a class"


def test_a_class_of_one_patient_has_a_recall_and_no_interval() -> None:
    table = tables(60)
    table = table[(table["label"] != "c") | (table["split"] == "val")]
    one = clustered(["c"], 1, seed=1).assign(p_a=0.3, p_b=0.3, p_c=0.4, predicted="c")
    one = pd.concat([one, one.assign(path="x", predicted="a", p_a=0.6)], ignore_index=True)
    row = evaluate(pd.concat([table, one], ignore_index=True)).per_class.set_index("class").loc["c"]
    assert 0 < row["recall"] < 1
    assert row[["recall_low", "recall_high", "auroc_low"]].isna().all()


def test_nothing_is_chosen_on_the_test_part() -> None:
    table = tables(classes=["a", "b"])
    settings = EvaluationSettings(positive="b", sensitivity=0.9)
    other = table.copy()
    test = other["split"] == "test"
    other.loc[test, ["p_a", "p_b"]] = other.loc[test, ["p_b", "p_a"]].to_numpy()
    assert evaluate(table, settings).calibration == evaluate(other, settings).calibration
    without = evaluate(table[table["split"] == "test"], settings)
    assert without.calibration.content()["threshold"] == 0.5
    assert without.metrics["operating_point"]["chosen_on"] == "default"
    assert set(without.reliability["when"]) == {"before"}


def test_the_operating_point_counts_images_at_or_above_the_threshold() -> None:
    true = ["b", "b", "b", "a", "a"]
    shares = [[1 - p, p] for p in (0.9, 0.5, 0.3, 0.6, 0.2)]
    settings = EvaluationSettings(positive="b")
    point = evaluate(predictions(["a", "b"], true, shares), settings).metrics["operating_point"]
    assert (point["threshold"], point["rule"]) == (0.5, "fixed beforehand")
    assert point["sensitivity"] == pytest.approx(2 / 3)
    assert point["specificity"] == pytest.approx(1 / 2)


def test_patients_are_counted_once_whatever_their_images() -> None:
    shares = [[0.9, 0.1], [0.45, 0.55], [0.45, 0.55], [0.2, 0.8]]
    found = evaluate(predictions(["a", "b"], list("aaab"), shares, list("pppq"))).metrics
    assert found["accuracy"] == pytest.approx(2 / 4)
    assert found["per_patient"]["n"] == 2
    assert found["per_patient"]["accuracy"] == 1
    assert found["per_patient"]["accuracy_ci95"] == pytest.approx([least(2), 1])


def test_all_intervals_of_a_thousand_images_take_less_than_two_seconds() -> None:
    classes = [f"c{place}" for place in range(10)]
    sample = read_sample(drawn(classes, 1000, seed=1), classes)
    start = time.perf_counter()
    draws = evaluation.draw(sample)
    evaluation.summarise(sample, METRICS, draws)
    evaluation.per_class(sample, draws)
    taken = time.perf_counter() - start
    print(f"{taken:.2f} s")
    assert sample.group_count == 1000
    assert taken < 2 * 3, "three times as long, on a machine that does something else besides"


def test_every_table_reads_back_as_it_was_written_and_equal_predictions_give_equal_bytes(
    tmp_path: Path,
) -> None:
    found = evaluate(tables(25, ["001", "NA"]))
    again = tmp_path / "again"
    again.mkdir()
    evaluation.write(found, tmp_path)
    evaluation.write(evaluate(tables(25, ["001", "NA"])), again)
    assert all(path.read_bytes() == (tmp_path / path.name).read_bytes() for path in again.iterdir())
    for name in (
        "per_class", "roc", "precision_recall", "reliability", "confidences", "class_reliability",
        "calibration_curve", "net_benefit",
    ):  # fmt: skip
        back = read_table(tmp_path / f"{name}.csv")
        pd.testing.assert_frame_equal(
            back, getattr(found, name), check_dtype=False, check_column_type=False
        )


def test_a_calibrated_network_has_no_calibration_error_beyond_chance_however_few_images() -> None:
    rng = np.random.default_rng(3)
    plain, excess = [], []
    for _ in range(60):
        shares = rng.beta(2, 2, 31)
        true = np.where(rng.random(31) < shares, "b", "a").tolist()
        both = np.stack([1 - shares, shares], axis=1).tolist()
        found = summary(read_sample(predictions(["a", "b"], true, both), ["a", "b"]))
        plain.append(found["ece"])
        excess.append(found["ece_excess"])
    assert np.mean(plain) > 0.1, "what chance alone shows on 31 images"
    assert abs(np.mean(excess)) < 0.02


def test_a_network_that_is_too_sure_has_a_calibration_error_beyond_chance() -> None:
    # 40 images, all with confidence 0.9, half of them right: an error of 0.4 in one bin; were
    # they right with the probability 0.9, |Binomial(40, 0.9) / 40 - 0.9| is 0.03706 in the mean
    true = ["a", "b"] * 20
    found = evaluate(predictions(["a", "b"], true, [[0.9, 0.1]] * 40)).metrics
    assert found["ece"] == pytest.approx(0.4)
    assert found["ece_excess"] == pytest.approx(0.4 - 0.03706, abs=0.002)
    moved = found["ece_excess"] - found["ece"]
    assert found["ece_excess_ci95"] == pytest.approx([bound + moved for bound in found["ece_ci95"]])
