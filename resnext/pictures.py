"""Decode pictures: any file that Pillow reads, upright, in 8 bits, in RGB.

The scan and the network see a picture through this one door, so that what the one accepts the
other can read. What can't be opened is told apart by its first bytes. Knows no torch.
"""

import codecs
import hashlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, features

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

HEAD = 4096  # bytes looked at to tell what a file is
READ_HERE = {  # how files of FORMATS begin
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "PPM": rb"P[1-6](?>\s+|#[^\n]*\n)+\d+\s+\d+\s",
    "WebP": rb"RIFF.{4}WEBP",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "AVIF": rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1).{4}(?:.{4}){0,9}?avi[fs])",
    "TIFF or camera raw": rb"II[*+]\0|MM\0[*+]",
}
OPTIONAL = {"WebP": "webp", "AVIF": "avif", "JPEG 2000": "jpg_2000"}  # Pillow is built without some
_LEAD = rb"(?:\xef\xbb\xbf)?(?>\s+|<\?xml.*?\?>|<!--.*?-->)*+"
PICTURES_NOT_READ = {
    "HEIC picture": rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)",
    "JPEG XL picture": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "Windows icon": rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0",
    "Photoshop file": rb"8BPS",
    "GIMP file": rb"gimp xcf",
    "PostScript drawing": rb"%!PS|\xc5\xd0\xd3\xc6",
    "SVG drawing": _LEAD + rb"(?i:<!doctype\s+svg|<svg\b)",
    "DICOM picture": rb".{128}DICM",
    "camera raw picture": rb"II(?:R[OS]|U\0)|FUJIFILMCCD-RAW|.{4}ftypcrx ",
    "QOI picture": rb"qoif",
    "DDS picture": rb"DDS \x7c\0\0\0",
    "OpenEXR picture": rb"\x76\x2f\x31\x01",
}
NO_PICTURES = {
    "an HTML page, as failed downloads often are": _LEAD
    + rb"(?i:<!doctype\s+html|<(?:html|head|body|title|script)\b)",
    "an XML file": rb"(?:\xef\xbb\xbf)?<\?xml\s",
    "a Git LFS pointer: fetch the picture with 'git lfs pull'": rb"version https://git-lfs\.github",
    "a PDF document": rb"%PDF-",
    "a zip archive, or a document packed as one": rb"PK(?:\x03\x04|\x05\x06)",
    "an archive or a compressed file": rb"\x1f\x8b\x08|BZh[1-9]1AY|\xfd7zXZ\0|7z\xbc\xaf\x27\x1c"
    rb"|Rar!\x1a\x07|\x28\xb5\x2f\xfd|.{257}ustar",
    "a video or sound": rb".{4}ftyp(?:iso[m2-9]|mp4[12v]|M4[APV] |qt  |3g[2p].|avc1|dash|MSNV)"
    rb"|\x1a\x45\xdf\xa3|RIFF.{4}(?:AVI |WAVE)|\0\0\x01[\xba\xb3]"
    rb"|OggS\0|ID3[\x02-\x04]|fLaC|FLV\x01",
    "a file of numbers (NumPy, HDF5)": rb"\x93NUMPY|\x89HDF\r\n",
}


@dataclass(frozen=True)
class Decoded:
    """Hold a decoded picture, upright, and what its file says; width and height as stored."""

    upright: Image.Image
    width: int
    height: int
    mode: str
    format: str
    orientation: int


def decode(data: bytes) -> Decoded:
    """Decode a picture fully (an animation's first frame).

    Raises:
        PIL.UnidentifiedImageError: the bytes are no picture.
        Exception: decoders raise all kinds on damaged bytes.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        orientation = _orientation(image)
        width, height = image.size
        image.load()
        turned = image.format == "TIFF"  # Pillow turns these upright while loading
        if turned and orientation >= 5:
            width, height = height, width
        upright = _upright(image, 1 if turned else orientation)
        return Decoded(upright, width, height, image.mode, str(image.format), orientation)


def why_unopened(data: bytes) -> str:
    """Say why bytes that Pillow can't identify are no picture to read, as far as they show it."""
    name = _first(READ_HERE, data)
    if name in OPTIONAL and not features.check(OPTIONAL[name]):
        return f"{name} picture, which the installed Pillow can't read: convert it to JPEG or PNG"
    if name:
        return f"{name} picture that can't be opened: cut short, damaged or of a rare kind"
    return what_else(data) or "not a picture, or its header is damaged"


def what_else(data: bytes) -> str:
    """Say what bytes are that are not of `FORMATS`; empty where that doesn't show."""
    if _first(READ_HERE, data):
        return ""
    if name := _first(PICTURES_NOT_READ, data):
        return f"{name}, which is not read here: convert it to JPEG or PNG"
    name = _first(NO_PICTURES, data)
    if not name and data.count(0) == len(data):
        name = "zero bytes only, as an interrupted copy leaves them"
    elif not name and _is_text(data[:HEAD]):
        name = "text"
    return f"not a picture, but {name}" if name else ""


def read_scanned(path: Path, sha256: str) -> Image.Image:
    """Decode a picture that was scanned, upright and in RGB.

    Raises:
        InputError: its bytes are not those that were scanned.
        OSError: it can't be read or decoded.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"Picture '{path}' must be as it was scanned, got nothing. "
            "It was removed while the pipeline ran. Run it again."
        ) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"Picture '{path}' must be as it was scanned, got other bytes. "
            "It changed while the pipeline ran. Run it again."
        )
    with quiet():
        return to_rgb(decode(data).upright)


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


def _first(kinds: dict[str, bytes], data: bytes) -> str:
    """Return the first kind that the bytes begin like, or an empty name."""
    head = data[:HEAD]
    return next((name for name, how in kinds.items() if re.match(how, head, re.DOTALL)), "")


def _is_text(head: bytes) -> bool:
    """Tell UTF-8 text; a few bytes alone show nothing, and the last character may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return len(text) >= 8 and all(c.isprintable() or c in "\t\n\f\r" for c in text)
