"""A few images of each class and part are chosen for a reader to see."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from resnext.data.split.gallery import EACH, MOST, gallery
from tests.resnext.data.samples import picture, save

Rows = list[tuple[str, str, str, str]]
"""Path, split, original and group of images, whose class is their folder."""


def chosen(root: Path, rows: Rows) -> list[dict[str, Any]]:
    table = pd.DataFrame(rows, columns=["path", "split", "original", "group"])
    table["label"] = table["path"].str.partition("/")[0]
    table["sha256"] = [
        hashlib.sha256(save(root / path, picture(8, 8, seed=0)).read_bytes()).hexdigest()
        for path in table["path"]
    ]
    return gallery(root, table.drop(columns="split"), table[["path", "split"]])


def test_each_class_and_part_shows_a_few_originals_of_other_groups_first(tmp_path: Path) -> None:
    rows = [(f"a/{n}.png", "train", f"o{n}", "one" if n < 2 else f"g{n}") for n in range(6)]
    rows += [("a/0_copy.png", "train", "o0", "one"), ("a/9.png", "unused", "o9", "g9")]
    rows += [("b/1.png", "test", "p1", "h1"), ("a/7.png", "val", "o7", "g7")]
    found = chosen(tmp_path, rows)
    assert [each["path"] for each in found] == [
        *("a/0.png", "a/2.png", "a/3.png", "a/7.png", "b/1.png")
    ]
    assert Counter(each["part"] for each in found) == {"train": EACH, "val": 1, "test": 1}
    assert all(each["picture"].startswith("data:image/jpeg;base64,") for each in found)


@pytest.mark.parametrize(("classes", "least", "most"), [(40, 2, 3), (MOST, 1, 1)])
def test_many_classes_show_fewer_images_each_and_none_is_left_out(
    tmp_path: Path, classes: int, least: int, most: int
) -> None:
    rows = [
        (f"c{label:03}/{part}.png", part, f"{label}{part}", f"{label}{part}")
        for label in range(classes)
        for part in ("train", "val", "test")
    ]
    shown = Counter(each["label"] for each in chosen(tmp_path, rows))
    assert (shown.total(), len(shown)) == (MOST, classes)
    assert (min(shown.values()), max(shown.values())) == (least, most)
