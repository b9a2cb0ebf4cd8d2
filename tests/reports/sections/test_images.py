"""Pairs of images and heat maps: what is said of them, and how the page shows them."""

import base64
from typing import Any

import numpy as np
import pytest

from reports import html
from reports.evaluation.metrics import OF_FOLDS
from reports.sections import images
from resnext.contracts.tables import confusion_table
from tests.reports.test_html import EVIL, METRICS, PAIR, THUMBNAIL, Page, content, render

CLASSES = ["cat", "dog"]


# ---------------------------------------------------------------- pairs


def test_what_crosses_comes_first_and_leaves_no_room_for_a_random_split() -> None:
    rows = {name: [PAIR] for name in ("listed", "joined", "random", "crossing")}
    assert [sheet["name"] for sheet in images.sheets(rows, None)] == [
        "crossing",
        "joined",
        "listed",
    ]
    clean = {"crossing": [], "random": [PAIR], "joined": []}
    assert [sheet["name"] for sheet in images.sheets(clean, None)] == ["random"]
    assert images.sheets({}, None) == []


def test_a_sheet_says_how_many_of_how_many_pairs_it_shows() -> None:
    rows = {"joined": [PAIR], "listed": [PAIR, PAIR]}
    leakage = {"near": {"joined_pairs": 1200, "listed_pairs": 2}}
    some, all_of_them = images.sheets(rows, leakage)
    assert some["extent"] == "1 of 1,200 pairs; all are in near.csv"
    assert all_of_them["extent"] == "2 pairs"
    assert [sheet["extent"] for sheet in images.sheets(rows, {})] == ["1 pair", "2 pairs"]


@pytest.mark.parametrize("kind", [*images.KINDS, "of tomorrow"])
def test_pairs_are_shown_side_by_side_with_their_names_and_what_they_are(kind: str) -> None:
    page = render(pairs={"joined": [PAIR | {"kind": kind}]}, figures={})
    shown = [found for tag, found in page.tags if tag == "img"]
    assert [found["src"] for found in shown] == [THUMBNAIL] * 2
    assert [found["alt"] for found in shown] == [
        "Thumbnail of M01_01.jpg, class Monkeypox, part Test",
        "Thumbnail of M01_02.jpg, class Others, part Train",
    ]
    assert (
        f"M01_01.jpg Monkeypox · Test M01_02.jpg Others · Train {images.KINDS.get(kind, kind)} "
        ", correlation 0.998, mirrored left to right two classes"
    ) in page.text


def test_pairs_stand_by_kind_with_the_flag_that_mends_them() -> None:
    kinds = ["group", "near", "exact", "near"]
    pairs = {"crossing": [PAIR | {"kind": kind} for kind in kinds], "random": [PAIR]}
    (sheet,) = images.sheets(pairs, None)
    assert [(each["title"], len(each["pairs"])) for each in sheet["kinds"]] == [
        *(("identical file", 1), ("near-duplicate", 2), ("same group", 1)),
    ]
    text = render(pairs=pairs, figures={}).text
    assert "Near-duplicate --near-duplicates join keeps what looks the same on one side." in text
    assert "Same group --split grouped keeps all images of a group on one side." in text
    assert render(pairs={"listed": [PAIR | {"kind": "weak"}]}).text.count("Weak resemblance") == 0


def test_pairs_that_cross_are_a_warning_and_none_are_said_to_be_none() -> None:
    assert "Warning: on both sides of this split" in render(pairs={"crossing": [PAIR]}).text
    text = render(pairs={"crossing": [], "joined": []}).text
    assert "find every augmented, cropped or recoloured copy" in text
    assert "No pair was found that is worth a look." in text


@pytest.mark.parametrize("source", [THUMBNAIL, "data:image/png;base64,iVBORw0KGgo="])
def test_a_thumbnail_is_kept_as_it_is(source: str) -> None:
    assert images.thumbnail(source) == source


@pytest.mark.parametrize(
    "source",
    [
        *("", None, 7, "M01_01.jpg", "https://example.org/x.jpg", "javascript:alert(1)"),
        *("data:image/jpeg;base64,", "data:text/html;base64,AAAA", "data:image/svg+xml;base64,AA"),
        *(THUMBNAIL + '" onerror="alert(1)', " " + THUMBNAIL, THUMBNAIL + "\n"),
        *(THUMBNAIL + "==AAAA", "DATA:image/jpeg;base64,AAAA"),
    ],
)
def test_what_is_no_thumbnail_becomes_no_address(source: object) -> None:
    assert images.thumbnail(source) == ""
    pair = PAIR | {"picture": source, "other_picture": source}
    page = Page(html.render_report(content(pairs={"listed": [pair]}, figures={})))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert page.text.count("no thumbnail") == 2


# ---------------------------------------------------------------- heat maps


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


def known(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found = {"layer": "layer4", "cells": 7, "even_border_share": 0.36, "border_share": 0.3}
    return found | {"pictures": list(entries)} | changes


def laid_out(*entries: dict[str, Any], wrong: int = 1, **changes: Any) -> dict[str, Any]:
    counts = confusion_table(np.array([[5, wrong], [0, 5]]), CLASSES, CLASSES)
    found = images.heat_maps(known(*entries, **changes), counts)
    assert found is not None
    return found


def page_of(*entries: dict[str, Any]) -> Page:
    return render(classes=CLASSES, figures={}, explained=known(*entries))


def test_without_an_explanation_there_is_nothing_to_show() -> None:
    assert "where the network looked" not in html.render_report(content(explained=None))


def test_a_mistake_shows_the_image_and_a_map_of_either_class_and_a_right_answer_one() -> None:
    page = page_of(entry())
    shown = [(found["src"], found["alt"]) for tag, found in page.tags if tag == "img"]
    assert shown == [
        (uri("thumbnail"), "Thumbnail of 1.jpg"),
        (uri("heat"), "Heat map of 1.jpg for class dog"),
        (uri("true"), "Heat map of 1.jpg for class cat"),
    ]
    assert "the image for “dog” for “cat” cat taken for dog , 87.5 % sure 1.jpg" in page.text
    right = page_of(entry(**RIGHT))
    assert "the image for “cat” cat , found, 87.5 % sure 1.jpg" in right.text
    assert len([tag for tag, _ in right.tags if tag == "img"]) == 2


def test_a_first_fold_without_a_mistake_hides_none_of_the_others() -> None:
    row = {metric.name: 0.5 for metric in OF_FOLDS}
    page = render(
        classes=CLASSES, figures={}, explained=known(entry(**RIGHT)),
        confusion=confusion_table(np.array([[5, 1], [0, 5]]), CLASSES, CLASSES),
        metrics=METRICS
        | {"folds": {"folds": 3, "repeats": 1, "each": [], "mean": row, "deviation": row}},
    )  # fmt: skip
    assert "The first fold has none; 1 answer of the other folds is wrong" in page.text
    assert "No test image was given a wrong class" not in page.text


def test_the_rest_of_many_mistakes_is_counted() -> None:
    assert laid_out(entry(), wrong=31)["extent"] == "1 of 31 mistakes; all are in predictions.csv"
    assert laid_out(entry(), wrong=1)["extent"] == "1 mistake"


@pytest.mark.parametrize(
    ("cells", "words"),
    [(1, "one single place"), (2, "2 by 2 places"), (3, "3 by 3 places"), (4, ""), (0, "")],
)
def test_coarse_maps_are_said_to_be_coarse(cells: int, words: str) -> None:
    found = laid_out(entry(), cells=cells)["coarse"]
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.45, "Please check whether"), (0.449, "; an even map has 36.0\u00a0% there."), (None, "")],
)
def test_heat_at_the_border_is_warned_of_from_a_quarter_above_the_even_share_on(
    share: float | None, words: str
) -> None:
    found = laid_out(entry(), border_share=share)["border"]
    assert words in found
    assert ("Please check" in found) == (share == 0.45)
    assert bool(found) == (share is not None)


def test_an_image_that_is_gone_says_why_in_the_place_of_its_thumbnail() -> None:
    gone = entry(thumbnail=None, heat=None, heat_true=None, error="Image 'cat/1.jpg' is gone.")
    page = page_of(gone)
    assert page.text.count("no thumbnail") == 3
    assert "Image 'cat/1.jpg' is gone." in page.text


@pytest.mark.parametrize("wrong", [True, False])
def test_no_mistake_and_no_right_answer_are_said_in_words(wrong: bool) -> None:
    text = page_of(entry() if wrong else entry(**RIGHT)).text
    assert ("No test image was given its class." in text) == wrong
    assert ("No test image was given a wrong class." in text) != wrong


def test_what_comes_from_the_data_is_escaped_and_no_address() -> None:
    evil = entry(path=f"{EVIL}/{EVIL}.jpg", label=EVIL, error=EVIL, thumbnail="https://x.example/")
    text = html.render_report(content(CLASSES, explained=known(evil, entry(predicted=EVIL))))
    assert EVIL not in text
    assert "x.example" not in text
    assert EVIL in Page(text).text
