"""Subgroups: their figures are those of an evaluation of them alone; gaps are hand-computed."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import studentized_range

from reports.arrays import FloatArray
from reports.evaluation import intervals
from reports.evaluation.evaluate import evaluate
from reports.evaluation.subgroups import (
    LACKS_CLASSES,
    NOT_COMPARED,
    NOT_STATED,
    TOO_FEW,
    TUKEY,
    cut,
    gap_interval,
    score_subgroups,
)
from tests.reports.evaluation.samples import clustered

EMPTY = np.zeros((2, 1))


def attributes(predictions: pd.DataFrame, **columns: list[str]) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"path": predictions["path"], "attribute": name, "subgroup": values})
        for name, values in columns.items()
    ]
    return pd.concat(tables, ignore_index=True)


def drawn(classes: int = 2, groups: int = 90) -> tuple[pd.DataFrame, list[str]]:
    """Predictions, and the site of each image: groups have images of both."""
    table = clustered([f"c{n}" for n in range(classes)], groups, 0)
    return table, np.random.default_rng(1).choice(["x", "y"], len(table)).tolist()


def numbers(row: dict[Any, Any]) -> list[float]:
    return [row[name] for name in ("value", "low", "high")]


@pytest.mark.parametrize("classes", [2, 3])
def test_the_figures_of_a_subgroup_are_those_of_an_evaluation_of_its_images(classes: int) -> None:
    table, site = drawn(classes)
    found = score_subgroups(table, attributes(table, site=site)).figures
    for name in ("x", "y"):
        alone = evaluate(table[[each == name for each in site]])
        rows = found[found["subgroup"] == name].to_dict("records")
        mine = {(row["figure"], row["class"]): row for row in rows}
        for row in rows:
            assert (row["images"], row["groups"]) == (alone.metrics["n"], alone.metrics["groups"])
        for figure in ("accuracy", "balanced_accuracy", "auroc"):
            wanted = [alone.metrics[figure], *alone.metrics[f"{figure}_ci95"]]
            assert numbers(mine[figure, ""]) == pytest.approx(wanted)
        for row in alone.per_class.to_dict("records"):
            wanted = [row["recall"], row["recall_low"], row["recall_high"]]
            assert numbers(mine["recall", row["class"]]) == pytest.approx(wanted)


def test_the_gap_is_the_greatest_figure_less_the_smallest() -> None:
    table, site = drawn()
    result = score_subgroups(table, attributes(table, site=site))
    values = result.figures[result.figures["figure"] == "accuracy"].set_index("subgroup")["value"]
    gap = result.gaps[result.gaps["figure"] == "accuracy"].iloc[0]
    assert gap["gap"] == pytest.approx(values.max() - values.min())
    assert (gap["highest"], gap["lowest"]) == (values.idxmax(), values.idxmin())
    assert 0 <= gap["low"] <= gap["gap"] <= gap["high"]


def test_the_interval_of_two_independent_subgroups_is_that_of_a_difference() -> None:
    values, bounds = np.array([0.9, 0.6]), np.array([[0.8, 0.94], [0.4, 0.7]])
    apart = np.eye(2)  # each group moves one of them
    low, high = gap_interval(values, bounds, apart)
    wider = 1.960 / intervals.NORMAL
    assert low == pytest.approx(0.3 - wider * np.hypot(0.9 - 0.8, 0.7 - 0.6))
    assert high == pytest.approx(0.3 + np.hypot(0.94 - 0.9, 0.6 - 0.4))
    same = gap_interval(values, bounds, np.ones((2, 1)))  # each group moves both alike
    assert same == pytest.approx((0.3, 0.3 + 0.16))


def test_a_gap_of_near_figures_reaches_to_0_and_no_gap_beyond_1() -> None:
    values = np.array([0.9, 0.85, 0.88])
    low, _ = gap_interval(values, np.column_stack([values - 0.1, values + 0.05]), np.eye(3))
    assert low == 0
    ends: FloatArray = np.array([[0.9, 1.0], [0.0, 0.1]])
    assert gap_interval(np.array([1.0, 0.0]), ends, EMPTY)[1] == 1


def test_the_bounds_of_several_subgroups_are_those_of_the_studentised_range() -> None:
    found = [studentized_range.ppf(0.95, count, np.inf) / np.sqrt(2) for count in (2, 3, 6, 12)]
    assert [TUKEY[count - 2] for count in (2, 3, 6, 12)] == pytest.approx(found, abs=6e-4)
    assert len(TUKEY) == 11


def test_few_groups_are_said_instead_of_a_number() -> None:
    table, _ = drawn()
    few = set(table["group"].unique()[:4])
    site = ["x" if group in few else "y" for group in table["group"]]
    result = score_subgroups(table, attributes(table, site=site))
    mine = result.figures[result.figures["subgroup"] == "x"]
    assert set(mine["note"]) == {TOO_FEW}
    assert mine[["value", "low", "high"]].isna().all(axis=None)
    assert set(result.gaps["note"]) == {NOT_COMPARED}


def test_a_subgroup_that_lacks_a_class_is_not_compared_by_figures_over_classes() -> None:
    table, _ = drawn(3)
    site = [
        "x" if label == "c0" else "y" if n % 2 else "z" for n, label in enumerate(table["label"])
    ]
    result = score_subgroups(table, attributes(table, site=site))
    rows = result.figures.set_index(["subgroup", "figure", "class"])
    assert rows.loc[("x", "balanced_accuracy", ""), "note"] == LACKS_CLASSES
    assert rows.loc[("x", "accuracy", ""), "note"] == ""
    gaps = result.gaps.set_index(["figure", "class"])["note"]
    assert gaps["balanced_accuracy", ""] == NOT_COMPARED, "y and z lack c0"
    assert gaps["accuracy", ""] == ""


def parts(stated: list[str]) -> tuple[dict[str, int], str]:
    found, note = cut(pd.Series(stated, dtype="str"), np.arange(len(stated)))
    return {name: int(rows.sum()) for name, rows in found.items()}, note


def test_many_numbers_are_cut_into_bands_and_few_are_not() -> None:
    assert parts([str(age) for age in range(18, 78)] + [""]) == (
        {"18 to 37": 20, "38 to 57": 20, "58 to 77": 20, NOT_STATED: 1},
        "cut into 3 bands",
    )
    assert parts(["10", "9", "9", "10", "2.5"]) == ({"2.5": 1, "9": 2, "10": 2}, "")


@pytest.mark.parametrize(
    ("stated", "bands"),
    [
        (["0"] * 50 + [str(n) for n in range(1, 11)], {"0": 50, "1 to 10": 10}),
        ([str(n) for n in range(1, 10)] + ["10"] * 51, {"1 to 9": 9, "10": 51}),
        ([str(20240101 + n) for n in range(9)],
         {"20240101 to 20240103": 3, "20240104 to 20240106": 3, "20240107 to 20240109": 3}),
        (["1.00001", "1.00002", "1.00003", "1.00004", "1.00005", "1.00006", "1.00007"],
         {"1.00001 to 1.00003": 3, "1.00004 to 1.00005": 2, "1.00006 to 1.00007": 2}),
    ],
)  # fmt: skip
def test_each_number_is_in_a_band_whose_name_says_which(
    stated: list[str], bands: dict[str, int]
) -> None:
    assert parts(stated)[0] == bands


def test_one_number_is_one_subgroup_however_it_is_written() -> None:
    assert parts(["1", "1.0", "01", "2", "2e0"]) == ({"1": 3, "2": 2}, "")


@pytest.mark.parametrize("odd", ["inf", "-inf", "1e400", "123456789012345678901"])
def test_what_is_no_number_of_few_digits_is_a_text(odd: str) -> None:
    found, _ = parts([odd, *(str(n % 7) for n in range(14))])
    assert found == {odd: 1, **{str(n): 2 for n in range(7)}}


def test_texts_stay_as_they_are_and_rare_ones_are_put_together() -> None:
    assert parts(["II", "I", "II", ""]) == ({"I": 1, "II": 2, NOT_STATED: 1}, "")
    found, note = parts([f"v{n:02}" for n in range(15) for _ in range(20 - n)])
    assert len(found) == 10
    assert found["other (6 values)"] == sum(20 - n for n in range(9, 15))
    assert "put together" in note


def test_what_divides_nothing_is_left_out_and_said() -> None:
    assert parts(["a", "a"]) == ({}, "the same for all images (a)")
    assert parts(["", ""]) == ({}, f"the same for all images ({NOT_STATED})")
    found, note = parts([f"id{n}" for n in range(30)])
    assert found == {}
    assert note == "left out, since there are 30 different values for 30 images"


def test_without_test_images_there_is_nothing() -> None:
    table, site = drawn()
    result = score_subgroups(table.assign(split="val"), attributes(table, site=site))
    assert result.figures.empty
    assert result.gaps.empty
