from typing import Any

import pandas as pd
import pytest

from reports.sections import folder

COLUMNS = ["path", "label", "sha256", "width", "height", "mode", "format", "orientation"]
ROWS = [
    ("a/1.jpg", "a", "s1", 40, 30, "RGB", "JPEG", 1),
    ("a/2.jpg", "a", "s1", 40, 30, "RGB", "JPEG", 1),
    ("a/3.jpg", "a", "s2", 20, 10, "L", "JPEG", 0),
    ("b/4.png", "b", "s3", 100, 200, "RGBA", "PNG", 6),
    ("a/5.png", "a", "s1", 40, 30, "RGB", "PNG", 3),
    ("b/6.gif", "b", "s2", 50, 60, "RGB", "GIF", 1),
]


def manifest(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_the_folder_by_hand() -> None:
    facts = {name: plain(text) for name, text in folder.facts(manifest(ROWS), 3).items()}
    assert facts == {
        "Images": "6",
        "Classes": "2",
        "Imbalance": "“a” is 2.0 times as large as “b” (4 against 2)",
        "Formats": "JPEG 3, PNG 2, GIF 1",
        "Sizes": "20 x 10 px to 200 x 100 px, median 40 x 30 px",
        "Colours": "RGB 4, grey 1, RGB with transparency 1",
        "Turned upright (EXIF)": "2 images",
        "Identical files": "3 surplus files in 2 sets",
        "Unusable files": "3",
    }


def test_a_plain_folder_has_one_size_no_word_on_colours_and_nothing_amiss() -> None:
    rows = [("a/1", "a", "s1", 8, 9, "RGB", "PNG", 1), ("b/2", "b", "s2", 8, 9, "RGB", "PNG", 1)]
    facts = folder.facts(manifest(rows), 0)
    assert plain(facts["Sizes"]) == "8 x 9 px, all of them"
    assert "Colours" not in facts
    assert facts["Imbalance"] == "none, 1 image each"
    amiss = ["Turned upright (EXIF)", "Identical files", "Unusable files"]
    assert [facts[name] for name in amiss] == ["none"] * 3


def test_a_folder_without_a_readable_image_says_so() -> None:
    assert folder.facts(manifest([]), 1) == {
        "Images": "0",
        "Classes": "0",
        "Unusable files": "1",
    }


@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        (8, "40 x 30 px, all of them"),  # stored on its side, as it is seen
        (1, "30 x 40 px to 40 x 30 px, median 30 x 40 px"),  # equal areas are not one size
    ],
)
def test_sizes_are_those_of_the_upright_images(orientation: int, words: str) -> None:
    first = ("a", "a", "s", 30, 40, "RGB", "JPEG", orientation)
    rows = [first, ("b", "a", "t", 40, 30, "RGB", "JPEG", 1)]
    assert plain(folder.image_sizes(manifest(rows))) == words


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("a" * 41 + "b" * 40, "hardly any, 40 to 41 images each"),
        ("a" * 42 + "b" * 40, "“a” is 1.1 times as large as “b” (42 against 40)"),
        ("aaabcc", "“a” is 3.0 times as large as “b” (3 against 1)"),
        ("ccbbba", "“b” is 3.0 times as large as “a” (3 against 1)"),
        ("abba", "none, 2 images each"),
        ("aaa", "there is one class only"),
    ],
)
def test_imbalance_names_the_largest_and_the_smallest_class(labels: str, words: str) -> None:
    assert folder.imbalance(pd.Series(list(labels))) == words
