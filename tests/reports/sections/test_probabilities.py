import math
from typing import Any

import pandas as pd
import pytest

from reports.model_card import render_card
from reports.sections import probabilities, score
from tests.reports.sections.test_score import plain
from tests.reports.test_html import content, render, scores

POINT: dict[str, Any] = {
    "positive": "Pox",
    "threshold": 0.5,
    "chosen_on": "default",
    "rule": "fixed beforehand",
    "sensitivity": 0.8,
    "sensitivity_ci95": [0.6, 0.9],
    "specificity": 0.9,
    "specificity_ci95": [0.8, 0.95],
    "prevalence": 0.4,
    "ppv": 0.842,
    "ppv_ci95": [0.7, 0.93],
    "npv": 0.871,
    "npv_ci95": None,
    "lr_positive": 8.0,
    "lr_positive_ci95": [4.1, 15.25],
    "lr_negative": None,
    "lr_negative_ci95": None,
    "at_prevalence": None,
}
RARE = {"prevalence": 0.02, "ppv": 0.14, "ppv_ci95": [0.08, 0.24], "npv": 0.995, "npv_ci95": None}
SLOPES = {
    "calibration_slope": [0.8, 0.8],
    "calibration_slope_low": [0.5, 0.5],
    "calibration_slope_high": [1.1, 1.1],
    "calibration_intercept": [0.25, -0.25],
    "calibration_intercept_low": [math.nan, math.nan],
    "calibration_intercept_high": [math.nan, math.nan],
}


def metrics(**point: Any) -> dict[str, Any]:
    return {"n": 40, "operating_point": POINT | point}


def test_the_table_says_what_each_figure_at_the_threshold_means() -> None:
    rows = probabilities.rows(metrics())
    assert [row["name"] for row in rows] == [
        "Sensitivity", "Specificity", "Positive predictive value", "Negative predictive value",
        "Positive likelihood ratio", "Negative likelihood ratio",
    ]  # fmt: skip
    assert plain(rows[2]["value"]) == "84.2 %"
    assert plain(rows[2]["bounds"]) == "70.0 % to 93.0 %"
    assert rows[2]["meaning"] == "of the images taken for “Pox” are of it"
    assert (rows[4]["value"], rows[4]["bounds"]) == ("8.00", "4.10 to 15.25")
    assert (rows[5]["value"], rows[5]["bounds"]) == ("n/a", "")


def test_predictive_values_are_said_for_the_test_part_and_for_the_prevalence_asked_for() -> None:
    (here,) = map(plain, probabilities.sentences(metrics(), scores(["Others", "Pox"])))
    assert here == (
        "At the threshold an answer “Pox” is right in 84.2 % and any other answer in 87.1 % "
        "(predictive values). That holds where the class is as frequent as in the test part, "
        "40.0 %. Where it is rarer, more of these answers are false alarms."
    )
    (there,) = map(
        plain, probabilities.sentences(metrics(at_prevalence=RARE), scores(["Others", "Pox"]))
    )
    assert there.endswith("40.0 %. Where it is 2.0 %, they are right in 14.0 % and in 99.5 %.")
    rows = probabilities.rows(metrics(at_prevalence=RARE))
    assert [row["name"] for row in rows[6:]] == [
        "Positive predictive value",
        "Negative predictive value",
    ]
    assert plain(rows[6]["meaning"]).endswith("are of it, where 2.0 % are “Pox”")


def test_slope_and_intercept_of_the_positive_class_are_said() -> None:
    table = scores(["Others", "Pox"], **SLOPES)
    said = probabilities.sentences(metrics(), table)[1]
    assert said == (
        "The calibration slope of “Pox” is 0.80 (95\u00a0%: 0.50 to 1.10): 1 is right, below 1 the "
        "probabilities are too extreme. Its intercept is -0.25: 0 is right, below 0 they are too "
        "high."
    )
    assert "of “dog”" in probabilities.sentences({}, scores(["cat", "dog"], **SLOPES))[0]


@pytest.mark.parametrize(
    "table",
    [
        scores(["a", "b"]),
        scores(["a", "b"], **SLOPES | {"calibration_slope": [math.nan, math.nan]}),
        scores(["a", "b", "c"]),
    ],
)
def test_what_old_files_lack_and_what_is_undefined_is_not_said(table: pd.DataFrame) -> None:
    for found in ({}, {"operating_point": None}):
        assert not probabilities.shown(found, table)
    old = {"operating_point": {"positive": "b", "sensitivity": 0.5}}
    assert probabilities.rows(old) == []


def test_the_report_and_the_card_hold_it() -> None:
    given: dict[str, Any] = {"metrics": metrics(), "per_class": scores(["Others", "Pox"], **SLOPES)}
    page = render(classes=["Others", "Pox"], **given).text
    assert "Positive predictive value 84.2" in page.replace("\u00a0", " ")
    card = render_card(content(["Others", "Pox"], **given), "resnext50_32x4d")
    assert "The calibration slope of “Pox” is 0.80" in card


def test_how_many_more_groups_make_the_interval_narrow_is_said_where_it_is_wide() -> None:
    wide = {"more_groups": {"half_width": 0.05, "groups": 250}}
    assert score.sentences(wide, None, scores(["a"])) == [
        "About 250 more groups of the same kind in the test part would give an interval of the "
        "accuracy of ±5 points."
    ]
    assert score.sentences({"more_groups": None}, None, scores(["a"])) == []
