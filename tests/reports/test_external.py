"""The page of an external validation: what it says, and that names in it do nothing."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser

from reports.drift import since_training
from reports.evaluation import evaluate as evaluation
from reports.evaluation import external as comparing
from reports.evaluation import recalibration
from reports.evaluation.sample import read_sample
from reports.external import ExternalContent, render_external
from reports.sections import external
from tests.reports.evaluation.samples import clustered
from tests.reports.test_browser import CHROMIUM, STICKING_OUT, Seen, browser  # noqa: F401
from tests.reports.test_html import EVIL, PNG

FOUND = {
    "checked": True, "images": 60, "scored": 40, "groups": 30, "known": {"identical": 2},
    "left_out": {"identical": 2, "class that the model lacks": 18}, "lacking": {EVIL: 18},
    "absent": [], "evidence": "names", "group_warnings": [], "unreadable": 7,
}  # fmt: skip
RULE = {"temperature": 1.5, "positive": None, "threshold": None}
SAME: dict[str, list[str]] = {"external": [], "internal": []}
PAIRS = {"n": 3, "accuracy": [1.0, 2 / 3], "difference": {}, "most_apart": 0.2}


@cache
def evaluated(classes: tuple[str, ...]) -> tuple[pd.DataFrame, evaluation.Evaluation, Any, Any]:
    own, new = (clustered(classes, 30, seed) for seed in (1, 2))
    found, then = evaluation.evaluate(new), evaluation.evaluate(own)
    fitted = recalibration.measure(read_sample(new, classes), RULE)
    return new, found, then, fitted


def content(*classes: str, **changed: Any) -> ExternalContent:
    new, found, then, fitted = evaluated(classes)
    comparison = {
        "scores": comparing.compare(then.metrics, found.metrics),
        "lacking": SAME,
        "in_both": PAIRS,
        "recalibration": fitted,
    }
    rows = [("Red/x.jpg", "Red", "identical", EVIL, "train")]
    split = pd.DataFrame({"path": ["a"], "label": [classes[0]], "split": ["test"]})
    known: dict[str, Any] = {
        "data_name": EVIL, "model": {"model": EVIL}, "command": f"evaluate.py {EVIL}",
        "environment": {"torch": "2"}, "found": FOUND, "split": split,
        "overlap": pd.DataFrame(rows, columns=["path", "label", "reason", "other", "split"]),
        "metrics": found.metrics, "per_class": found.per_class, "confusion": found.confusion,
        "calibration": RULE, "comparison": comparison, "figures": {"confusion": PNG},
        "drift": since_training(new, new, split.assign(group=""))[0],
    }  # fmt: skip
    return ExternalContent(**known | changed)


def headline(external_score: float, bounds: list[float] | None) -> str:
    metrics = {"balanced_accuracy": 0.8, "balanced_accuracy_ci95": [0.75, 0.85]}
    other = {"balanced_accuracy": external_score, "balanced_accuracy_ci95": bounds}
    return external.headline({"scores": comparing.compare(metrics, other), "lacking": SAME})


def test_the_headline_says_whether_chance_explains_the_difference() -> None:
    assert headline(0.5, [0.4, 0.6]) == (
        "Balanced accuracy 50.0 % (40-60) here, 80.0 % (75-85) on the model's own test part: -30.0 "
        "points (95 % interval -41.2 to -18.8). More than chance explains."
    )
    assert headline(0.78, [0.7, 0.9]).endswith("holds 0: there may be a true difference, or none.")
    assert headline(0.78, None).endswith("Whether chance explains it can't be told.")
    assert external.headline({"scores": []}).startswith("No metrics.json lies beside the model")


def test_what_is_read_with_the_score_is_said() -> None:
    found = FOUND | {"checked": False, "absent": ["a", "b"], "group_warnings": ["groups are"]}
    classes = pd.DataFrame({"class": ["x", "y", "z"], "support": [5, 3, 0]})
    classes = classes.assign(recall=[0.0, 1 / 3, math.nan], precision=[0.0, 0.5, math.nan])
    metrics = {"few_groups": True, "smallest_class": {"class": "x", "groups": 4}}
    notes = list(external.notes({"in_both": PAIRS}, found, metrics, classes))
    first = ["“x”", "Whether", "There", "Groups", "No", "3"]
    assert [note.split(" ")[0] for note in notes] == first
    assert notes[0] == "“x” was never recognised: 0 of 5 images."
    assert "100.0 % right then and 66.7 % now; probabilities differ by" in notes[5]
    assert list(external.notes({"in_both": None}, FOUND, {}, classes[1:])) == []


def test_where_a_class_is_missing_balanced_accuracies_stand_apart() -> None:
    metrics = {"balanced_accuracy": 0.651}, {"balanced_accuracy": 0.6}
    rows = comparing.compare(*metrics, same_classes=False)
    found = {"scores": rows, "lacking": SAME | {"external": ["Others"]}}
    assert external.headline(found) == (
        "Balanced accuracy 60.0 % here, 65.1 % on the model's own test part. They are not "
        "compared, since these images lack “Others”."
    )
    assert [bar["name"] for bar in external.bars(found)] == ["Balanced accuracy, these images"]


def test_files_that_could_not_be_used_are_counted() -> None:
    rows = external.left_out(FOUND)
    assert rows["Files that could not be used, see quarantine.csv"] == "7"
    assert not any("quarantine" in name for name in external.left_out(FOUND | {"unreadable": 0}))


def test_one_image_is_written_as_one() -> None:
    said = external.in_both(PAIRS | {"n": 1})
    assert said.startswith("1 scored image is in the model's own test part too, and is no evidence")


def test_recalibration_says_which_numbers_would_be_others() -> None:
    gained = {"name": "intercept and slope", "gain": 0.2, "gain_ci95": [0.1, 0.3], "slope": 0.5}
    gained |= {"would_be": {"temperature": 3.0, "threshold": 0.4}, "intercepts": {"b": 1.0}}
    failed = {"name": "intercept alone", "reason": "none fits"}
    found = {"reason": None, "parts": 5, "methods": [{"name": "as it is"}, failed, gained]}
    known = {"temperature": 1.5, "threshold": 0.5}
    one, other, last = external.recalibration({"recalibration": found}, known)
    assert one == "Intercept alone: not fitted, since none fits."
    assert "the probabilities are better than those that the model gives" in other
    assert "temperature would be 3.000 in place of 1.500, and the threshold 0.400" in other
    (_, same, _) = external.recalibration({"recalibration": found}, known | {"temperature": 3.0})
    assert "the temperature would stay 3.000, and the threshold" in same
    assert last.startswith("Nothing of the model was changed.")
    few = {"recalibration": {"reason": "there are 3 groups, fewer than 20"}}
    assert list(external.recalibration(few, known)) == [
        "Nothing was fitted: there are 3 groups, fewer than 20."
    ]


def test_the_short_table_has_both_scores_and_the_difference() -> None:
    row = external.short_rows(content("a", "b").comparison, {})[0]
    assert list(row) == ["score", "these images", "own test part", "difference"]
    alone = external.short_rows({"scores": []}, {"accuracy": 0.5, "accuracy_ci95": [0.4, 0.6]})
    assert alone[0] == {
        "score": "Accuracy", "these images": "50.0 % (40.0 % to 60.0 %)",
        "own test part": "n/a", "difference": "n/a",
    }  # fmt: skip


@pytest.mark.parametrize("few", [False, True])
def test_names_are_escaped_and_all_that_may_be_missing_may_be(few: bool) -> None:
    empty = {
        "scores": [],
        "lacking": SAME,
        "in_both": None,
        "recalibration": content("a", "b").comparison["recalibration"],
    }
    changed: dict[str, Any] = {"drift": None, "figures": {}, "comparison": empty} if few else {}
    page = render_external(content("a", "b", **changed))
    assert EVIL not in page
    assert "Would recalibration help here?" in page
    assert ("How these images differ" in page) is not few


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1100, "light")])
def test_the_page_opens_offline_and_nothing_sticks_out(
    browser: Browser,  # noqa: F811
    tmp_path: Path,
    width: int,
    scheme: str,
) -> None:
    file = tmp_path / "external.html"
    file.write_text(render_external(content(*[EVIL, "b", "c"])), encoding="utf-8")
    seen = Seen(browser, file, width, scheme)
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith("data:")] == [file.as_uri()]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.evaluate(STICKING_OUT) == []
    seen.page.close()
