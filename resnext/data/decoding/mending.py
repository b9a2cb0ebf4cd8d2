"""Make the bytes of a sound picture fit what Pillow reads: a PNG's text, a JPEG's missing end.

Bytes come in and bytes go out: no global state of Pillow is changed, so that threads can do it.
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
SEGMENT = re.compile(rb"\xff[\x02-\xcf\xda-\xfe]")  # how a part of a JPEG begins
ZEROS = bytes(512)  # at the end of a file: it was not copied to its end
TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})  # of a PNG
XMP = b"XML:com.adobe.xmp\0\0"  # not compressed; it can hold the orientation
LONGEST_TEXT = 1 << 20  # bytes
MISSING_GREY = (127, 128)  # what a JPEG decoder gives for what is missing


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
    told = np.flatnonzero(np.any((pixels < low) | (pixels > high), axis=1))
    return float(told[-1] + 1) / image.height if len(told) else 0.0


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
