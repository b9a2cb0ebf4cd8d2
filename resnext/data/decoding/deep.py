"""Take the values of a deep image (16 and 32 bits, floating point) out of its file.

Pillow gives them for grey images. Of colour it keeps 8 bits of 16, and some of what a TIFF says of
its numbers it doesn't heed: what zero means, which value means nothing, whether there is a sign.
How values become 8 bits stands in `resnext.data.decoding.depth`.
"""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from resnext.data.decoding.depth import (
    FLOAT,
    SIXTEEN,
    WHOLE,
    Range,
    measure,
    note,
    own_range,
    to_bytes,
)

if TYPE_CHECKING:  # it takes a while to import, and processes that scan don't need it
    from resnext.data.decoding.levels import Levels

BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT, GDAL_NODATA = 258, 262, 284, 339, 42113  # TIFF tags
WHITE_IS_ZERO, APART, UNSIGNED, SIGNED = 0, 2, 1, 2  # values of the second to the fourth
MISREAD = "Pillow misreads TIFFs of this kind (separate planes, signed 8 bits): save it another way"


class Deep(NamedTuple):
    """Hold the values (H, W) or (H, W, 3) of a deep picture, and what its file says of them."""

    values: npt.NDArray[Any]
    kind: str
    inverted: bool = False
    nodata: float | None = None
    alpha: Image.Image | None = None


def scaled(deep: Deep, limits: Range) -> Image.Image:
    """Make a deep picture L, LA, RGB or RGBA."""
    image = Image.fromarray(to_bytes(deep.values, limits, inverted=deep.inverted))
    if deep.alpha is not None:
        image.putalpha(deep.alpha)
    return image


def in_8_bits(deep: Deep, levels: Levels | None) -> tuple[Image.Image, str]:
    """Scale a deep picture by the levels; without them by what it holds, which is noted then."""
    if levels is not None:
        return scaled(deep, levels.of(deep.kind)), ""
    held = _measured(deep)
    return scaled(deep, own_range(deep.kind, held)), note(deep.kind, held)


def _measured(deep: Deep) -> Range:
    return measure(deep.values, deep.kind, deep.nodata)


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
    """Give the values of a picture of one deep channel; None for any other picture."""
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
    """Give all 16 bits of a colour picture, of which Pillow keeps the upper 8.

    The lower 8 come from decoding it again with the other order of bytes.
    """
    if rawmode == "LA;16B":  # which Pillow spreads over RGBA
        pairs = np.asarray(_decoded_as(data, "RGBA", image))  # grey, grey, alpha, alpha
        return Deep(_joined(pairs[..., 0], pairs[..., 1]), SIXTEEN, alpha=image.getchannel("A"))
    lower = _decoded_as(data, rawmode[:-1] + _other_order(rawmode[-1]), image)
    values = _joined(np.asarray(image)[..., :3], np.asarray(lower)[..., :3])
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    return Deep(values, SIXTEEN, alpha=alpha)


def rawmode_of(image: ImageFile.ImageFile) -> str:
    """Say how a colour picture of 16 bits is stored, before it is loaded; empty for any other."""
    args = [each.args or ("",) for each in image.tile]
    modes = {each if isinstance(each, str) else str(each[0]) for each in args}
    mode = modes.pop() if len(modes) == 1 else ""
    return mode if re.fullmatch(r"(RGB|RGBX|RGBA);16[BLN]|LA;16B", mode) else ""


def _other_order(order: str) -> str:
    """Name the order of bytes that is not this one; N is the machine's."""
    big = order == "B" or (order == "N" and sys.byteorder == "big")
    return "L" if big else "B"


def _decoded_as(data: bytes, rawmode: str, like: Image.Image) -> Image.Image:
    """Decode a picture again, its pixels taken to be stored in another way, of as many bits."""
    image = Image.open(io.BytesIO(data), formats=[str(like.format)])
    image.tile = [
        each._replace(args=rawmode if isinstance(each.args, str) else (rawmode, *each.args[1:]))
        for each in image.tile
        if each.args
    ]
    image.load()
    return image


def _joined(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    joined: npt.NDArray[np.uint16] = np.bitwise_or(upper.astype(np.uint16) << 8, lower)
    return joined
