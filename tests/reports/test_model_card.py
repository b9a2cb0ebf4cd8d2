import json
import math
from typing import Any

from reports.model_card import render_card
from tests.reports.test_html import EVIL, METRICS, content, scores


def head(card: str) -> dict[str, Any]:
    """Read the fields at the head: names, each with its value in JSON."""
    _, fields, _ = card.split("---\n", 2)
    rows = (line.split(": ", 1) for line in fields.splitlines())
    return {name: json.loads(value) for name, value in rows}


def test_the_head_holds_the_figures_that_are_defined() -> None:
    metrics = METRICS | {"auroc": math.nan, "macro_f1": None}
    found = head(render_card(content(metrics=metrics), "resnext50_32x4d"))
    assert found["pipeline_tag"] == "image-classification"
    (index,) = found["model-index"]
    (result,) = index["results"]
    assert index["name"] == "resnext50_32x4d"
    assert result["dataset"]["split"] == "test"
    assert result["metrics"] == [
        {"type": "accuracy", "value": 0.578},
        {"type": "balanced_accuracy", "value": 0.419},
        {"type": "log_loss", "value": 0.7},
    ]


def test_without_a_score_there_is_no_result() -> None:
    metrics = dict.fromkeys(METRICS, math.nan) | {"n": 0, "groups": 0}
    (index,) = head(render_card(content(metrics=metrics), "x"))["model-index"]
    assert index["results"] == []


def test_the_card_says_what_the_report_says() -> None:
    card = render_card(content(per_class=scores(["a", "b"])), "resnext50_32x4d")
    assert "2.2 percentage points above always answering “a”" in card.replace("\u00a0", " ")
    assert "| class | images | Precision | Recall | Specificity | F1 |" in card
    assert "not a medical device" in card
    assert "> Read this first." in card
    assert "$ python flows/full_pipeline.py --data images" in card


def test_names_from_the_data_stay_in_their_place() -> None:
    name = EVIL + "\n# heading | cell `code`"
    metrics = METRICS | {"smallest_class": {"class": name, "groups": 1}}
    given = content(classes=[name, "b"], data_name=name, command="```\nrm", metrics=metrics)
    card = render_card(given, name)
    assert EVIL not in card.split("---\n", 2)[2]
    assert "\n# heading" not in card
    assert head(card)["tags"] == ["image-classification", name]
    rows = [line for line in card.splitlines() if line.startswith("| \\<script")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [7]
    assert "````console\n$ ``` rm\n````" in card


def test_cautions_of_the_split_and_a_synthetic_set_stand_at_the_head() -> None:
    leakage = {"strategy": "grouped", "warnings": ["no image in test of b: it can't be tested"]}
    card = render_card(content(leakage=leakage, synthetic=True), "x")
    assert "> No image in test of b" in card
    assert "> The images are synthetic drawings" in card


def test_a_pattern_in_a_caution_stands_as_code_that_can_be_pasted() -> None:
    pattern = r"--group-pattern '(?:^|/)(?P<group>[A-Z]+\d)_[^./]*$'"
    warning = f"groups are a guess: a_`b`.png was read as <b>. Right? Add {pattern}. Wrong?"
    card = render_card(content(leakage={"strategy": "grouped", "warnings": [warning]}), "x")
    assert (
        r"> Groups are a guess: a\_\`b\`.png was read as \<b\>. Right? "
        f"Add `{pattern}`. Wrong?\n"
    ) in card
