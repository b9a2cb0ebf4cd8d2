"""Read image files: the hashes of each and what it says of itself, or why it can't be used.

Every file is opened once, hashed and fully decoded, since only a full decode finds an image that
was cut short. Many files are read in several processes, and a file that crashes its process is
set aside like any bad file. What a file is that can't be read is told by its first bytes. It does
not look for files, remember them or raise: a bad file is a `Reading` with a reason.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import PIL
from PIL import UnidentifiedImageError, features

from resnext.data.decoding.decode import (
    BIG,
    BOMBS,
    MOST_PIXELS,
    Decoded,
    TooManyPixelsError,
    count_pages,
    decode,
    quiet,
)
from resnext.data.manifest.hashing import hash_image
from resnext.data.processes import map_apart, map_chunks

READER = f"6 Pillow {PIL.__version__}"  # what was read by another reader is read again
WORTH_A_POOL = 32 << 20  # bytes to read from which starting processes pays
LEAST_ROWS = 0.25  # share of its rows that a JPEG without its end must have to be of use
SEVERAL = frozenset({"TIFF", "GIF", "WEBP", "AVIF", "MPO", "PNG"})  # formats of pages or frames

Progress = Callable[[int, int], None]
Seen = TypeVar("Seen")


class Reading(NamedTuple):
    """Hold what one file says: a usable image has an empty reason.

    `measured` notes what a deep image holds (`resnext.data.decoding.deep`). `cut` is the share
    of its rows, in per cent, that a JPEG without its end has, empty for a whole image. `pages`
    counts pages and frames. An image that was too large to be read has its size alone. `lasting`
    is false where another try could end otherwise though the file is the same.
    """

    sha256: str = ""
    hashes: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    orientation: int = 0
    measured: str = ""
    cut: str = ""
    pages: int = 1
    reason: str = ""
    lasting: bool = True

    @property
    def pixels(self) -> int:
        """Count the pixels of an image that is too large to be read yet; 0 for any other."""
        return 0 if self.hashes or self.reason else self.width * self.height


READ_COLUMNS = list(Reading._fields[:-1])


def read_files(
    paths: list[str], size: int, workers: int, progress: Progress | None, max_pixels: int
) -> list[Reading]:
    """Read files, here or in processes, in the order of `paths`.

    `size` is the sum of their bytes: processes are started where it pays, and only there can a
    crash be survived. `progress` is called with files read and files to read. Big images, up to
    `max_pixels`, are read at last, one after the other in a process of their own.
    """
    workers = workers if size >= WORTH_A_POOL else 1
    readings = list(map_chunks(_read_some, paths, workers, crashed, progress))
    big = [row for row, reading in enumerate(readings) if 0 < reading.pixels <= max_pixels]
    read_big = partial(_read_some, max_pixels=MOST_PIXELS)
    again = map_apart(read_big, [[paths[row]] for row in big], 1, crashed)
    for row, (reading,) in zip(big, again, strict=True):
        readings[row] = reading
    return readings


def _read_some(paths: Sequence[str], max_pixels: int = BIG) -> list[Reading]:
    """Read some files with Pillow's warnings kept from the terminal."""
    with quiet():
        return [_read(path, max_pixels) for path in paths]


def _read(path: str, max_pixels: int) -> Reading:
    """Read one file, and hash what it shows."""
    decoding = partial(decode, max_pixels=max_pixels, mend=True)
    reading, hashes = read_image(path, decoding, lambda image: hash_image(image.upright))
    return reading._replace(hashes=hashes or "")


def crashed(_: str) -> Reading:
    """Say that reading a file ended its process; with more memory it may not."""
    return Reading(reason="its decoder crashed or ran out of memory", lasting=False)


# ---------------------------------------------------------------- one image


def read_bytes(path: str) -> bytes:
    """Read a file of this machine."""
    return Path(path).read_bytes()


def read_image(
    path: str,
    decoding: Callable[[bytes], Decoded],
    look: Callable[[Decoded], Seen],
    read: Callable[[str], bytes] = read_bytes,
) -> tuple[Reading, Seen | None]:
    """Read one file once: what it says, and what `look` makes of the image, where there is one.

    `hashes` stays empty. Called within `quiet`.
    """
    try:
        data = read(path)
    except OSError as error:
        return Reading(reason=f"can't be opened: {error.strerror}", lasting=False), None
    return read_data(data, decoding, look)


def read_data(
    data: bytes, decoding: Callable[[bytes], Decoded], look: Callable[[Decoded], Seen]
) -> tuple[Reading, Seen | None]:
    """Read the bytes of one file as `read_image` does."""
    if not data:
        return Reading(reason="empty file"), None
    try:
        decoded = _sound(data, decoding)
        return _noted(data, decoded), look(decoded)
    except TooManyPixelsError as error:
        return Reading(width=error.args[0], height=error.args[1]), None
    except MemoryError:
        return Reading(reason="does not fit into memory", lasting=False), None
    except Exception as error:  # decoders raise all kinds on damaged bytes; none may end the scan
        return Reading(reason=_why_unusable(data, error)), None


def _sound(data: bytes, decoding: Callable[[bytes], Decoded]) -> Decoded:
    """Decode an image, of which enough must be there."""
    image = decoding(data)
    if image.format == "PNG":
        _check_pixels(data)
    rows = image.rows_there
    if rows is not None and rows < LEAST_ROWS:
        raise OSError(f"image file is truncated, only {100 * rows:.0f} % of its rows are there")
    return image


def _noted(data: bytes, image: Decoded) -> Reading:
    """Note what an image is."""
    return Reading(
        hashlib.sha256(data).hexdigest(),
        width=image.width,
        height=image.height,
        mode=image.mode,
        format=image.format,
        orientation=image.orientation,
        measured=image.measured,
        cut="" if image.rows_there is None else f"{100 * image.rows_there:.0f}",
        pages=count_pages(data) if image.format in SEVERAL else 1,
    )


def _why_unusable(data: bytes, error: Exception) -> str:
    """Say why bytes could not be decoded."""
    if isinstance(error, BOMBS):
        size = _line(error).partition(" exceeds")[0]
        limit = f"{MOST_PIXELS} pixels, the most that --max-pixels admits"
        return f"decompression bomb: {size} exceeds limit of {limit}"
    if isinstance(error, UnidentifiedImageError):
        return why_unopened(data)
    what = "can't be used" if isinstance(error, ValueError) else "truncated or damaged"
    return what_else(data) or f"{what}: {_line(error)}"


def why_refused(reading: Reading, keep_truncated: bool, most: int) -> str:
    """Say why an image can't be used, empty where it can; this alone follows the settings."""
    pixels = reading.width * reading.height
    if reading.reason:
        return reading.reason
    if pixels > most:
        return (
            f"decompression bomb: Image size ({pixels} pixels) exceeds limit of {most} pixels; "
            f"'--max-pixels {pixels}' admits it, if it is a sound image"
        )
    if reading.cut and not keep_truncated:
        return (
            f"truncated or damaged: image file is truncated, {reading.cut} % of its rows are "
            "there; '--truncated keep' uses it, grey where it ends"
        )
    return ""


def _check_pixels(data: bytes) -> None:
    """Compare the checksums of a PNG's pixels: Pillow checks those of the other chunks only.

    Raises:
        OSError: a checksum is another.
    """
    view, start = memoryview(data), 8
    while start < len(data):
        kind, end = start + 4, start + 8 + int.from_bytes(view[start : start + 4])
        checksum = int.from_bytes(view[end : end + 4])
        if data[kind : kind + 4] == b"IDAT" and zlib.crc32(view[kind:end]) != checksum:
            raise OSError("checksum of its pixels is wrong")
        start = end + 4


def _line(error: BaseException) -> str:
    """Put an error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__


# ---------------------------------------------------------------- what a file is

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
NOT_READ_HERE = {
    "HEIC image": rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)",
    "JPEG XL image": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "Windows icon": rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0",
    "Photoshop file": rb"8BPS",
    "GIMP file": rb"gimp xcf",
    "PostScript drawing": rb"%!PS|\xc5\xd0\xd3\xc6",
    "SVG drawing": _LEAD + rb"(?i:<!doctype\s+svg|<svg\b)",
    "DICOM image": rb".{128}DICM",
    "camera raw image": rb"II(?:R[OS]|U\0)|FUJIFILMCCD-RAW|.{4}ftypcrx ",
    "QOI image": rb"qoif",
    "DDS image": rb"DDS \x7c\0\0\0",
    "OpenEXR image": rb"\x76\x2f\x31\x01",
}
NO_IMAGES = {
    "an HTML page, as failed downloads often are": _LEAD
    + rb"(?i:<!doctype\s+html|<(?:html|head|body|title|script)\b)",
    "an XML file": rb"(?:\xef\xbb\xbf)?<\?xml\s",
    "a Git LFS pointer: fetch the image with 'git lfs pull'": rb"version https://git-lfs\.github",
    "a shortcut of Windows or a Mac, which is not followed: put the image itself, or a link made "
    "by 'ln -s', here": rb"L\0\0\0\x01\x14\x02\0|book\0\0\0\0mark",
    "a PDF document": rb"%PDF-",
    "a zip archive, or a document packed as one": rb"PK(?:\x03\x04|\x05\x06)",
    "an archive or a compressed file": rb"\x1f\x8b\x08|BZh[1-9]1AY|\xfd7zXZ\0|7z\xbc\xaf\x27\x1c"
    rb"|Rar!\x1a\x07|\x28\xb5\x2f\xfd|.{257}ustar",
    "a video or sound": rb".{4}ftyp(?:iso[m2-9]|mp4[12v]|M4[APV] |qt  |3g[2p].|avc1|dash|MSNV)"
    rb"|\x1a\x45\xdf\xa3|RIFF.{4}(?:AVI |WAVE)|\0\0\x01[\xba\xb3]"
    rb"|OggS\0|ID3[\x02-\x04]|fLaC|FLV\x01",
    "a file of numbers (NumPy, HDF5)": rb"\x93NUMPY|\x89HDF\r\n",
}


def why_unopened(data: bytes) -> str:
    """Say why bytes that Pillow can't identify are no image to read, as far as they show it."""
    name = _first(READ_HERE, data)
    if name in OPTIONAL and not features.check(OPTIONAL[name]):
        return f"{name} image, which the installed Pillow can't read: convert it to JPEG or PNG"
    if name:
        return f"{name} image that can't be opened: cut short, damaged or of a rare kind"
    return what_else(data) or "not an image, or its header is damaged"


def what_else(data: bytes) -> str:
    """Say what bytes are that are not of `FORMATS`; empty where that doesn't show."""
    if _first(READ_HERE, data):
        return ""
    if name := _first(NOT_READ_HERE, data):
        return f"{name}, which is not read here: convert it to JPEG or PNG"
    name = _first(NO_IMAGES, data)
    if not name and data.count(0) == len(data):
        name = "zero bytes only, as an interrupted copy leaves them"
    elif not name and _is_text(data[:HEAD]):
        name = "text"
    return f"not an image, but {name}" if name else ""


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
