import hashlib
import io
import logging
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from resnext.data.decoding import decode as pictures
from resnext.data.decoding.decode import TooManyPixelsError, decode, quiet, to_rgb
from resnext.data.decoding.levels import Levels
from tests.resnext.data.samples import chunk, encoded, png


def grey(data: bytes, levels: Levels = Levels()) -> list[list[int]]:
    """Give the first channel that a file comes out with."""
    first: list[list[int]] = np.asarray(to_rgb(decode(data, levels).upright))[..., 0].tolist()
    return first


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert to_rgb(Image.new("RGB", (4, 4), (200, 10, 10)).convert(mode)).mode == "RGB"


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    data = encoded(Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16)), "PNG")
    rgb = np.asarray(to_rgb(Image.open(io.BytesIO(data))))
    assert rgb[0, :, 0].tolist() == [0, 128, 255]


def test_transparency_is_laid_on_white() -> None:
    assert to_rgb(Image.new("RGBA", (1, 1), (255, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
    assert grey(png16(channels(0), 4), TWELVE) == [[255, 255], [255, 255]]
    assert grey(png16(channels(5, 7, 0), 6), TWELVE) == [[255, 255], [255, 255]]


def test_a_picture_is_upright_and_its_size_is_the_stored_one() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode(encoded(Image.new("RGB", (40, 20), "blue"), "JPEG", exif=exif))
    assert picture.upright.size == (20, 40)
    assert (picture.width, picture.height, picture.orientation) == (40, 20, 6)


# ---------------------------------------------------------------- deep images

FOUR = np.array([[0, 1000], [2047, 4095]], dtype=np.uint16)
TWELVE = Levels(uint16=(0, 4095))
IN_EIGHT = [[0, 62], [127, 255]]  # FOUR / 4095 * 255


def png16(pixels: np.ndarray, colour: int) -> bytes:
    """Lay out a PNG of 16 bits: colour 0 grey, 2 RGB, 4 grey with alpha, 6 RGBA."""
    rows = [row.astype(">u2").tobytes() for row in pixels]
    return png((pixels.shape[1], pixels.shape[0]), rows, depth=16, colour=colour)


def channels(*others: int) -> np.ndarray:
    """Put FOUR beside channels of one value each."""
    return np.stack([FOUR, *(np.full_like(FOUR, other) for other in others)], axis=-1)


def tagged(data: bytes, tag: int, was: int, now: int) -> bytes:
    """Give a tag of a little-endian TIFF another value."""
    old, new = (struct.pack("<HHIHH", tag, 3, 1, value, 0) for value in (was, now))
    assert old in data
    return data.replace(old, new)


def tiff(
    values: np.ndarray,
    order: str,
    *,
    apart: bool = False,
    packed: bool = False,
    photometric: int = 1,
) -> bytes:
    """Lay out a TIFF of values (H, W) or (H, W, C), its planes apart and packed if need be."""
    height, width, channels = (*values.shape, 1)[:3]
    stored = values.astype(f"{order}{values.dtype.kind}{values.itemsize}")
    planes = (
        [stored[..., place] for place in range(channels)] if apart and channels > 1 else [stored]
    )
    strips = [np.ascontiguousarray(plane).tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    places = np.cumsum([8, *map(len, strips)])
    tags = {
        256: [width], 257: [height], 258: [8 * values.itemsize] * channels,
        259: [8 if packed else 1],
        262: [2 if channels == 3 else photometric], 273: places[:-1].tolist(), 277: [channels],
        278: [height], 279: [len(strip) for strip in strips], 284: [2 if apart else 1],
        339: ["uif".index(values.dtype.kind) + 1] * channels,
    }  # fmt: skip
    behind, listed = b"", struct.pack(f"{order}H", len(tags))
    for tag, content in tags.items():
        data = struct.pack(f"{order}{len(content)}I", *content)
        place = int(places[-1]) + 6 + 12 * len(tags) + len(behind)
        behind += data if len(data) > 4 else b""
        value = data if len(data) == 4 else struct.pack(f"{order}I", place)
        listed += struct.pack(f"{order}HHI", tag, 4, len(content)) + value
    begin = b"II*\0" if order == "<" else b"MM\0*"
    begin += struct.pack(f"{order}I", places[-1])
    return begin + b"".join(strips) + listed + bytes(4) + behind


SIXTEEN_BITS = {
    "grey PNG": png16(FOUR, 0),
    "RGB PNG": png16(channels(5, 7), 2),
    "grey PNG with alpha": png16(channels(65_535), 4),
    "RGBA PNG": png16(channels(5, 7, 65_535), 6),
    "TIFF": encoded(Image.fromarray(FOUR), "TIFF"),
    "packed TIFF": encoded(Image.fromarray(FOUR), "TIFF", compression="tiff_lzw"),
    "big-endian TIFF": encoded(Image.fromarray(FOUR.astype(">u2")), "TIFF"),
    "RGB TIFF": tiff(channels(5, 7), "<"),
    "big-endian RGB TIFF": tiff(channels(5, 7), ">"),
}


@pytest.mark.parametrize("kind", SIXTEEN_BITS)
def test_all_16_bits_of_every_kind_of_file_are_scaled_by_the_same_range(kind: str) -> None:
    data = SIXTEEN_BITS[kind]
    assert grey(data, TWELVE) == IN_EIGHT
    assert grey(data) == [[0, 4], [8, 16]]  # by 65535
    name, _, high = decode(data).measured.split(" ")
    assert (name, float(high)) == ("uint16", 4095)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_where_white_is_zero_16_bits_are_turned_round(compression: str | None) -> None:
    data = tagged(encoded(Image.fromarray(FOUR), "TIFF", compression=compression), 262, 1, 0)
    assert grey(data, TWELVE) == [[255, 193], [128, 0]]
    assert float(decode(data).measured.split(" ")[2]) == 4095  # of the numbers as they are stored


@pytest.mark.parametrize("mode", ["1", "L"])
@pytest.mark.parametrize("compression", [None, "packbits", "tiff_lzw"])
def test_where_white_is_zero_1_and_8_bits_are_turned_round(
    mode: str, compression: str | None
) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[262] = 0
    image = Image.fromarray(np.array([[0, 255, 255, 0] * 4] * 4, dtype=np.uint8)).convert(mode)
    data = encoded(image, "TIFF", tiffinfo=info, compression=compression)
    assert Image.open(io.BytesIO(data)).tag_v2[262] == 0  # type: ignore[attr-defined]
    assert grey(data) == [[0, 255, 255, 0] * 4] * 4


def test_where_white_is_zero_floats_are_turned_round() -> None:
    pixels = np.array([[0, 0.25], [0.5, 1]], dtype=np.float32)
    data = tagged(encoded(Image.fromarray(pixels), "TIFF"), 262, 1, 0)
    assert grey(data) == [[255, 191], [127, 0]]


def test_whole_numbers_of_32_bits_without_a_sign_are_none_with_one() -> None:
    pixels = np.array([[0, 1 << 30], [2 << 30, 3 << 30]], dtype=np.uint32)
    data = encoded(Image.fromarray(pixels.view(np.int32)), "TIFF")
    assert grey(tagged(data, 339, 2, 1), Levels(int32=(0, 3 << 30))) == [[0, 85], [170, 255]]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32])
def test_numbers_are_read_in_either_order_of_bytes(
    kind: type[np.generic], order: str, packed: bool
) -> None:
    data = tiff(np.array([[-100, -20], [50, 100]], dtype=kind), order, packed=packed)
    levels = Levels(int32=(-100, 100), float32=(-100, 100))
    assert grey(data, levels) == [[0, 102], [191, 255]]


@pytest.mark.parametrize(
    "data",
    [
        tiff(channels(5, 7), "<", apart=True),
        tiff(channels(5, 7), ">", apart=True),
        tiff(np.array([[0.25, 1]], dtype=np.float32), ">", apart=True),
        tiff(np.array([[1, 2]], dtype=np.uint8), "<", apart=True, photometric=0),
        tiff(np.array([[-1, 1]], dtype=np.int8), "<"),
        tiff(np.array([[-1, 1]], dtype=np.int8), ">", packed=True),
    ],
)
def test_numbers_that_would_be_taken_for_others_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="Pillow misreads TIFFs of this kind"):
        decode(data)


@pytest.mark.parametrize("packed", [False, True])
def test_separate_planes_of_8_bits_are_read(packed: bool) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    upright = decode(tiff(pixels, "<", apart=True, packed=packed)).upright
    assert np.asarray(upright).tolist() == pixels.tolist()


def test_the_value_that_a_tiff_names_as_nothing_is_not_measured() -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info.tagtype[42113] = 2
    info[42113] = "77777"
    pixels = np.linspace(0, 5, 900).reshape(30, 30).astype(np.float32)
    pixels[:10] = 77_777
    data = encoded(Image.fromarray(pixels), "TIFF", tiffinfo=info)
    assert float(decode(data).measured.split(" ")[2]) <= 5


def test_8_bits_are_left_alone_and_a_pgm_of_12_goes_by_its_header() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    levels = Levels(uint16=(0, 1023), int32=(5, 6), float32=(7, 8))
    data = encoded(Image.fromarray(pixels), "PNG")
    assert grey(data, levels) == pixels.tolist()
    assert decode(data).measured == ""
    assert grey(b"P5\n2 2\n4095\n" + FOUR.astype(">u2").tobytes()) == IN_EIGHT


# ---------------------------------------------------------------- beyond Pillow's caution


def with_text(size: int) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "x" * size, zip=True)
    return encoded(Image.new("RGB", (8, 6), "red"), "PNG", pnginfo=text)


def test_a_png_with_a_long_text_before_or_behind_its_pixels_is_read_without_it() -> None:
    data = with_text(3 << 20)
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):
        Image.open(io.BytesIO(data))
    assert decode(data).upright.getpixel((0, 0)) == (255, 0, 0)
    parts = data.partition(b"IEND")
    place = data.index(b"zTXt") - 4
    end = place + 12 + int.from_bytes(data[place : place + 4])
    moved = data[:place] + data[end : len(parts[0]) - 4] + data[place:end] + chunk(b"IEND", b"")
    assert decode(moved).upright.getpixel((0, 0)) == (255, 0, 0)


def test_a_png_with_much_text_keeps_the_orientation_that_its_xmp_tells() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    data = with_text(3 << 20)
    told = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    picture = decode(data[:33] + told + data[33:])
    assert (picture.orientation, picture.upright.size) == (6, (6, 8))


def test_more_pixels_than_admitted_are_not_decoded() -> None:
    data = encoded(Image.new("L", (40, 30)), "PNG")
    assert decode(data, max_pixels=1200).width == 40
    with pytest.raises(TooManyPixelsError, match="40, 30"):
        decode(data, max_pixels=1199)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_a_big_picture_comes_out_small_and_looks_the_same(
    kind: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "BIG", 9_000)
    monkeypatch.setattr(pictures, "BIG_SIDE", 32)
    monkeypatch.setattr(pictures, "STRIP", 2_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)
    noise = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((211, 149), Image.Resampling.BICUBIC)
    if mode not in ("L", "RGB") and kind == "JPEG":
        pytest.skip("no JPEG is of this mode")
    data = encoded(image.convert(mode), kind)
    small = decode(data)
    assert (small.width, small.height) == (211, 149)
    assert 32 <= min(small.upright.size) < 64
    found, expected = (
        np.asarray(to_rgb(each).resize((40, 30), Image.Resampling.BILINEAR)).astype(int)
        for each in (small.upright, image.convert(mode))
    )
    assert np.abs(found - expected).mean() < 6
    assert Image.MAX_IMAGE_PIXELS == 9_000


def test_big_pictures_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "BIG", 9_000)
    data = encoded(Image.new("L", (200, 100)), "PNG")
    load, at_once, most = ImageFile.ImageFile.load, [0], [0]

    def slowly(image: ImageFile.ImageFile) -> object:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        at_once[0] -= 1
        return load(image)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", slowly)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decode, [data] * 4))
    assert most == [1]
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


def test_several_threads_are_silent_at_once_and_nothing_stays_changed() -> None:
    before = list(warnings.filters), logging.getLogger("PIL").level
    inside, out = threading.Event(), threading.Event()

    def first() -> None:
        with quiet():
            inside.set()
            out.wait(5)

    def second() -> None:
        inside.wait(5)
        with quiet():
            out.set()
            time.sleep(0.05)
            warnings.warn("Pillow is worried", stacklevel=1)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    assert (list(warnings.filters), logging.getLogger("PIL").level) == before


# ---------------------------------------------------------------- JPEGs without their end


def photograph(**options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (10, 14, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((224, 160), Image.Resampling.BICUBIC)
    return encoded(image.convert(str(options.pop("mode", "RGB"))), "JPEG", quality=92, **options)


KINDS: list[dict[str, object]] = [
    {},
    {"progressive": True},
    {"mode": "L"},
    {"mode": "CMYK"},
    {"restart_marker_rows": 1},
]


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("missing", [1, 2, 3, 10, 50])
def test_a_jpeg_whose_last_bytes_are_missing_is_mended_where_it_is_asked_for(
    missing: int, options: dict[str, object]
) -> None:
    data = photograph(**options)
    cut = data[:-missing]
    mended = decode(cut, mend=True)
    assert mended.rows_there is None or mended.rows_there >= 0.9
    top = [np.asarray(each.upright)[:100].astype(int) for each in (mended, decode(data))]
    assert np.abs(top[0] - top[1]).mean() < 3
    assert decode(data, mend=True).rows_there is None
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("share", [0.9, 0.7, 0.5])
def test_the_rows_that_are_there_are_counted(share: float) -> None:
    data = photograph()
    mended = decode(data[: 623 + int((len(data) - 623) * share)], mend=True)
    assert mended.rows_there is not None
    assert mended.rows_there == pytest.approx(share, abs=0.12)
    grey_rows = np.asarray(mended.upright)[int(160 * mended.rows_there) :]
    assert set(np.unique(grey_rows).tolist()) <= {127, 128}


def test_a_picture_that_lacks_its_end_mark_alone_has_all_its_rows() -> None:
    data = encoded(Image.linear_gradient("L").resize((640, 640)), "JPEG")
    assert decode(data[:-2], mend=True).rows_there in (None, 1)  # None: the decoder is content
    white = encoded(Image.new("L", (64, 64), "white"), "JPEG")
    assert decode(white[:-3], mend=True).rows_there in (None, 1)
    with pytest.raises(OSError, match=r"(?i)truncated|cannot identify"):
        decode(photograph()[:500], mend=True)  # nothing but a header


def test_zeros_in_place_of_the_end_are_no_end() -> None:
    data = photograph()
    half = data[: len(data) // 2] + bytes(len(data) // 2)
    with pytest.raises(OSError, match="truncated"):
        decode(half)
    there = decode(half, mend=True).rows_there
    assert there is not None
    assert 0.3 < there < 0.6
    assert decode(data + bytes(5000)).rows_there is None  # padding behind a whole picture


def test_scanned_pictures_are_mended_since_the_scan_admitted_them(tmp_path: Path) -> None:
    data = photograph()[:-9]
    (tmp_path / "a.jpg").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    assert pictures.read_scanned(tmp_path / "a.jpg", digest, Levels()).size == (224, 160)
