"""Decode images: any file that Pillow reads, upright, in 8 bits, in RGB.

The scan and the network see an image through this one door, so that what the one accepts the
other can read. Pillow's own caution is kept for ordinary images. What is sound beyond it is read
too: a PNG without its text, where that is too long for Pillow; an image of very many pixels while
no other one of that size is decoded, shrunk at once; a JPEG whose end is missing, where it is asked
for. Knows no torch.

Nothing of Pillow's global state is changed but `Image.MAX_IMAGE_PIXELS`, while an image beyond it
is decoded, and what `quiet` silences.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile

from resnext.contracts.errors import InputError
from resnext.data.decoding.deep import (
    DEFAULT,
    Deep,
    correct_reading,
    deep_colour,
    deep_grey,
    fit_range,
    measure,
    note,
    rawmode_of,
    scaled,
)
from resnext.data.processes import taking_turns

if TYPE_CHECKING:  # it takes a while to import, and processes that scan don't need it
    from resnext.data.decoding.levels import Levels

# Formats that Pillow decodes by itself: no EPS, which runs a program. JPEG opens MPO as well.
FORMATS = ["JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "DIB", "AVIF", "JPEG2000"]
ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BIG = 89_478_485  # pixels from which Pillow warns: decoded one at a time, and shrunk at once
MOST_PIXELS = 2_000_000_000  # that can be asked for
BIG_SIDE = 2048  # pixels that at least are left of a big image's shorter side
STRIP = 1 << 22  # pixels of a big image that are made RGB at a time
JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
SEGMENT = re.compile(rb"\xff[\x02-\xcf\xda-\xfe]")  # how a part of a JPEG begins
ZEROS = bytes(512)  # at the end of a file: it was not copied to its end
TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})  # of a PNG
XMP = b"XML:com.adobe.xmp\0\0"  # not compressed; it can hold the orientation
LONGEST_TEXT = 1 << 20  # bytes
MISSING_GREY = (127, 128)  # what a JPEG decoder gives for what is missing
BOMBS = (Image.DecompressionBombWarning, Image.DecompressionBombError)


class TooManyPixelsError(Exception):
    """Say, by its width and height, that an image has more pixels than are admitted."""


# What `explain` writes holds these words, so a key must count them: they are no text of a `raise`.
AS_SCANNED = "be as it was scanned"
REMOVED = ("nothing", "It was removed while the pipeline ran. Run it again.")
CHANGED = ("other bytes", "It changed while the pipeline ran. Run it again.")


@dataclass(frozen=True)
class Decoded:
    """Hold a decoded image, upright and in 8 bits, and what its file says.

    Width and height are as stored. `measured` notes the values of a deep image (`deep.note`), with
    levels those that are made black and white; it is empty for others. `rows_there` is the share
    (0..1) of its rows that a JPEG without its end has; None for a whole image.
    """

    upright: Image.Image
    width: int
    height: int
    mode: str
    format: str
    orientation: int
    measured: str
    rows_there: float | None


def decode(
    data: bytes,
    levels: Levels | None = None,
    *,
    at_least: int | None = None,
    max_pixels: int = MOST_PIXELS,
    mend: bool = False,
) -> Decoded:
    """Decode an image fully (of pages and frames the first).

    A deep image is scaled to 8 bits by `levels`, without them by what it holds itself. With
    `at_least`, a JPEG may come out smaller by a whole factor, but with no side below so many
    pixels: that is several times faster. An image above `BIG` always comes out smaller. With
    `mend`, a JPEG whose end is missing is decoded as far as it goes, grey below.

    Raises:
        PIL.UnidentifiedImageError: the bytes are no image.
        TooManyPixelsError: it has more than `max_pixels`; nothing was decoded.
        Exception: decoders raise all kinds on damaged bytes.
    """
    data = without_zeros(data)
    with quiet():
        try:
            return _decode(data, levels, at_least, max_pixels)
        except ValueError:
            plain = without_text(data)
            if len(plain) == len(data):
                raise
            return _decode(plain, levels, at_least, max_pixels)
        except OSError as error:
            if not (mend and data.startswith(JPEG_BEGIN) and "truncated" in str(error).lower()):
                raise
            try:
                return _decode(ended(data), levels, at_least, max_pixels, cut=True)
            except Exception:  # decoders raise all kinds; the first error names the cause
                raise error from None


def count_pages(data: bytes) -> int:
    """Count the pages or frames of a file, of which the first is used; 1 where it can't be told."""
    try:
        with quiet(), _opened(data, MOST_PIXELS) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # what follows the first page may be damaged
        return 1


def read_scanned(
    path: Path, sha256: str, levels: Levels, *, at_least: int | None = None
) -> Image.Image:
    """Decode an image that was scanned, upright and in RGB; `at_least` is as in `decode`.

    A JPEG without its end is mended: the scan has admitted it.

    Raises:
        InputError: its bytes are not those that were scanned.
        OSError: it can't be read or decoded.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(f"Image '{path}'", AS_SCANNED, *REMOVED) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"Image '{path}'", AS_SCANNED, *CHANGED)
    return to_rgb(decode(data, levels, at_least=at_least, mend=True).upright)


def to_rgb(image: Image.Image) -> Image.Image:
    """Make any image RGB, with transparency laid on white; a deep one is scaled by `DEFAULT`."""
    deep = deep_grey(image)
    image = image if deep is None else scaled(deep, DEFAULT[deep.kind])
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def to_8_bit(image: Image.Image, levels: Levels | None = None) -> Image.Image:
    """Scale a deep image by `levels`, without them by what it holds; return any other as it is.

    What it holds itself is for what doesn't depend on brightness. Pillow would clip it at white.
    """
    deep = deep_grey(image)
    return image if deep is None else _in_8_bits(deep, levels)[0]


# ---------------------------------------------------------------- decoding


def _decode(
    data: bytes, levels: Levels | None, at_least: int | None, max_pixels: int, cut: bool = False
) -> Decoded:
    """Decode an image as `decode` does, with nothing mended."""
    with _opened(data, max_pixels) as image:
        correct_reading(image)
        rawmode = rawmode_of(image)  # first, since looking for EXIF loads a PNG
        orientation = _orientation(image)
        width, height = image.size
        big = width * height > BIG
        least = at_least or (BIG_SIDE if big else None)
        if least is not None:
            image.draft(None, (least, least))
        image.load()
        turned = image.format == "TIFF"  # Pillow turns these upright while loading
        if turned and orientation >= 5:
            width, height = height, width
        there = rows_there(image) if cut else None
        deep = deep_colour(data, rawmode, image) if rawmode else deep_grey(image)
        plain, measured = (image, "") if deep is None else _in_8_bits(deep, levels)
        if big and plain.width * plain.height > BIG_SIDE**2:
            plain = _shrunk(plain, least or BIG_SIDE)
        if orientation in UPRIGHT and not turned:
            plain = plain.transpose(UPRIGHT[orientation])
        return Decoded(
            plain, width, height, image.mode, str(image.format), orientation, measured, there
        )


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open an image; a big one when no other big one is open, with Pillow's own limit lifted.

    Raises:
        TooManyPixelsError: it has more than `max_pixels`.
    """
    with ExitStack() as stack:
        try:
            image = stack.enter_context(Image.open(io.BytesIO(data), formats=FORMATS))
        except BOMBS:
            image = None
        if image is None or image.width * image.height > BIG:
            stack.enter_context(taking_turns())
            stack.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            Image.MAX_IMAGE_PIXELS = MOST_PIXELS
            image = stack.enter_context(Image.open(io.BytesIO(data), formats=FORMATS))
        if image.width * image.height > max_pixels:
            raise TooManyPixelsError(image.width, image.height)
        yield image


def admitted_pixels(asked: int) -> int:
    """Give the most pixels to admit: a lower limit that a program set in Pillow is heeded."""
    limit = Image.MAX_IMAGE_PIXELS
    return asked if limit is None or limit >= BIG else min(asked, limit)


def _shrunk(image: Image.Image, least: int) -> Image.Image:
    """Make a big image RGB and smaller by a whole factor, strip by strip: no second one is held.

    Its shorter side keeps at least so many pixels, where that leaves no more than `BIG` in all.
    """
    pixels = image.width * image.height
    factor = max(min(image.size) // least, -(-pixels // BIG))
    rows = factor * max(1, STRIP // (image.width * factor))
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        small.paste(to_rgb(strip).reduce(factor), (0, top // factor))
    return small


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; 1 where there is none, or none that is valid."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # corrupt EXIF raises all kinds, and the pixels are still good
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


# ---------------------------------------------------------------- sound files that Pillow refuses


def without_zeros(data: bytes) -> bytes:
    """Take the zeros off a JPEG's end that an interrupted copy left there."""
    cut = data.startswith(JPEG_BEGIN) and data.endswith(ZEROS)
    return data.rstrip(b"\0") if cut else data


def ended(data: bytes) -> bytes:
    """End a JPEG that was cut short behind its last whole segment, so that a decoder accepts it.

    A decoder gives grey for the pixels that are missing.
    """
    last = max((found.start() for found in SEGMENT.finditer(data)), default=0)
    length = int.from_bytes(data[last + 2 : last + 4])
    whole = len(data) >= last + 2 + max(2, length)
    return (data if whole else data[:last]) + JPEG_END


def rows_there(image: Image.Image) -> float:
    """Give the share of rows above the grey that a decoder puts where a JPEG's end is missing."""
    pixels = np.asarray(image).reshape(image.height, -1)
    low, high = MISSING_GREY
    drawn = np.flatnonzero(np.any((pixels < low) | (pixels > high), axis=1))
    return float(drawn[-1] + 1) / image.height if len(drawn) else 0.0


def without_text(data: bytes) -> bytes:
    """Leave out the text and the colour profile of a PNG, which can be too long for Pillow."""
    if not data.startswith(b"\x89PNG"):
        return data
    kept, start = [data[:8]], 8
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        kind, short = data[start + 4 : start + 8], end - start < LONGEST_TEXT
        if kind not in TEXT_CHUNKS or (short and data[start + 8 :].startswith(XMP)):
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


# ---------------------------------------------------------------- Pillow's warnings


_silence = threading.RLock()
_silent = ExitStack()
_silenced = 0  # how many are silent now: the first begins the silence, the last ends it


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings and log lines; a decompression bomb becomes an error.

    Several threads may be silent at once.
    """
    global _silenced
    with _silence:
        if not _silenced:
            logger = logging.getLogger("PIL")
            _silent.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
            _silent.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _silenced += 1
    try:
        yield
    finally:
        with _silence:
            _silenced -= 1
            if not _silenced:
                _silent.close()


def _in_8_bits(deep: Deep, levels: Levels | None) -> tuple[Image.Image, str]:
    """Scale a deep image by the levels, without them by what it holds; either is noted."""
    if levels is not None:
        limits = levels.of(deep.kind)
        return scaled(deep, limits), note(deep.kind, limits)
    held = measure(deep.values, deep.kind, deep.nodata)
    return scaled(deep, fit_range(deep.kind, [held])), note(deep.kind, held)
