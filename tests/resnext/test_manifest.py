"""The scan: what it keeps, what it quarantines and why, and that it changes nothing."""

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from resnext import manifest, pictures
from resnext.errors import InputError
from resnext.manifest import describe, read_manifest, read_table, scan, scan_pictures, write_table

DATA = [
    Path(__file__).parents[2] / "data" / "45-data",
    Path(__file__).parents[3] / "shared" / "data" / "45-data",
]


def picture(width: int = 40, height: int = 30, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Draw something that has an up, a down, a left and a right."""
    image = Image.new("RGB", (width, height), (200, 160, 140))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width // 2, height // 3), fill=(20 + seed % 200, 40, 90))
    pen.ellipse((width // 2, height // 2, width - 2, height - 2), fill=(250, 240, 80))
    return image.convert(mode)


def save(path: Path, image: Image.Image | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = options.pop("format", None)
    (image or picture()).save(path, None if kind is None else str(kind), **options)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes with two good pictures each."""
    root = tmp_path / "data"
    for label in ("cat", "dog"):
        for number in (1, 2):
            save(root / label / f"{number}.png", picture(seed=50 * number + len(label)))
    return root


def snapshot(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def reasons(found: manifest.Scan) -> dict[str, str]:
    return dict(zip(found.quarantine["path"], found.quarantine["reason"], strict=True))


def row(found: manifest.Scan, path: str) -> dict[str, Any]:
    rows = found.manifest[found.manifest["path"] == path].to_dict("records")
    assert len(rows) == 1
    return {str(key): value for key, value in rows[0].items()}


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
    assert list(table.columns) == manifest.COLUMNS
    paths = table["path"].tolist()
    assert paths == sorted(paths, key=lambda path: path.encode())
    assert table["width"].dtype == "int64"


def jpeg_cut(path: Path) -> None:
    data = save(path, picture(200, 200), format="JPEG").read_bytes()
    path.write_bytes(data[: len(data) // 2])


def png_cut(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    data = save(path, Image.fromarray(noise), format="PNG").read_bytes()
    path.write_bytes(data[: len(data) // 2])


def bmp_cut(path: Path) -> None:
    data = save(path, picture(), format="BMP").read_bytes()
    path.write_bytes(data[: len(data) // 2])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut.jpg": (jpeg_cut, "truncated"),
    "cut.png": (png_cut, "truncated"),
    "cut.bmp": (bmp_cut, "truncated"),
    "empty.jpg": (lambda path: path.touch(), "empty file"),
    "text.jpg": (lambda path: path.write_text("I am no picture\n"), "not a picture"),
    "header.jpg": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0"), "not a picture"),
    "table.csv": (lambda path: path.write_text("a,b\n1,2\n"), "not a picture"),
    "page.eps": (lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n"), "not a picture"),
    "lab.tif": (lambda path: Image.new("LAB", (20, 20)).save(path), "can't be used"),
    "broken": (lambda path: path.symlink_to("nowhere"), "broken link"),
    "loop": (lambda path: path.symlink_to("loop"), "link loop"),
    "outside": (lambda path: path.symlink_to(__file__), "outside the folder"),
    "turn": (lambda path: path.symlink_to("../dog"), "link to a folder"),
    "pipe": (os.mkfifo, "not a regular file"),
    "a\nb.png": (save, "control character"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_is_quarantined_with_its_reason(tree: Path, name: str) -> None:
    make, reason = FAULTS[name]
    make(tree / "cat" / name)
    found = scan(tree)
    shown = name.replace("\n", "\\x0a")
    assert list(reasons(found)) == [f"cat/{shown}"]
    assert reason in reasons(found)[f"cat/{shown}"]
    assert len(found.manifest) == 4


def test_a_decompression_bomb_is_a_reason_and_no_warning(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tree / "cat" / "big.png", picture(100, 100))
    save(tree / "cat" / "bigger.png", picture(300, 300))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)
    found = reasons(scan(tree))
    assert found["cat/big.png"].startswith("decompression bomb: Image size (10000 pixels)")
    assert found["cat/bigger.png"].startswith("decompression bomb: Image size (90000 pixels)")


def test_a_huge_file_is_not_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "cat" / "film.png").write_bytes(b"x" * 5000)
    monkeypatch.setattr(manifest, "LARGEST_FILE", 4000)
    assert reasons(scan(tree)) == {"cat/film.png": "5,000 bytes, more than 4,000"}


def test_a_file_without_permission_is_quarantined(tree: Path) -> None:
    path = save(tree / "cat" / "locked.png")
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        assert reasons(scan(tree)) == {"cat/locked.png": "can't be opened: Permission denied"}
    finally:
        path.chmod(0o644)


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


def test_files_outside_the_class_folders_are_quarantined(tree: Path) -> None:
    save(tree / "loose.png")
    (tree / "labels.csv").write_text("a,b\n")
    assert reasons(scan(tree)) == {
        "labels.csv": "lies outside the class folders",
        "loose.png": "lies outside the class folders",
    }


def test_an_empty_class_folder_is_not_lost(tree: Path) -> None:
    (tree / "empty").mkdir()
    assert reasons(scan(tree)) == {"empty": "class folder without a picture"}


def test_hidden_and_system_entries_are_left_out_and_counted(tree: Path) -> None:
    for name in (".hidden.png", "__MACOSX/1.png", ".git/1.png"):
        save(tree / "cat" / name)
    for name in (".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini"):
        (tree / name).touch()
    found = scan(tree)
    assert len(found.manifest) == 4
    assert found.quarantine.empty
    assert found.left_out == 7


ODD: dict[str, tuple[Image.Image, dict[str, object], tuple[str, str]]] = {
    "cmyk.jpg": (picture(mode="CMYK"), {}, ("CMYK", "JPEG")),
    "grey.jpg": (picture(mode="L"), {}, ("L", "JPEG")),
    "palette.png": (picture(mode="P"), {}, ("P", "PNG")),
    "clear.png": (picture(mode="P"), {"transparency": b"\x00\x80\xff"}, ("P", "PNG")),
    "alpha.png": (picture(mode="RGBA"), {}, ("RGBA", "PNG")),
    "grey-alpha.png": (picture(mode="LA"), {}, ("LA", "PNG")),
    "bits.png": (picture(mode="1"), {}, ("1", "PNG")),
    "16bit.png": (
        Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50),
        {},
        ("I;16", "PNG"),
    ),
    "32bit.tif": (
        Image.fromarray(np.arange(1200, dtype=np.int32).reshape(30, 40) * 99),
        {},
        ("I", "TIFF"),
    ),
    "float.tif": (
        Image.fromarray(np.linspace(-1, 1, 1200, dtype=np.float32).reshape(30, 40)),
        {},
        ("F", "TIFF"),
    ),
    "lzw.tiff": (picture(), {"compression": "tiff_lzw"}, ("RGB", "TIFF")),
    "moving.gif": (
        picture(mode="P"),
        {"save_all": True, "append_images": [picture(mode="P", seed=90)]},
        ("P", "GIF"),
    ),
    "web.webp": (picture(), {}, ("RGB", "WEBP")),
    "old.BMP": (picture(), {}, ("RGB", "BMP")),
    "UPPER.JPG": (picture(), {}, ("RGB", "JPEG")),
    "mobile.jfif": (picture(), {}, ("RGB", "JPEG")),
    "lies.png": (picture(), {"format": "JPEG"}, ("RGB", "JPEG")),
    "no-ending": (picture(), {"format": "PNG"}, ("RGB", "PNG")),
    "two words é 图.png": (picture(), {}, ("RGB", "PNG")),
    "nested/deeper/one.png": (picture(), {}, ("RGB", "PNG")),
    'comma, quote".png': (picture(), {}, ("RGB", "PNG")),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_kept(tree: Path, name: str) -> None:
    image, options, (mode, real_format) = ODD[name]
    save(tree / "cat" / name, image, **options)
    found = scan(tree)
    assert found.quarantine.empty
    kept = row(found, f"cat/{name}")
    assert (kept["mode"], kept["format"]) == (mode, real_format)
    assert (kept["width"], kept["height"], kept["label"]) == (40, 30, "cat")
    assert len(kept["phash"]) == 16


def test_a_16_bit_picture_has_the_hash_of_its_8_bit_self(tree: Path) -> None:
    grey = picture(64, 64, "L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    save(tree / "cat" / "wide.png", wide)
    save(tree / "cat" / "grey.png", grey)
    found = scan(tree)
    difference = imagehash.hex_to_hash(row(found, "cat/wide.png")["phash"]) - (
        imagehash.hex_to_hash(row(found, "cat/grey.png")["phash"])
    )
    assert difference <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_orientation_is_kept_and_the_hash_is_of_the_upright_picture(
    tree: Path, orientation: int, ending: str
) -> None:
    upright = picture(64, 48)
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    stored = upright if orientation == 1 else upright.transpose(pictures.UPRIGHT[undo])
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    save(tree / "cat" / f"turned.{ending}", stored, exif=exif)
    kept = row(scan(tree), f"cat/turned.{ending}")
    assert kept["orientation"] == orientation
    assert (kept["width"], kept["height"]) == stored.size
    assert imagehash.hex_to_hash(kept["phash"]) - imagehash.phash(upright) <= 4


def test_a_corrupt_exif_block_harms_nothing(tree: Path) -> None:
    save(tree / "cat" / "exif.jpg", picture(), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    kept = row(scan(tree), "cat/exif.jpg")
    assert (kept["orientation"], kept["width"]) == (1, 40)


def test_an_orientation_out_of_range_counts_as_none(tree: Path) -> None:
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 77
    save(tree / "cat" / "exif.jpg", picture(), exif=exif)
    assert row(scan(tree), "cat/exif.jpg")["orientation"] == 1


def test_a_link_to_a_file_inside_is_followed(tree: Path) -> None:
    (tree / "cat" / "link.png").symlink_to("1.png")
    found = scan(tree)
    assert row(found, "cat/link.png")["sha256"] == row(found, "cat/1.png")["sha256"]


def test_nothing_in_the_folder_changes(tree: Path) -> None:
    for name, (image, options, _) in ODD.items():
        save(tree / "cat" / name, image, **options)
    jpeg_cut(tree / "dog" / "cut.jpg")
    before = snapshot(tree)
    scan(tree)
    assert snapshot(tree) == before


def test_no_warning_escapes(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, (image, options, _) in ODD.items():
        save(tree / "cat" / name, image, **options)
    for name in ("cut.jpg", "text.jpg", "cut.png"):
        FAULTS[name][0](tree / "dog" / name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan(tree)
    assert caught == []
    assert capfd.readouterr() == ("", "")


def test_an_unchanged_rescan_opens_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg_cut(tree / "dog" / "cut.jpg")
    first = scan(tree)

    def fail(_: str) -> manifest.Reading:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(manifest, "_read", fail)
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


def test_memory_survives_a_table_on_disk(tree: Path, tmp_path: Path) -> None:
    first = scan(tree)
    write_table(first.memory, tmp_path / "memory.csv")
    assert scan(tree, remembered=read_table(tmp_path / "memory.csv")).opened == 0


def test_memory_of_another_reader_is_not_trusted(tree: Path) -> None:
    first = scan(tree)
    assert scan(tree, remembered=first.memory.assign(reader="0")).opened == 4
    assert scan(tree, remembered=first.memory.drop(columns="phash")).opened == 4


def test_processes_give_the_same_tables(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg_cut(tree / "dog" / "cut.jpg")
    monkeypatch.setattr(manifest, "WORTH_A_POOL", 0)
    monkeypatch.setattr(manifest, "CHUNK", 2)
    seen: list[tuple[int, int]] = []
    apart = scan(tree, workers=2, progress=lambda done, total: seen.append((done, total)))
    alone = scan(tree)
    pd.testing.assert_frame_equal(apart.manifest, alone.manifest)
    pd.testing.assert_frame_equal(apart.quarantine, alone.quarantine)
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("name", ["NA", "001", "nan", "1e5", "True"])
def test_a_class_name_stays_text_through_the_disk(tree: Path, tmp_path: Path, name: str) -> None:
    save(tree / name / "1.png")
    table = scan(tree).manifest
    write_table(table, tmp_path / "manifest.csv")
    read = read_manifest(tmp_path / "manifest.csv")
    assert name in read["label"].tolist()
    pd.testing.assert_frame_equal(read, table)


def test_a_table_has_the_same_bytes_each_time(tree: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        write_table(scan(tree).manifest, tmp_path / f"{number}.csv")
    data = (tmp_path / "1.csv").read_bytes()
    assert data == (tmp_path / "2.csv").read_bytes()
    assert b"\r" not in data
    assert data.startswith(b"path,label,sha256,phash,bytes,width,height,mode,format,orientation\n")


def test_an_empty_quarantine_can_be_written_and_read(tree: Path, tmp_path: Path) -> None:
    write_table(scan(tree).quarantine, tmp_path / "quarantine.csv")
    assert (tmp_path / "quarantine.csv").read_text() == "path,reason\n"
    assert read_table(tmp_path / "quarantine.csv").empty


def test_a_manifest_without_a_column_is_refused(tree: Path, tmp_path: Path) -> None:
    write_table(scan(tree).manifest.drop(columns=["sha256"]), tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="got none named sha256"):
        read_manifest(tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="No such file"):
        read_manifest(tmp_path / "missing.csv")


# ---------------------------------------------------------------- one line for wrong input


def message(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        scan(root)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    assert message(tmp_path / "nowhere") == (
        f"data must name a folder, got '{tmp_path / 'nowhere'}'. No such folder. "
        "Give the folder that holds one folder per class."
    )


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    assert "This is a file." in message(save(tmp_path / "a.png"))


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    assert message(tmp_path).startswith("data must hold at least 2 class folders, got none.")


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "1.png")
    assert message(tmp_path).startswith("data must hold at least 2 class folders, got 1 ('cat').")


def test_a_folder_around_the_class_folders_is_named(tree: Path) -> None:
    assert f"Give '{tree}' if the class folders lie there." in message(tree.parent)


def test_no_readable_picture_names_five_and_the_total(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[number % 2] / f"{number}.jpg").touch()
    text = message(tmp_path)
    assert text.startswith("data must hold a readable picture, got a/0.jpg (empty file); ")
    assert text.count("(empty file)") == 5
    assert "7 in total" in text


def test_a_second_class_without_a_readable_picture_is_said(tree: Path) -> None:
    for path in (tree / "dog").iterdir():
        path.write_bytes(b"")
    assert "of at least 2 classes, got only 'cat': dog/1.png (empty file)" in message(tree)


# ---------------------------------------------------------------- pictures to predict


def test_pictures_of_any_layout_have_no_label(tree: Path) -> None:
    save(tree / "loose.png")
    (tree / "note.txt").write_text("hello")
    found = scan_pictures(tree)
    assert found.manifest["path"].tolist() == [
        "cat/1.png",
        "cat/2.png",
        "dog/1.png",
        "dog/2.png",
        "loose.png",
    ]
    assert set(found.manifest["label"]) == {""}
    assert "not a picture" in reasons(found)["note.txt"]
    assert scan_pictures(tree, remembered=found.memory).opened == 0


def test_one_picture_is_a_scan_of_its_own(tree: Path) -> None:
    found = scan_pictures(tree / "cat" / "1.png")
    assert found.manifest["path"].tolist() == ["1.png"]
    assert describe(found) == "1 pictures"


def test_pictures_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Nothing is there"):
        scan_pictures(tmp_path / "nowhere")
    with pytest.raises(InputError, match="got no file at all"):
        scan_pictures(tmp_path)
    (tmp_path / "bad.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"got bad\.jpg \(not a picture"):
        scan_pictures(tmp_path / "bad.jpg")


# ---------------------------------------------------------------- words, and the real thing


def test_the_description_counts_classes_faults_and_what_was_left_out(tree: Path) -> None:
    for number in range(6):
        (tree / "cat" / f"e{number}.png").touch()
    (tree / ".DS_Store").touch()
    lines = describe(scan(tree)).split("\n")
    assert lines[0] == "4 pictures in 2 classes: cat 2, dog 2"
    assert lines[1].startswith("6 quarantined: cat/e0.png (empty file); ")
    assert lines[1].endswith("cat/e4.png (empty file); 6 in total")
    assert lines[2] == "1 hidden or system files and folders left out"


def test_the_users_pictures_are_all_found() -> None:
    root = next((path for path in DATA if path.is_dir()), None)
    if root is None:
        pytest.skip("the user's data set is not here")
    found = scan(root)
    assert found.manifest["label"].value_counts().to_dict() == {"Others": 1162, "Monkeypox": 980}
    assert found.quarantine.empty
    same = found.manifest["sha256"].value_counts()
    assert (int((same > 1).sum()), int((same - 1).sum())) == (163, 174)
    assert set(found.manifest["orientation"]) == {1}
