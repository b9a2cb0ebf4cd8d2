"""Reading: every kind of picture is kept, a bad file gets a reason, and nothing is changed."""

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnext import pictures
from resnext.manifest import reading
from resnext.manifest.scan import scan
from tests.resnext.samples import (
    assert_quarantined,
    cats_and_dogs,
    jpeg_cut,
    picture,
    reasons,
    row,
    save,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes with two good pictures each."""
    return cats_and_dogs(tmp_path / "data")


def snapshot(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------- bad files


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
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_is_quarantined_with_its_reason(tree: Path, name: str) -> None:
    assert_quarantined(tree, name, *FAULTS[name])


def test_a_decompression_bomb_is_a_reason_and_no_warning(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tree / "cat" / "big.png", picture(100, 100))
    save(tree / "cat" / "bigger.png", picture(300, 300))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)
    found = reasons(scan(tree))
    assert found["cat/big.png"].startswith("decompression bomb: Image size (10000 pixels)")
    assert found["cat/bigger.png"].startswith("decompression bomb: Image size (90000 pixels)")


def test_a_file_without_permission_is_quarantined(tree: Path) -> None:
    path = save(tree / "cat" / "locked.png")
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        assert reasons(scan(tree)) == {"cat/locked.png": "can't be opened: Permission denied"}
    finally:
        path.chmod(0o644)


# ---------------------------------------------------------------- odd pictures


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


# ---------------------------------------------------------------- how it is read


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


def test_processes_give_the_same_tables(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg_cut(tree / "dog" / "cut.jpg")
    monkeypatch.setattr(reading, "WORTH_A_POOL", 0)
    monkeypatch.setattr(reading, "CHUNK", 2)
    seen: list[tuple[int, int]] = []
    apart = scan(tree, workers=2, progress=lambda done, total: seen.append((done, total)))
    alone = scan(tree)
    pd.testing.assert_frame_equal(apart.manifest, alone.manifest)
    pd.testing.assert_frame_equal(apart.quarantine, alone.quarantine)
    assert seen == [(2, 5), (4, 5), (5, 5)]
