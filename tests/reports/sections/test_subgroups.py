"""Subgroups in the report: what is shown for few and for many classes, and what is said of gaps."""

import re

import numpy as np
import pandas as pd
import pytest

from reports.evaluation.covered import score_covered
from reports.evaluation.shortcuts import find_shortcuts
from reports.evaluation.subgroups import score_subgroups
from reports.sections import subgroups as words
from tests.reports.evaluation.samples import clustered
from tests.reports.evaluation.test_shortcuts import cues
from tests.reports.test_html import Page, render


def report(classes: int, positive: str | None = None) -> Page:
    names = [f"class {place:02d}" for place in range(classes)]
    table = clustered(names, 120 + 10 * classes, 1)
    wrong = np.arange(len(table)) % 3 == 0
    table.loc[wrong, "predicted"] = names[0]
    site = np.where(wrong, "<Porto>", "Lisbon")
    stated = pd.DataFrame({"path": table["path"], "attribute": "site", "subgroup": site})
    found = score_subgroups(table, stated)
    covered = pd.concat([table.assign(covered=part) for part in ("centre", "border")])
    audits = {
        "subgroups": found._asdict() | {"stated": True, "notes": ["age: cut into 3 bands."]},
        "shortcuts": find_shortcuts(cues(90, min(classes, 9))),
        "covered": score_covered(table, covered),
    }
    return render(classes=names, calibration={"positive": positive}, **audits)


@pytest.mark.parametrize("classes", [2, 9, 100])
def test_two_nine_and_a_hundred_classes_have_a_table_that_fits_a_page(classes: int) -> None:
    page = report(classes)
    heads = [text for text in page.texts if re.fullmatch(r"Recall of class \d\d", text)]
    assert len(heads) == (2 if classes == 2 else 0)
    for text in ("The score of subgroups", "By site", "<Porto>", "Widest gap", "cut into 3 bands"):
        assert text in page.text
    assert "Could it be a shortcut?" in page.text
    assert "No cue tells the class better than chance." in page.text
    assert "Without the centre, without the border" in page.text


def test_the_positive_class_of_many_has_its_recall() -> None:
    assert "Recall of class 03" in report(9, "class 03").text


def test_a_gap_of_shares_is_in_points() -> None:
    gap = {"attribute": "age", "figure": "accuracy", "class": "", "gap": 0.314, "low": 0.1}
    gaps = pd.DataFrame([gap | {"high": 0.5, "note": ""}])
    figures = pd.DataFrame([{"attribute": "age", "subgroup": "old", "images": 9, "groups": 9}])
    figures = figures.assign(figure="accuracy", value=0.7, low=0.6, high=0.8, note="")
    figures["class"] = ""
    column = words.columns(["a", "b"], None)[:1]
    (table,) = words.tables({"figures": figures, "gaps": gaps}, column)
    assert (table["gap"][0]["text"], table["gap"][0]["bounds"]) == (
        "31.4\u00a0points", "10 to 50\u00a0points",
    )  # fmt: skip
    assert table["rows"][0]["cells"][0]["text"] == "70.0\u00a0%"


def test_a_gap_that_is_clearly_above_0_is_said_in_words() -> None:
    assert "Accuracy by site: Lisbon lies" in report(9).text
    column = words.columns(["a", "b"], None)[0]
    gap = {"attribute": "age", "figure": "accuracy", "class": "", "gap": 0.314, "low": 0.1}
    gap |= {"high": 0.5, "highest": "18 to 37", "lowest": "60 to 79", "note": ""}
    for low, said in ((0.1, 1), (0.0, 0)):
        rows = pd.DataFrame([gap | {"low": low}])
        assert len(words.verdict({"gaps": rows}, [column])) == said
    (said_of_it,) = words.verdict({"gaps": pd.DataFrame([gap])}, [column])
    assert said_of_it == (
        "Accuracy by age: 18 to 37 lies 31.4 points above 60 to 79 "
        "(95\u00a0%: 10.0 to 50.0 points)."
    )


def test_a_report_of_an_older_run_has_no_such_sections() -> None:
    text = render().text
    assert "The score of subgroups" not in text
    assert "shortcut" not in text
