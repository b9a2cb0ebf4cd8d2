"""Reading: every kind of picture is kept, a bad file gets a reason, and nothing is changed."""

import gzip
import hashlib
import io
import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image, PngImagePlugin, features

from resnext.data import processes
from resnext.data.decoding import decode as pictures
from resnext.data.manifest import reading
from resnext.data.manifest.describe import describe_scan
from resnext.data.manifest.scan import Scan, scan
from resnext.data.manifest.settings import ReadingSettings
from tests.resnext.data.manifest import crashing
from tests.resnext.data.manifest import test_listing as of_listing
from tests.resnext.data.samples import (
    assert_quarantined,
    encoded,
    jpeg_cut,
    picture,
    png,
    reasons,
    row,
    save,
)

Make = Callable[[Path], object]
BUILT_IN = {".avif": "avif", ".webp": "webp", ".jp2": "jpg_2000"}  # not into every Pillow


def snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    """Note each entry below root: its kind and rights, time of change, bytes or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        fact = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(fact.st_mode) else b""
        target = str(path.readlink()) if path.is_symlink() else ""
        digest = hashlib.sha256(data).hexdigest()
        found[str(path)] = (fact.st_mode, fact.st_mtime_ns, fact.st_size, digest, target)
    return found


def lacking_for(name: str) -> str:
    """Say why a kind can't be made here; empty where it can."""
    feature = BUILT_IN.get(Path(name).suffix)
    unable = feature is not None and not features.check(feature)
    return f"this Pillow is built without {feature}" if unable else of_listing.lacking_for(name)


def require_pillow_to_write(name: str) -> None:
    if lacking := lacking_for(name):
        pytest.skip(lacking)


# ---------------------------------------------------------------- files made by hand


def noise() -> Image.Image:
    """Pixels that no format makes small, so that half of a file is half of the picture."""
    return Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (80, 90, 3), dtype=np.uint8), "RGB"
    )


def holding(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def cut(kind: str, **options: object) -> Make:
    """Write the first half of a picture's file."""

    def make(path: Path) -> None:
        data = encoded(noise(), kind, **options)
        path.write_bytes(data[: len(data) // 2])

    return make


def interlaced(side: int) -> bytes:
    """Lay out a black interlaced PNG, whose seven passes hold ever more of its pixels."""
    passes = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2)]
    rows = [
        bytes(3 * len(range(x, side, across)))
        for x, across, y, down in [*passes, (0, 1, 1, 2)]
        for _ in range(y, side, down)
    ]
    return png((side, side), rows, lace=1)


def png_with_damaged_pixels(kind: str) -> bytes:
    """Change a byte of the pixels, which keep their length, or of the checksum behind them."""
    data = bytearray(encoded(noise(), "PNG"))
    start = data.index(b"IDAT") + 4
    length = int.from_bytes(data[start - 8 : start - 4])
    data[start + (length // 2 if kind == "pixels" else length)] ^= 0x10
    return bytes(data)


def announcing(kind: str, width: int, height: int) -> bytes:
    """Write a size into the header of a small GIF or JPEG."""
    data = bytearray(encoded(picture(), kind))
    if kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    else:
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("1.png", encoded(picture(), "PNG"))
    return buffer.getvalue()


def ycck() -> bytes:
    """Mark a CMYK JPEG as YCCK, which only the Adobe marker's last byte tells."""
    data = bytearray(encoded(picture(mode="CMYK"), "JPEG"))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def jpeg_with_thumbnail() -> bytes:
    """Put a small JPEG into the EXIF block, where it comes before the picture itself."""
    small = encoded(picture(16, 12), "JPEG")
    first = struct.pack("<HHHIII", 1, pictures.ORIENTATION, 3, 1, 6, 26)  # then the second's place
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(small), 0)
    return encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + first + second + small)


def box(brand: bytes, *others: bytes) -> bytes:
    """Begin a file of the family of MP4, HEIC and AVIF."""
    inner = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(inner) + 4) + inner + bytes(64)


# ---------------------------------------------------------------- bad files

TRUNCATED = "truncated or damaged: image file is truncated"
BOMB = "decompression bomb: Image size ({} pixels) exceeds limit of "
HTML = b"\n<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n"
SVG = b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>\n'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def unopened(name: str) -> str:
    return f"{name} image that can't be opened: cut short, damaged or of a rare kind"


def not_read(name: str) -> str:
    return f"{name}, which is not read here: convert it to JPEG or PNG"


FAULTS: dict[str, tuple[Make, str]] = {
    # cut short or damaged
    "cut.jpg": (cut("JPEG"), TRUNCATED),
    "end.jpg": (holding(encoded(noise(), "JPEG")[:-30]), "'--truncated keep' uses it, grey where"),
    "start.jpg": (holding(encoded(noise(), "JPEG")[:1000]), "only 21 % of its rows are there"),
    "zero-end.jpg": (holding(encoded(noise(), "JPEG")[:-2000] + bytes(2000)), TRUNCATED),
    "cut.png": (cut("PNG"), TRUNCATED),
    "cut.gif": (cut("GIF"), TRUNCATED),
    "cut.webp": (cut("WEBP"), "truncated or damaged: could not create decoder object"),
    "cut.tif": (cut("TIFF"), TRUNCATED),
    "cut-lzw.tif": (cut("TIFF", compression="tiff_lzw"), unopened("TIFF or camera raw")),
    "cut.bmp": (cut("BMP"), TRUNCATED),
    "cut.ppm": (cut("PPM"), TRUNCATED),
    "cut.jp2": (cut("JPEG2000"), "truncated or damaged: broken data stream"),
    "cut.avif": (cut("AVIF"), unopened("AVIF")),
    "empty.jpg": (lambda path: path.touch(), "empty file"),
    "header.jpg": (holding(b"\xff\xd8\xff\xe0"), unopened("JPEG")),
    "header.png": (holding(b"\x89PNG\r\n\x1a\n"), unopened("PNG")),
    "checksum.png": (holding(png_with_damaged_pixels("checksum")), "checksum of its pixels"),
    "pixels.png": (holding(png_with_damaged_pixels("pixels")), "checksum of its pixels"),
    "no-width.png": (holding(png((0, 5))), unopened("PNG")),
    "no-size.jpg": (holding(announcing("JPEG", 0, 0)), unopened("JPEG")),
    "few-values.ppm": (holding(b"P3\n2 2\n255\n1 2 3"), "can't be used: not enough image data"),
    "lab.tif": (lambda path: Image.new("LAB", (20, 20)).save(path), "can't be used: conversion"),
    # greater than any photograph
    "bomb.png": (holding(png((100_000, 100_000))), BOMB.format(10**10)),
    "bomb.gif": (holding(announcing("GIF", 65_535, 65_535)), BOMB.format(65_535**2)),
    "bomb.jpg": (holding(announcing("JPEG", 65_000, 64_000)), BOMB.format(65_000 * 64_000)),
    "bomb.pgm": (holding(b"P5\n20000 20000\n255\n"), BOMB.format(20_000**2)),
    "large.pgm": (holding(b"P5\n20001 20000\n255\n"), "; '--max-pixels 400020000' admits it"),
    # pictures of kinds that are not read
    "phone.heic": (holding(box(b"heic", b"mif1", b"heic")), not_read("HEIC image")),
    "phone.jpg": (holding(box(b"mif1", b"mif1", b"heic")), not_read("HEIC image")),
    "new.jxl": (holding(b"\xff\x0a" + bytes(range(90, 190))), not_read("JPEG XL image")),
    "site.ico": (lambda path: noise().save(path, "ICO"), not_read("Windows icon")),
    "layers.psd": (holding(b"8BPS\0\1" + bytes(64)), not_read("Photoshop file")),
    "page.eps": (holding(b"%!PS-Adobe-3.0 EPSF-3.0\n"), not_read("PostScript drawing")),
    "drawing.svg": (holding(SVG), not_read("SVG drawing")),
    "x-ray.dcm": (holding(bytes(128) + b"DICM" + bytes(64)), not_read("DICOM image")),
    "camera.cr3": (holding(box(b"crx ", b"isom")), not_read("camera raw image")),
    # no pictures at all
    "text.jpg": (holding(b"I am no picture\n"), "not an image, but text"),
    "notes.jpg": (holding(b"P1 patient notes, page 1\n"), "not an image, but text"),
    "bmw.bmp": (holding("BMW is a car, \u00e9h\n".encode()), "not an image, but text"),
    "table.csv": (holding(b"a,b\n1,2\n"), "not an image, but text"),
    "page.jpg": (holding(HTML), "not an image, but an HTML page"),
    "feed.xml": (holding(b'<?xml version="1.0"?><rss/>'), "not an image, but an XML file"),
    "pointer.jpg": (holding(LFS), "not an image, but a Git LFS pointer"),
    "paper.pdf": (holding(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), "not an image, but a PDF document"),
    "Shortcut.lnk": (holding(b"L\0\0\0\x01\x14\x02\0" + bytes(68)), "but a shortcut of Windows"),
    "alias": (holding(b"book\0\0\0\0mark" + bytes(52)), "but a shortcut of Windows or a Mac"),
    "zip.png": (holding(zipped()), "not an image, but a zip archive"),
    "gzip.png": (holding(gzip.compress(b"x" * 99)), "not an image, but an archive"),
    "film.mp4": (holding(box(b"isom", b"mp41")), "not an image, but a video or sound"),
    "film.avi": (holding(b"RIFF\x40\0\0\0AVI LIST" + bytes(52)), "but a video or sound"),
    "array.npy": (holding(b"\x93NUMPY\1\0v\0"), "not an image, but a file of numbers"),
    "zeros.jpg": (holding(bytes(5000)), "not an image, but zero bytes only"),
    "random.jpg": (holding(bytes(range(200, 90, -1))), "not an image, or its header is damaged"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_is_quarantined_with_its_reason(tree: Path, name: str) -> None:
    require_pillow_to_write(name)
    assert_quarantined(tree, name, *FAULTS[name])


@pytest.mark.parametrize("name", ["WebP", "AVIF", "JPEG 2000"])
def test_a_pillow_that_lacks_a_decoder_is_not_blamed_on_the_file(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    begins = {"WebP": b"RIFF\0\0\0\0WEBP", "AVIF": box(b"avif")}
    data = begins.get(name, b"\0\0\0\x0cjP  \r\n\x87\n")
    assert reading.why_unopened(data).startswith(f"{name} image, which the installed Pillow")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF"])
def test_a_picture_cut_anywhere_in_its_header_is_never_taken_for_another_kind(
    tree: Path, kind: str
) -> None:
    require_pillow_to_write({"WEBP": ".webp", "JPEG2000": ".jp2", "AVIF": ".avif"}.get(kind, ""))
    data = encoded(noise(), kind)
    for length in range(4, 64):
        (tree / "cat" / f"{length}.x").write_bytes(data[:length])
    found = reasons(scan(tree))
    assert len(found) == 60
    named = {"WEBP": "WebP", "JPEG2000": "JPEG 2000", "TIFF": "TIFF or camera raw"}.get(kind, kind)
    begin = (unopened(named), "truncated or damaged: ", "not an image, or its header is damaged")
    assert [reason for reason in found.values() if not reason.startswith(begin)] == []


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


class Kept(NamedTuple):
    """What the manifest is to say of a picture."""

    mode: str
    format: str
    width: int = 40
    height: int = 30
    orientation: int = 1


def drawn(mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> Make:
    return lambda path: save(path, picture(mode=mode).resize(size), **options)


def moving(mode: str = "RGB", **options: object) -> Make:
    others = [picture(mode=mode, seed=90)]
    return lambda path: save(
        path, picture(mode=mode), save_all=True, append_images=others, **options
    )


def numbers(first: float, last: float, kind: type[np.generic]) -> Make:
    pixels = np.linspace(first, last, 1200).reshape(30, 40).astype(kind)
    return lambda path: Image.fromarray(pixels).save(path)


def much_text() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * (2 << 20), zip=True)
    return text


def hard_link(path: Path) -> None:
    save(path.with_name("linked-to.png"))
    path.hardlink_to(path.with_name("linked-to.png"))


RGB16 = [np.arange(120, dtype=">u2").tobytes()] * 30  # rows of 40 pixels
LONG = "l" * 236 + ".png"  # 240 bytes

ODD: dict[str, tuple[Make, Kept]] = {
    # modes
    "cmyk.jpg": (drawn("CMYK"), Kept("CMYK", "JPEG")),
    "ycck.jpg": (holding(ycck()), Kept("CMYK", "JPEG")),
    "grey.jpg": (drawn("L"), Kept("L", "JPEG")),
    "palette.png": (drawn("P"), Kept("P", "PNG")),
    "clear.png": (drawn("P", transparency=b"\x00\x80\xff"), Kept("P", "PNG")),
    "alpha.png": (drawn("RGBA"), Kept("RGBA", "PNG")),
    "grey-alpha.png": (drawn("LA"), Kept("LA", "PNG")),
    "bits.png": (drawn("1"), Kept("1", "PNG")),
    "16bit.png": (numbers(0, 60_000, np.uint16), Kept("I;16", "PNG")),
    "16bit-colour.png": (holding(png((40, 30), RGB16, depth=16)), Kept("RGB", "PNG")),
    "32bit.tif": (numbers(0, 120_000, np.int32), Kept("I", "TIFF")),
    "float.tif": (numbers(-1, 1, np.float32), Kept("F", "TIFF")),
    "alpha.webp": (lambda path: Image.new("RGBA", (40, 30), "#1234").save(path),
                   Kept("RGBA", "WEBP")),
    # formats and their varieties
    "progressive.jpg": (drawn(progressive=True), Kept("RGB", "JPEG")),
    "interlaced.png": (holding(interlaced(30)), Kept("RGB", "PNG", 30, 30)),
    "lzw.tiff": (drawn(compression="tiff_lzw"), Kept("RGB", "TIFF")),
    "moving.gif": (moving("P"), Kept("P", "GIF")),
    "moving.webp": (moving(), Kept("RGB", "WEBP")),
    "moving.png": (moving(), Kept("RGB", "PNG")),
    "two.mpo": (moving(), Kept("RGB", "MPO")),
    "pages.tif": (moving(), Kept("RGB", "TIFF")),
    "web.webp": (drawn(), Kept("RGB", "WEBP")),
    "web.avif": (drawn(), Kept("RGB", "AVIF")),
    "web.jp2": (drawn(), Kept("RGB", "JPEG2000")),
    "plain.ppm": (drawn(), Kept("RGB", "PPM")),
    "old.BMP": (drawn(), Kept("RGB", "BMP")),
    # sizes, and what stands around the pixels
    "one-pixel.png": (drawn(size=(1, 1)), Kept("RGB", "PNG", 1, 1)),
    "thread.png": (drawn(size=(1, 2000)), Kept("RGB", "PNG", 1, 2000)),
    "ribbon.jpg": (drawn(size=(2000, 1)), Kept("RGB", "JPEG", 2000, 1)),
    "much-text.png": (lambda path: save(path, pnginfo=much_text()), Kept("RGB", "PNG")),
    "zeros-behind.jpg": (holding(encoded(picture(), "JPEG") + bytes(999)), Kept("RGB", "JPEG")),
    "garbage-behind.jpg": (holding(encoded(picture(), "JPEG") + b"garbage" * 99),
                           Kept("RGB", "JPEG")),
    "thumbnail.jpg": (holding(jpeg_with_thumbnail()), Kept("RGB", "JPEG", orientation=6)),
    # names
    "UPPER.JPG": (drawn(), Kept("RGB", "JPEG")),
    "mobile.jfif": (drawn(), Kept("RGB", "JPEG")),
    "lies.png": (drawn(format="JPEG"), Kept("RGB", "JPEG")),
    **dict.fromkeys(
        [
            "no-ending", "trailing-dot.", "   ", "--help.png", "two words \u00e9 \u56fe.png",
            "\U0001f63a.png", LONG, 'comma, quote".png', "=1+1.png", "nested/deeper/one.png",
            "folder.jpg/inside.png",
        ],
        (drawn(format="PNG"), Kept("RGB", "PNG")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_kept(tree: Path, name: str) -> None:
    require_pillow_to_write(name)
    make, expected = ODD[name]
    path = tree / "cat" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    found = scan(tree)
    assert found.quarantine.empty
    assert len(found.manifest) == 5
    kept = row(found, f"cat/{name}")
    assert Kept(*(kept[field] for field in Kept._fields)) == expected
    assert (kept["label"], kept["bytes"], len(kept["phash"])) == ("cat", path.stat().st_size, 16)


def test_a_hard_link_and_names_that_differ_only_in_case_are_images_of_their_own(
    tree: Path,
) -> None:
    hard_link(tree / "cat" / "hard.png")
    save(tree / "cat" / "Same.png", picture(10, 20))
    save(tree / "cat" / "same.PNG", picture(30, 40))
    found = scan(tree)
    if len(list((tree / "cat").iterdir())) == 6:  # else this file system takes them for one name
        assert row(found, "cat/Same.png")["width"] == 10
        assert row(found, "cat/same.PNG")["width"] == 30
    assert row(found, "cat/hard.png")["sha256"] == row(found, "cat/linked-to.png")["sha256"]


def test_what_is_made_by_hand_is_what_it_is_called() -> None:
    assert Image.open(io.BytesIO(interlaced(30))).info["interlace"] == 1
    exif = Image.open(io.BytesIO(jpeg_with_thumbnail())).getexif()
    assert exif.get_ifd(ExifTags.IFD.IFD1)[0x0201] == 56  # where the thumbnail begins


def apart(found: Scan, *names: str) -> int:
    """Count the bits in which the hashes of two images differ."""
    one, other = (imagehash.hex_to_hash(row(found, f"cat/{name}")["phash"]) for name in names)
    return int(one - other)


def test_a_16_bit_picture_has_the_hash_of_its_8_bit_self(tree: Path) -> None:
    grey = picture(64, 64, "L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    save(tree / "cat" / "wide.png", wide)
    save(tree / "cat" / "grey.png", grey)
    assert apart(scan(tree), "wide.png", "grey.png") <= 2


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_orientation_is_kept_and_the_hash_is_of_the_upright_picture(
    tree: Path, ending: str
) -> None:
    upright, sizes = picture(64, 48), {}
    for orientation in range(1, 9):
        undo = {6: 8, 8: 6}.get(orientation, orientation)
        stored = upright if orientation == 1 else upright.transpose(pictures.UPRIGHT[undo])
        exif = Image.Exif()
        exif[pictures.ORIENTATION] = orientation
        save(tree / "cat" / f"turned{orientation}.{ending}", stored, exif=exif)
        sizes[orientation] = stored.size
    found = scan(tree)
    for orientation, size in sizes.items():
        kept = row(found, f"cat/turned{orientation}.{ending}")
        assert (kept["orientation"], kept["width"], kept["height"]) == (orientation, *size)
        assert imagehash.hex_to_hash(kept["phash"]) - imagehash.phash(upright) <= 4


def test_an_orientation_that_is_corrupt_or_out_of_range_counts_as_none(tree: Path) -> None:
    garbage = b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage"
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 77
    for name, block in (("a", garbage), ("b", exif)):
        save(tree / "cat" / f"{name}.jpg", picture(), exif=block)
    found = scan(tree)
    kept = [row(found, f"cat/{name}.jpg") for name in "ab"]
    assert [(each["orientation"], each["width"]) for each in kept] == [(1, 40)] * 2


# ---------------------------------------------------------------- what the user may admit


KEEP = ReadingSettings(truncated="keep")


def test_a_jpeg_without_its_end_is_kept_where_that_is_asked_for_and_counted(tree: Path) -> None:
    whole = encoded(noise(), "JPEG")
    for name, size in (("a", len(whole) - 2), ("b", len(whole) // 2), ("c", 1000)):
        (tree / "cat" / f"{name}.jpg").write_bytes(whole[:size])
    strict, kept = scan(tree), scan(tree, KEEP)
    assert list(reasons(strict)) == ["cat/a.jpg", "cat/b.jpg", "cat/c.jpg"]
    named = [path for path, why in reasons(strict).items() if "--truncated keep" in why]
    assert named == ["cat/a.jpg", "cat/b.jpg"]  # of what it names, it helps every one
    assert list(reasons(kept)) == ["cat/c.jpg"]
    assert "2 truncated JPEGs are kept: what is missing is grey" in describe_scan(kept)
    assert row(kept, "cat/a.jpg")["sha256"] == hashlib.sha256(whole[:-2]).hexdigest()


def test_to_keep_or_not_is_decided_without_reading_again(tree: Path) -> None:
    (tree / "cat" / "a.jpg").write_bytes(encoded(noise(), "JPEG")[:-9])
    first = scan(tree)
    kept = scan(tree, KEEP, remembered=first.memory)
    again = scan(tree, remembered=kept.memory)
    assert (kept.opened, again.opened) == (0, 0)
    assert (len(kept.manifest), len(again.manifest)) == (5, 4)
    pd.testing.assert_frame_equal(again.quarantine, first.quarantine)


def test_a_lower_bound_of_pixels_needs_no_second_reading(tree: Path) -> None:
    save(tree / "cat" / "big.png", Image.new("L", (1001, 1000)))
    first = scan(tree)
    small = scan(tree, ReadingSettings(max_pixels=1_000_000), remembered=first.memory)
    assert reasons(small) == {
        "cat/big.png": "decompression bomb: Image size (1001000 pixels) exceeds limit of 1000000 "
        "pixels; '--max-pixels 1001000' admits it, if it is a sound image"
    }
    admitted = scan(tree, ReadingSettings(max_pixels=1_001_000), remembered=small.memory)
    assert (small.opened, admitted.opened, len(admitted.manifest)) == (0, 0, 5)


def test_a_large_photograph_is_read_once_the_bound_admits_it(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    large = Image.new("L", (9_600, 9_400), 200)  # beyond Pillow's caution
    large.paste(90, (0, 0, 4_000, 9_400))
    save(tree / "cat" / "large.png", large, compress_level=1)
    save(tree / "cat" / "small.png", large.reduce(20))
    refused = scan(tree, ReadingSettings(max_pixels=90_000_000))
    assert "'--max-pixels 90240000' admits it" in reasons(refused)["cat/large.png"]
    found = scan(tree, remembered=refused.memory)
    assert (found.opened, len(found.manifest)) == (1, 6)
    kept = row(found, "cat/large.png")
    assert (kept["width"], kept["height"]) == (9_600, 9_400)
    assert kept["phash"] == row(found, "cat/small.png")["phash"]
    assert scan(tree, remembered=found.memory).opened == 0
    assert capfd.readouterr() == ("", "")  # nor a word from another process


def test_a_bomb_that_no_flag_admits_names_the_highest_bound(tree: Path) -> None:
    (tree / "cat" / "bomb.png").write_bytes(png((100_000, 100_000)))
    assert reasons(scan(tree))["cat/bomb.png"] == (
        "decompression bomb: Image size (10000000000 pixels) exceeds limit of 2000000000 pixels, "
        "the most that --max-pixels admits"
    )
    assert ReadingSettings.model_fields["max_pixels"].metadata[1].le == pictures.MOST_PIXELS


def test_files_of_several_pages_are_counted(tree: Path) -> None:
    for name in ("moving.gif", "pages.tif", "moving.png", "moving.webp", "two.mpo"):
        moving("P" if name == "moving.gif" else "RGB")(tree / "cat" / name)
    lines = describe_scan(scan(tree))
    assert "5 files hold several pages or frames: the first is used" in lines


def test_a_rescan_knows_what_deep_images_hold_without_reading_them(tree: Path) -> None:
    numbers(0, 3000, np.uint16)(tree / "cat" / "deep.png")
    first = scan(tree)
    again = scan(tree, remembered=first.memory)
    assert again.opened == 0
    line = "1 image of 16 bits is scaled by 4095, the depth that the set uses"
    assert line in describe_scan(again)


def test_the_hash_of_a_deep_image_does_not_hang_on_a_hot_pixel_or_on_nodata(tree: Path) -> None:
    plain = np.asarray(picture(64, 64, "L")).astype(np.float32)
    spoilt = plain.copy()
    spoilt[3, 60], spoilt[40, 2] = 1e9, np.nan
    save(tree / "cat" / "plain.tif", Image.fromarray(plain))
    save(tree / "cat" / "spoilt.tif", Image.fromarray(spoilt))
    assert apart(scan(tree), "plain.tif", "spoilt.tif") <= 4


# ---------------------------------------------------------------- how it is read


def plant_all(root: Path) -> int:
    """Make every kind of file that this platform can, in one class, and count them."""
    makers = {
        name: make for table in (FAULTS, of_listing.FAULTS) for name, (make, _) in table.items()
    }
    makers |= {name: make for name, (make, _) in ODD.items()} | {"hard.png": hard_link}
    for name, make in list(makers.items()):
        if lacking_for(name):
            del makers[name]
            continue
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        make(root / name)
    return len(makers) + 1  # a hard link has another name


def test_all_kinds_at_once_change_nothing_warn_of_nothing_and_each_is_accounted_for_once(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [*FAULTS, *ODD, *of_listing.FAULTS]
    assert len(names) == len({name.lower() for name in names}), "else one hides another"
    planted = plant_all(tree / "cat")
    save(tree / "cat" / ".hidden.png")
    before = snapshot(tree)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = scan(tree)
    assert caught == []
    assert capfd.readouterr() == ("", "")
    assert snapshot(tree) == before
    files = [path for path in tree.rglob("*") if path.is_symlink() or not path.is_dir()]
    assert len(files) == planted + 4 + 1
    accounted = [*found.manifest["path"], *found.quarantine["path"]]
    shown = [of_listing.as_shown(path.relative_to(tree)) for path in files]
    assert sorted([*accounted, "cat/.hidden.png"]) == sorted(shown)
    assert found.listing.left_out == 1
    told = reasons(found)  # as by themselves
    for name, (_, reason) in {**FAULTS, **of_listing.FAULTS}.items():
        assert lacking_for(name) or reason in told[of_listing.as_shown(Path("cat") / name)]
    assert not {f"cat/{name}" for name in ODD} & set(told)


def test_processes_give_the_same_tables(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg_cut(tree / "dog" / "cut.jpg")
    monkeypatch.setattr(reading, "WORTH_A_POOL", 0)
    monkeypatch.setattr(processes, "CHUNK", 2)
    seen: list[tuple[int, int]] = []
    apart = scan(tree, workers=2, progress=lambda done, total: seen.append((done, total)))
    alone = scan(tree)
    pd.testing.assert_frame_equal(apart.manifest, alone.manifest)
    pd.testing.assert_frame_equal(apart.quarantine, alone.quarantine)
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_a_crash_of_the_decoder_costs_that_file_and_no_other(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        save(tree / "dog" / f"{number}.jpg")
    alone = scan(tree)
    save(tree / "cat" / "crash.png")
    monkeypatch.setattr(reading, "WORTH_A_POOL", 0)
    monkeypatch.setattr(processes, "CHUNK", 4)
    seen: list[tuple[int, int]] = []
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_read_some", crashing.read_some)
        found = scan(tree, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert reasons(found) == {"cat/crash.png": "its decoder crashed or ran out of memory"}
    pd.testing.assert_frame_equal(found.manifest, alone.manifest)
    assert seen == [(4, 8), (8, 8)]
    again = scan(tree, remembered=found.memory)
    assert (again.opened, len(again.manifest)) == (1, 8)
