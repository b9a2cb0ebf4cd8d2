"""Deep images (16 and 32 bits, floating point): their values, and how they become 8 bits.

Pillow gives the values of grey images. Of colour it keeps 8 bits of 16, and some of what a TIFF
says of its numbers it doesn't heed: what zero means, which value means nothing, whether there is a
sign. Hot pixels and nodata values are left out of a measurement; in the image they become black or
white. It knows one image at a time; the range of a set stands in `resnext.data.decoding.levels`.

Source: the GDAL_NODATA tag and the usual nodata values, https://gdal.org/en/stable/drivers/raster/gtiff.html;
the bits of a sample in TIFF 6.0, section 8.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

Values: TypeAlias = npt.NDArray[Any]
Range: TypeAlias = tuple[float, float]

SIXTEEN, WHOLE, FLOAT = "uint16", "int32", "float32"
DEFAULT: dict[str, Range] = {SIXTEEN: (0, 65535), WHOLE: (0, 65535), FLOAT: (0, 1)}
FEWEST_BITS = 8
HOT = 10_000  # of so many pixels one is left out at each end, and at least one
WORTH_TRIMMING = 16  # values, from which one is left out
IMPOSSIBLE = 1e15  # no pixel's value: -3.4e38 and the like stand for "nothing here"
NODATA = frozenset({-999, -9999, -99999, -32767, -32768, -(2**31)})
GAP = 0.1  # of the range of all others is the least distance of a nodata value
SAMPLE = 1 << 20  # numbers that are enough to measure floating point and 32 bits by
BLOCK = 1 << 22  # numbers that are counted, or turned into 8 bits, at a time

BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT, GDAL_NODATA = 258, 262, 284, 339, 42113  # TIFF tags
WHITE_IS_ZERO, APART, UNSIGNED, SIGNED = 0, 2, 1, 2  # values of the second to the fourth
MISREAD = "Pillow misreads TIFFs of this kind (separate planes, signed 8 bits): save it another way"


class Deep(NamedTuple):
    """Hold the values (H, W) or (H, W, 3) of a deep image, and what its file says of them."""

    values: Values
    kind: str
    inverted: bool = False
    nodata: float | None = None
    alpha: Image.Image | None = None


def scaled(deep: Deep, limits: Range) -> Image.Image:
    """Make a deep image L, LA, RGB or RGBA."""
    image = Image.fromarray(to_bytes(deep.values, limits, inverted=deep.inverted))
    if deep.alpha is not None:
        image.putalpha(deep.alpha)
    return image


# ---------------------------------------------------------------- values and how they are stored


def correct_reading(image: ImageFile.ImageFile) -> None:
    """Set right how Pillow will read a TIFF, before it is loaded.

    libtiff gives numbers in the machine's order of bytes, whatever that of the file is. Of separate
    planes that are not compressed Pillow drops how they are stored.

    Raises:
        ValueError: Pillow would take its numbers for others, and can't be told.
    """
    tags: Any = getattr(image, "tag_v2", None)
    if tags is None:
        return
    bits, kinds = tags.get(BITS, (1,)), tags.get(SAMPLE_FORMAT, (UNSIGNED,))
    plain = all(each.codec_name != "libtiff" for each in image.tile)
    lost = len(bits) > 1 or tags.prefix == b"MM" if bits[0] > 8 else _white_is_zero(tags)
    apart = tags.get(PLANES) == APART and (image.mode == "LA" or (plain and lost))
    if apart or (bits[0] == 8 and kinds[0] == SIGNED):
        raise ValueError(MISREAD)
    if not plain:
        image.tile = [each._replace(args=_in_native_order(each.args)) for each in image.tile]


def _in_native_order(args: Any) -> tuple[Any, ...]:
    return re.sub(r"^([FI];\d\d)B", r"\1N", args[0]), *args[1:]


def _white_is_zero(tags: Any) -> bool:
    return bool(tags.get(PHOTOMETRIC) == WHITE_IS_ZERO)


def deep_grey(image: Image.Image) -> Deep | None:
    """Give the values of an image of one deep channel; None for any other image."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return None
    values = np.asarray(image)
    tags: Any = getattr(image, "tag_v2", {})
    if image.mode == "F":
        kind = FLOAT
    elif image.mode != "I" or getattr(image, "format", None) in ("PNG", "PPM"):
        kind, values = SIXTEEN, values.astype(np.uint16)  # in the machine's order of bytes
    else:
        kind = WHOLE
        if tags and tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED:
            values = values.view(np.uint32)  # which Pillow takes for signed
    return Deep(values, kind, _white_is_zero(tags), _nodata(tags))


def _nodata(tags: Any) -> float | None:
    """Read the value that a TIFF of GDAL's says to mean nothing; None where it says none."""
    try:
        return float(str(tags[GDAL_NODATA]).strip(" \0"))
    except (KeyError, ValueError):
        return None


def deep_colour(data: bytes, rawmode: str, image: Image.Image) -> Deep:
    """Give all 16 bits of a colour image, of which Pillow keeps the upper 8.

    The lower 8 come from decoding it again with the other order of bytes.
    """
    if rawmode == "LA;16B":  # which Pillow spreads over RGBA
        pairs = np.asarray(_decoded_as(data, "RGBA", image))  # grey, grey, alpha, alpha
        return Deep(_joined(pairs[..., 0], pairs[..., 1]), SIXTEEN, alpha=image.getchannel("A"))
    stored_big = rawmode[-1] == "B" or (rawmode[-1] == "N" and sys.byteorder == "big")
    lower = _decoded_as(data, rawmode[:-1] + ("L" if stored_big else "B"), image)
    values = _joined(np.asarray(image)[..., :3], np.asarray(lower)[..., :3])
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    return Deep(values, SIXTEEN, alpha=alpha)


def rawmode_of(image: ImageFile.ImageFile) -> str:
    """Say how a colour image of 16 bits is stored, before it is loaded; empty for any other."""
    args = [each.args or ("",) for each in image.tile]
    modes = {each if isinstance(each, str) else str(each[0]) for each in args}
    mode = modes.pop() if len(modes) == 1 else ""
    return mode if re.fullmatch(r"(RGB|RGBX|RGBA);16[BLN]|LA;16B", mode) else ""


def _decoded_as(data: bytes, rawmode: str, like: Image.Image) -> Image.Image:
    """Decode an image again, its pixels taken to be stored in another way, of as many bits."""
    image = Image.open(io.BytesIO(data), formats=[str(like.format)])
    image.tile = [
        each._replace(args=rawmode if isinstance(each.args, str) else (rawmode, *each.args[1:]))
        for each in image.tile
        if each.args
    ]
    image.load()
    return image


def _joined(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    return np.asarray(upper.astype(np.uint16) << 8 | lower)


# ---------------------------------------------------------------- measures and 8 bits


def measure(values: Values, kind: str, nodata: float | None = None) -> Range:
    """Give the darkest and the brightest of an image's finite values, but for a few hot pixels.

    `nodata` is a value that the file itself says to mean nothing. 0 and 0 where nothing is left.
    """
    flat = values.ravel()
    if kind == SIXTEEN:
        pieces = (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
        counts = sum((np.bincount(piece, minlength=1 << 16) for piece in pieces), np.zeros(1 << 16))
        found, counts = np.flatnonzero(counts), counts[counts > 0]
    else:
        sample = flat[:: -(-flat.size // SAMPLE) or 1]
        finite = np.isfinite(sample)
        finite[finite] = np.abs(sample[finite].astype(np.float64)) < IMPOSSIBLE
        found, counts = np.unique(sample[finite], return_counts=True)
    if nodata is not None and abs(nodata) < IMPOSSIBLE:
        kept = found != np.asarray(nodata).astype(found.dtype)
        found, counts = found[kept], counts[kept]
    if not len(found):
        return 0.0, 0.0
    found, counts = _trimmed(found.astype(np.float64), counts)
    while _begins_with_nodata(found):
        found, counts = _trimmed(found[1:], counts[1:])
    return float(found[0]), float(found[-1])


def _trimmed(found: Values, counts: Values) -> tuple[Values, Values]:
    """Leave the lowest and the highest few of counted values out."""
    total = int(counts.sum())
    few = max(1, total // HOT) if total >= WORTH_TRIMMING else 0
    below = np.cumsum(counts)
    first = int(np.argmax(below > few))
    last = len(found) - 1 - int(np.argmax(np.cumsum(counts[::-1]) > few))
    return found[first : last + 1], counts[first : last + 1]


def _begins_with_nodata(found: Values) -> bool:
    """Tell whether the lowest value is one that usually means nothing, and none is near it."""
    if len(found) < 2 or found[0] not in NODATA:
        return False
    return bool(found[1] - found[0] > GAP * (found[-1] - found[1]))


def to_bytes(values: Values, limits: Range, *, inverted: bool = False) -> npt.NDArray[np.uint8]:
    """Scale values (H, W, ...) to 0..255; what lies outside of the limits is black or white.

    What is not a number becomes black. `inverted` is for images whose zero is white.
    """
    low, high = limits
    factor = 255 / max(high - low, 1e-300)
    out = np.empty(values.shape, dtype=np.uint8)
    rows = max(1, BLOCK // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        scaled = (values[start : start + rows].astype(np.float64) - low) * factor
        scaled = np.nan_to_num(scaled, nan=0, posinf=255, neginf=0).clip(0, 255).round()
        out[start : start + rows] = 255 - scaled if inverted else scaled
    return out


def note(kind: str, measured: Range) -> str:
    """Note what an image holds as text: its kind and its range."""
    return f"{kind} {measured[0]!r} {measured[1]!r}"


def read_note(text: str) -> tuple[str, Range]:
    """Read what `note` gave."""
    kind, low, high = text.split(" ")
    return kind, (float(low), float(high))


def fit_range(kind: str, ranges: Sequence[Range]) -> Range:
    """Give one range for the ranges of images; one that is of one value tells little."""
    telling = [each for each in ranges if each[0] < each[1]] or ranges
    low, high = min(each[0] for each in telling), max(each[1] for each in telling)
    if kind == SIXTEEN:
        highest = max(each[1] for each in ranges)
        return 0.0, float((1 << max(FEWEST_BITS, int(highest).bit_length())) - 1)
    if kind == FLOAT and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1
