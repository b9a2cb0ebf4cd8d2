from typing import Any

import pytest

from reports.sections import similar_images

PICTURE = "data:image/jpeg;base64,/9j/4AAQ+w=="


def row(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "near",
        "path": "Monkeypox/M01_01.jpg",
        "label": "Monkeypox",
        "part": "test",
        "picture": PICTURE,
        "other": "Others/N02_01.jpg",
        "other_label": "Others",
        "other_part": "train",
        "other_picture": PICTURE,
        "detail": "correlation 0.998",
    } | changes


def test_a_pair_says_what_it_is_in_words() -> None:
    (sheet,) = similar_images.sheets({"joined": [row()]})
    (pair,) = sheet.pairs
    assert (pair.kind, pair.detail, pair.disagree) == ("near-duplicate", "correlation 0.998", True)
    one, other = pair.pictures
    assert (one.name, one.label, one.part) == ("M01_01.jpg", "Monkeypox", "Test")
    assert (other.name, other.label, other.part) == ("N02_01.jpg", "Others", "Train")
    assert one.alternative == "Thumbnail of M01_01.jpg, class Monkeypox, part Test"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("exact", "identical file"),
        ("copy", "copy of one photograph"),
        ("group", "same group"),
        ("weak", "weak resemblance"),
        ("of tomorrow", "of tomorrow"),
    ],
)
def test_every_kind_has_its_words(kind: str, words: str) -> None:
    (sheet,) = similar_images.sheets({"listed": [row(kind=kind)]})
    assert sheet.pairs[0].kind == words


def test_what_crosses_comes_first_and_leaves_no_room_for_a_random_split() -> None:
    rows = {name: [row()] for name in ("listed", "joined", "random", "crossing")}
    assert [sheet.name for sheet in similar_images.sheets(rows)] == ["crossing", "joined", "listed"]
    clean = {"crossing": [], "random": [row()], "joined": []}
    assert [sheet.name for sheet in similar_images.sheets(clean)] == ["random"]
    assert similar_images.sheets({}) == []


def test_a_sheet_says_how_many_of_how_many_pairs_it_shows() -> None:
    rows = {"joined": [row()], "listed": [row(), row()]}
    near = {"joined_pairs": 1200, "listed_pairs": 2}
    some, all_of_them = similar_images.sheets(rows, near)
    assert some.extent == "1 of 1,200 pairs; all are in near.csv"
    assert all_of_them.extent == "2 pairs"
    assert [sheet.extent for sheet in similar_images.sheets(rows)] == ["1 pair", "2 pairs"]


@pytest.mark.parametrize("source", [PICTURE, "data:image/png;base64,iVBORw0KGgo="])
def test_a_thumbnail_is_kept_as_it_is(source: str) -> None:
    assert similar_images.thumbnail(source) == source


@pytest.mark.parametrize(
    "source",
    [
        *("", None, 7, "M01_01.jpg", "https://example.org/x.jpg", "javascript:alert(1)"),
        *("data:image/jpeg;base64,", "data:text/html;base64,AAAA", "data:image/svg+xml;base64,AA"),
        *(PICTURE + '" onerror="alert(1)', " " + PICTURE, PICTURE + "\n", PICTURE + "AAAA"),
        "DATA:image/jpeg;base64,AAAA",
    ],
)
def test_what_is_no_thumbnail_becomes_no_address(source: object) -> None:
    assert similar_images.thumbnail(source) == ""


def test_a_pair_without_anything_is_laid_out_nevertheless() -> None:
    (sheet,) = similar_images.sheets({"listed": [{}]})
    assert sheet.pairs[0].pictures[0] == similar_images.PairedImage("", "", "", "")
