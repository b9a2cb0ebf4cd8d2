"""Decode pictures: any file that Pillow reads, upright, in 8 bits, in RGB.

The scan and the network see a picture through this one door, so that what the one accepts the
other can read. Knows no torch.
"""

import hashlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from resnext.errors import InputError

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
# The report writes these two down, so they stand outside of `raise`: see tasks.stage.key.
REMOVED = (
    "Picture '{}' must be as it was scanned, got nothing. "
    "It was removed while the pipeline ran. Run it again."
)
CHANGED = (
    "Picture '{}' must be as it was scanned, got other bytes. "
    "It changed while the pipeline ran. Run it again."
)


@dataclass(frozen=True)
class Decoded:
    """Hold a decoded picture, upright, and what its file says; width and height as stored."""

    upright: Image.Image
    width: int
    height: int
    mode: str
    format: str
    orientation: int


def decode(data: bytes, *, at_least: int | None = None) -> Decoded:
    """Decode a picture fully (an animation's first frame).

    With `at_least`, a JPEG may come out smaller by a whole factor, but with no side below so many
    pixels: that is several times faster.

    Raises:
        PIL.UnidentifiedImageError: the bytes are no picture.
        Exception: decoders raise all kinds on damaged bytes.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        orientation = _orientation(image)
        width, height = image.size
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        image.load()
        turned = image.format == "TIFF"  # Pillow turns these upright while loading
        if turned and orientation >= 5:
            width, height = height, width
        upright = _upright(image, 1 if turned else orientation)
        return Decoded(upright, width, height, image.mode, str(image.format), orientation)


def read_scanned(path: Path, sha256: str, *, at_least: int | None = None) -> Image.Image:
    """Decode a picture that was scanned, upright and in RGB; `at_least` is as in `decode`.

    Raises:
        InputError: its bytes are not those that were scanned.
        OSError: it can't be read or decoded.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(REMOVED.format(path)) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(CHANGED.format(path))
    with quiet():
        return to_rgb(decode(data, at_least=at_least).upright)


def to_rgb(image: Image.Image) -> Image.Image:
    """Make any picture RGB, with transparency laid on white."""
    image = to_8_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def to_8_bit(image: Image.Image) -> Image.Image:
    """Stretch 16-bit, 32-bit and float pictures to 0..255; return any other as it is.

    Pillow itself would clip them at white.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    span = max(float(np.ptp(values)), 1e-12)
    stretched = (values - values.min()) * (255 / span)
    return Image.fromarray(np.clip(stretched.round(), 0, 255).astype(np.uint8))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings and log lines; a decompression bomb becomes an error."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        logger.setLevel(level)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; 1 where there is none, or none that is valid."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # corrupt EXIF raises all kinds, and the pixels are still good
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture as its EXIF orientation says."""
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


# ---------------------------------------------------------------- what bytes are
