"""Small images inside a page: thumbnails, with or without a heat map over them, as data URIs.

They carry pixels alone. What else a file holds (EXIF, a JPEG's comment) can name a patient, and
Pillow would write the comment again.

The colours of a heat map are cividis, whose lightness grows evenly with the value for an eye that
sees all colours and for one that doesn't. They are mixed in one share everywhere with the
image's greys, so that hot and cold are equally far apart on dark and on light skin, and no colour
of the skin is taken for one of the map.

Source: Nunez, Anderton and Renslow 2018, https://doi.org/10.1371/journal.pone.0199239; the colours
are matplotlib's table (CC0) at nine places, with straight lines between them.
"""

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

QUALITY = 80  # of the JPEG
COLOURS = (
    (0, 34, 78), (26, 56, 111), (67, 78, 108), (97, 101, 111), (125, 124, 120), (155, 148, 118),
    (188, 174, 108), (222, 201, 88), (254, 232, 56),
)  # fmt: skip
"""Red, green and blue of the values 0, 1/8, ... 1."""
PALETTE = 256  # colours of a drawing, whose lines and letters need no more
SHARE = 0.55  # of the map's colours in the mixture


def shrink(image: Image.Image, side: int) -> Image.Image:
    """Make the longer side of an RGB image `side` pixels at most, its shape and pixels alone.

    A smaller image keeps its size.
    """
    plain = Image.fromarray(np.asarray(image))
    plain.thumbnail((side, side))
    return plain


def lay_over(image: Image.Image, heat: npt.NDArray[np.float32]) -> Image.Image:
    """Mix an RGB image's greys with the colours of a heat map (S, S), 0..1, over all of it.

    The map is stretched to the image: it belongs to the square that the image was pressed into.
    """
    fitted = Image.fromarray(heat).resize(image.size, Image.Resampling.BILINEAR)
    greys = np.asarray(image.convert("L"), dtype=np.float64)[..., None]  # (H, W, 1)
    mixed = (1 - SHARE) * greys + SHARE * colours_of(np.asarray(fitted))  # (H, W, 3)
    return Image.fromarray(np.clip(mixed + 0.5, 0, 255).astype(np.uint8))


def colours_of(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Give the colours (..., 3), 0..255, of values (...), 0..1."""
    places = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(heat, places, channel) for channel in zip(*COLOURS, strict=True)]
    return np.stack(channels, axis=-1)


def as_uri(image: Image.Image) -> str:
    """Encode an image as a JPEG in a data URI."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


def reduce_colours(drawing: Path) -> None:
    """Write a PNG of lines, letters and areas again with a palette: a third of the bytes."""
    with Image.open(drawing) as image:
        opaque = image.convert("RGB")
    reduced = opaque.quantize(PALETTE, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    reduced.save(drawing, "PNG", optimize=True, dpi=image.info.get("dpi", (72, 72)))
