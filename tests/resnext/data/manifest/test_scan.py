"""The scan: its rows, what it remembers, what it refuses, and how it is told."""

import hashlib
import shutil
from pathlib import Path

import imagehash
import pandas as pd
import pytest
from PIL import Image

from resnext.contracts.tables import MANIFEST_COLUMNS, read_table, write_table
from resnext.data.manifest import reading
from resnext.data.manifest.describe import describe_scan
from resnext.data.manifest.scan import scan
from tests.resnext.data.samples import (
    jpeg_cut,
    message,
    picture,
    reasons,
    row,
    save,
    users_scan,
)


def test_a_row_says_what_is_in_the_file(tree: Path) -> None:
    path = save(tree / "cat" / "3.jpg", picture(64, 48))
    found = row(scan(tree), "cat/3.jpg")
    data = path.read_bytes()
    with Image.open(path) as image:
        phash = str(imagehash.phash(image))
    assert found == {
        "path": "cat/3.jpg",
        "label": "cat",
        "sha256": hashlib.sha256(data).hexdigest(),
        "phash": phash,
        "bytes": len(data),
        "width": 64,
        "height": 48,
        "mode": "RGB",
        "format": "JPEG",
        "orientation": 1,
    }


def test_columns_and_order_are_fixed(tree: Path) -> None:
    for name in ("Z.png", "a.png", "é.png", "_.png", "10.png"):
        save(tree / "cat" / name)
    table = scan(tree).manifest
    assert list(table.columns) == MANIFEST_COLUMNS
    paths = table["path"].tolist()
    assert paths == sorted(paths, key=lambda path: path.encode())
    assert table["width"].dtype == "int64"


# ---------------------------------------------------------------- what is remembered


def test_what_could_not_be_opened_is_tried_again(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    good = scan(tree)
    path = save(tree / "cat" / "new.png")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        bad = scan(tree, remembered=good.memory)
    assert reasons(bad) == {"cat/new.png": "can't be opened: Permission denied"}
    again = scan(tree, remembered=bad.memory)
    assert path.exists()
    assert again.opened == 1
    assert len(again.manifest) == 5


def test_an_unchanged_rescan_opens_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg_cut(tree / "dog" / "cut.jpg")
    first = scan(tree)

    def fail(*_: object) -> reading.Reading:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(reading, "_read", fail)
    again = scan(tree, remembered=first.memory)
    assert (first.opened, again.opened) == (5, 0)
    pd.testing.assert_frame_equal(again.manifest, first.manifest)
    pd.testing.assert_frame_equal(again.quarantine, first.quarantine)
    pd.testing.assert_frame_equal(again.memory, first.memory)


def test_only_what_changed_is_opened(tree: Path) -> None:
    first = scan(tree)
    save(tree / "cat" / "0.png", picture(seed=9))
    save(tree / "dog" / "1.png", picture(50, 60))
    (tree / "dog" / "2.png").rename(tree / "dog" / "3.png")
    second = scan(tree, remembered=first.memory)
    third = scan(tree, remembered=second.memory)
    assert (second.opened, third.opened) == (3, 0)
    pd.testing.assert_frame_equal(second.manifest, scan(tree).manifest)
    pd.testing.assert_frame_equal(third.manifest, second.manifest)


def test_memory_survives_a_table_on_disk_and_that_of_another_reader_is_not_trusted(
    tree: Path, tmp_path: Path
) -> None:
    first = scan(tree)
    write_table(first.memory, tmp_path / "memory.csv")
    assert scan(tree, remembered=read_table(tmp_path / "memory.csv")).opened == 0
    assert scan(tree, remembered=first.memory.assign(reader="0")).opened == 4
    assert scan(tree, remembered=first.memory.drop(columns="hashes")).opened == 4


# ---------------------------------------------------------------- one line for wrong input


def test_no_readable_picture_names_five_and_the_total(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[number % 2] / f"{number}.jpg").touch()
    text = message(tmp_path)
    assert text.startswith("data must hold a readable image, got a/0.jpg (empty file); ")
    assert text.count("(empty file)") == 5
    assert "and 2 more" in text


def test_a_second_class_without_a_readable_picture_is_said(tree: Path) -> None:
    for path in (tree / "dog").iterdir():
        path.write_bytes(b"")
    assert "of at least 2 classes, got only 'cat': dog/1.png (empty file)" in message(tree)


def test_classes_that_lie_a_folder_too_deep_are_named_with_what_helps(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for part in ("train", "test"):
        for label in "ab":
            save(root / part / "images" / label / "1.png")
    assert message(root).endswith(
        "If 'a' and 'b' are classes, put them in the place of 'images', as links if need be; else "
        "add images of a second class."
    )
    for part in ("train", "test"):
        (root / part / "images").rename(tmp_path / part)
        for label in "ab":
            (root / part / label).symlink_to(tmp_path / part / label)
    assert scan(root).manifest["label"].tolist() == ["a", "b", "a", "b"]


# ---------------------------------------------------------------- words, and the real thing


def test_the_description_counts_classes_faults_and_what_was_left_out(tree: Path) -> None:
    for number in range(6):
        (tree / "cat" / f"e{number}.png").touch()
    (tree / ".DS_Store").touch()
    lines = describe_scan(scan(tree))
    assert lines[0] == "4 images in 2 classes: cat 2, dog 2"
    assert lines[1] == "PNG 4; 40 x 30 px; identical files: 2 sets, 2 surplus"
    assert lines[2].startswith("6 quarantined: cat/e0.png (empty file); ")
    assert lines[2].endswith("cat/e4.png (empty file) and 1 more")
    assert lines[3] == "1 hidden or system entry left out"


def test_the_description_says_what_is_unequal_turned_and_there_twice(tree: Path) -> None:
    save(tree / "cat" / "grey.jpg", picture(20, 10, mode="L"))
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tree / "cat" / "turned.jpg", picture(200, 100), exif=exif)
    shutil.copy(tree / "cat" / "1.png", tree / "cat" / "again.png")
    assert describe_scan(scan(tree)) == [
        "7 images in 2 classes: cat 5, dog 2 (the largest is 2.5 times the smallest)",
        "PNG 5, JPEG 2; RGB 6, L 1; 20 x 10 to 200 x 100 px; 1 turned upright by their EXIF data; "
        "identical files: 2 sets, 3 surplus",
    ]


def test_the_users_pictures_are_all_found() -> None:
    found = users_scan()
    assert found.manifest["label"].value_counts().to_dict() == {"Others": 1162, "Monkeypox": 980}
    assert found.quarantine.empty
    same = found.manifest["sha256"].value_counts()
    assert (int((same > 1).sum()), int((same - 1).sum())) == (163, 174)
    assert set(found.manifest["orientation"]) == {1}
