"""Measure deep images (16 and 32 bits, floating point) and bring them to 8 bits.

Hot pixels and nodata values are left out of a measurement; in the image they become black or white.
It knows one image at a time; the range of a set stands in `resnext.data.decoding.levels`. It knows
no file, and imports little, since every process that reads images starts with it.

Source: the GDAL_NODATA tag and the usual nodata values, https://gdal.org/en/stable/drivers/raster/gtiff.html;
the bits of a sample in TIFF 6.0, section 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[Any]
Range: TypeAlias = tuple[float, float]

SIXTEEN, WHOLE, FLOAT = "uint16", "int32", "float32"
DEFAULT: dict[str, Range] = {SIXTEEN: (0, 65535), WHOLE: (0, 65535), FLOAT: (0, 1)}
FEWEST_BITS = 8
HOT = 10_000  # of so many pixels one is left out at each end, and at least one
WORTH_TRIMMING = 16  # values, from which one is left out
IMPOSSIBLE = 1e15  # no pixel's value: -3.4e38 and the like stand for "nothing here"
NODATA = frozenset({-999, -9999, -99999, -32767, -32768, -(2**31)})
APART = 0.1  # of the range of all others is the least distance of a nodata value
SAMPLE = 1 << 20  # numbers that are enough to measure floating point and 32 bits by
BLOCK = 1 << 22  # numbers that are counted, or turned into 8 bits, at a time


# ---------------------------------------------------------------- one image


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
    return bool(found[1] - found[0] > APART * (found[-1] - found[1]))


def own_range(kind: str, measured: Range) -> Range:
    """Give the range of an image that is by itself, for what doesn't depend on brightness."""
    return fit_range(kind, [measured])


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
