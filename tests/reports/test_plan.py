from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from reports.plan import PlanContent, render_plan
from reports.sections import plan
from resnext.planning.cost import estimate
from resnext.planning.rules import as_table, decide
from tests.reports.test_html import EVIL
from tests.resnext.planning.test_facts import CPU, GPU, facts


def content(groups: dict[str, int], *, name: str = "pictures", **more: Any) -> PlanContent:
    counted = facts(groups, **more)
    decisions = decide(counted)
    return PlanContent(
        data_name=name,
        synthetic=False,
        facts=asdict(counted),
        decisions=as_table(decisions),
        expected=estimate(counted, {each.decides: each.value for each in decisions})._asdict(),
        command=f"full_pipeline.py --data {name}",
    )


def write_page(folder: Path, groups: dict[str, int], **more: Any) -> Path:
    file = folder / "plan.html"
    file.write_text(render_plan(content(groups, **more)), encoding="utf-8")
    return file


def test_the_page_shows_each_decision_with_its_value_reason_and_source() -> None:
    made = content({"a": 20, "b": 20})
    page = render_plan(made)
    for each in made.decisions:
        assert each["reason"].replace("'", "&#39;") in page
        assert each["source"] in page
    for text in ("5 folds", ">transfer<", "260 px", "full_pipeline.py"):
        assert text in page
    assert "About 1 minute: 6 trainings, 160 views of 40 originals" in page


def test_the_page_says_of_a_flag_that_was_given_that_it_was_asked_for() -> None:
    page = render_plan(content({"a": 20, "b": 20}, folds=4, views="d4"))
    assert "You asked for --folds 4." in page
    assert "You asked for --views d4." in page
    assert "4 folds" in page


def test_names_of_classes_do_nothing() -> None:
    page = render_plan(content({EVIL: 9, "b": 90}, name=EVIL))
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("known", [True, False])
def test_groups_that_are_not_known_are_warned_of(known: bool) -> None:
    found = {**content({"a": 20, "b": 20}).facts, "groups_known": known}
    assert bool(plan.caution(found)) is not known
    assert ("not known for sure" in plan.facts(found)["Groups"]) is not known


def test_no_class_is_the_largest_where_all_are_equal() -> None:
    assert plan.facts(asdict(facts({"a": 20, "b": 20})))["Originals of each class"] == "20"
    found = plan.facts(asdict(facts({"a": 20, "b": 21})))
    assert (found["Fewest originals"], found["Most originals"]) == ("a, 20", "b, 21")


def test_the_facts_name_the_machine() -> None:
    assert plan.facts(asdict(facts({"a": 3, "b": 3}, surroundings=CPU)))["Device"] == "CPU, 2 cores"
    found = plan.facts(asdict(facts({"a": 3, "b": 3}, surroundings=GPU)))
    assert found["Device"] == "CUDA, 24 GiB, 16 cores"


def test_a_terminal_shows_flag_value_and_reason() -> None:
    rows = plan.short_rows(content({"a": 2000, "b": 2000}, surroundings=GPU).decisions)
    assert [tuple(row)[:3] for row in rows] == [("flag", "value", "reason")] * 5
    assert {row["flag"]: row["value"] for row in rows} == {
        "--folds": "one split",
        "--preset": "finetune",
        "--class-weights": "none",
        "--image-size": "260",
        "--batch-size": "32",
    }
