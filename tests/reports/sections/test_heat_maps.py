import base64
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from reports import html
from reports.sections import heat_maps
from resnext.contracts.tables import confusion_table
from tests.reports.test_html import EVIL, Page, content

CLASSES = ["cat", "dog"]


def uri(name: str) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(name.encode()).decode()}"


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "path": "cat/1.jpg",
        "label": "cat",
        "group": "g1",
        "predicted": "dog",
        "confidence": 0.875,
        "kind": "mistake",
        "thumbnail": uri("thumbnail"),
        "heat": uri("heat"),
        "heat_true": uri("true"),
        "border_share": 0.3,
        "error": None,
    } | changes


RIGHT = {"predicted": "cat", "kind": "right", "heat_true": None}


def known(*pictures: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found = {"layer": "layer4", "cells": 7, "even_border_share": 0.36, "border_share": 0.3}
    return found | {"pictures": list(pictures)} | changes


def confused(wrong: int) -> Any:
    return confusion_table(np.array([[5, wrong], [0, 5]]), CLASSES, CLASSES)


def looked(*pictures: dict[str, Any], wrong: int = 1, **changes: Any) -> heat_maps.HeatMaps:
    found = heat_maps.lay_out(known(*pictures, **changes), confused(wrong))
    assert found is not None
    return found


def test_without_an_explanation_there_is_nothing_to_show() -> None:
    assert heat_maps.lay_out(None, confused(1)) is None
    assert "where the network looked" not in html.render_report(content(explained=None))


def test_a_mistake_shows_the_picture_and_a_map_of_either_class() -> None:
    (answer,) = looked(entry()).mistakes
    assert (answer.name, answer.label, answer.predicted) == ("1.jpg", "cat", "dog")
    assert answer.confidence == "87.5\u00a0%"
    assert [view.source for view in answer.views] == [uri("thumbnail"), uri("heat"), uri("true")]
    assert [view.title for view in answer.views] == ["the picture", "for “dog”", "for “cat”"]
    assert answer.views[2].alternative == "Heat map of 1.jpg for class cat"


def test_a_right_answer_shows_one_map() -> None:
    found = looked(entry(**RIGHT))
    assert found.mistakes == ()
    (answer,) = found.right
    assert [view.title for view in answer.views] == ["the picture", "for “cat”"]


def test_the_rest_of_many_mistakes_is_counted() -> None:
    assert looked(entry(), wrong=31).extent == "1 of 31 mistakes; all are in predictions.csv"
    assert looked(entry(), wrong=1).extent == "1 mistake"


@pytest.mark.parametrize(
    ("cells", "words"),
    [(1, "one single place"), (2, "2 by 2 places"), (3, "3 by 3 places"), (4, ""), (0, "")],
)
def test_coarse_maps_are_said_to_be_coarse(cells: int, words: str) -> None:
    found = looked(entry(), cells=cells).coarse
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.45, "Please check whether"), (0.449, "; an even map has 36.0\u00a0% there."), (None, "")],
)
def test_heat_at_the_border_is_warned_of_from_a_quarter_above_the_even_share_on(
    share: float | None, words: str
) -> None:
    found = looked(entry(), border_share=share).border
    assert words in found
    assert ("Please check" in found) == (share == 0.45)
    assert bool(found) == (share is not None)


def test_a_picture_that_is_gone_says_why_in_the_place_of_its_thumbnail() -> None:
    gone = entry(thumbnail=None, heat=None, heat_true=None, error="Picture 'cat/1.jpg' is gone.")
    page = Page(html.render_report(content(CLASSES, explained=known(gone))))
    assert page.text.count("no thumbnail") == 3
    assert "Picture 'cat/1.jpg' is gone." in page.text


@pytest.mark.parametrize("wrong", [True, False])
def test_no_mistake_and_no_right_answer_are_said_in_words(wrong: bool) -> None:
    pictures = known(entry() if wrong else entry(**RIGHT))
    text = Page(html.render_report(content(CLASSES, explained=pictures))).text
    assert ("No test picture was given its class." in text) == wrong
    assert ("No test picture was given a wrong class." in text) != wrong


def test_what_comes_from_the_data_is_escaped_and_no_address() -> None:
    evil = entry(path=f"{EVIL}/{EVIL}.jpg", label=EVIL, error=EVIL, thumbnail="https://x.example/")
    text = html.render_report(content(CLASSES, explained=known(evil, entry(predicted=EVIL))))
    assert EVIL not in text
    assert "x.example" not in text
    assert EVIL in Page(text).text


def test_pictures_have_alternative_texts_and_headings_stay_in_order() -> None:
    page = Page(html.render_report(content(CLASSES, explained=known(entry(), entry(**RIGHT)))))
    images = [found for tag, found in page.tags if tag == "img"]
    assert all(found.get("alt") for found in images)
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
