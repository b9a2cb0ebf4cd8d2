"""Read picture files: the hashes of each and what it says of itself, or why it can't be used.

Every file is opened once, hashed and fully decoded, since only a full decode finds a picture that
was cut short. Many files are read in several processes, and a file that crashes its process is
set aside like any bad file. It does not look for files, remember them or raise: a bad file is a
`Reading` with a reason.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import PIL
from PIL import UnidentifiedImageError

from resnext.data.decoding.decode import (
    BIG,
    BOMBS,
    MOST_PIXELS,
    TooManyPixelsError,
    count_pages,
    decode,
    quiet,
)
from resnext.data.manifest.hashing import hash_picture
from resnext.data.manifest.signatures import what_else, why_unopened
from resnext.data.processes import map_apart

CHUNK = 32  # pictures handed to a process at a time
WORTH_A_POOL = 32 << 20  # bytes to read from which starting processes pays
READER = f"6 Pillow {PIL.__version__}"  # what was read by another reader is read again

LEAST_ROWS = 0.25  # share of its rows that a JPEG without its end must have to be of use
SEVERAL = frozenset({"TIFF", "GIF", "WEBP", "AVIF", "MPO", "PNG"})  # formats of pages or frames

Progress = Callable[[int, int], None]


class Reading(NamedTuple):
    """Hold what one file says: a usable picture has an empty reason.

    `measured` notes what a deep picture holds (`resnext.data.decoding.depth`). `cut` is the share
    of its rows, in per cent, that a JPEG without its end has, empty for a whole picture. `pages`
    counts pages and frames. A picture that was too large to be read has its size alone. `lasting`
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
        """Count the pixels of a picture that is too large to be read yet; 0 for any other."""
        return 0 if self.hashes or self.reason else self.width * self.height


READ_COLUMNS = list(Reading._fields[:-1])


def read_files(
    paths: list[str], size: int, workers: int, progress: Progress | None, max_pixels: int
) -> list[Reading]:
    """Read files in chunks, here or in processes, in the order of `paths`.

    `size` is the sum of their bytes: processes are started where it pays, and only there can a
    crash be survived. `progress` is called with files read and files to read. Big pictures, up to
    `max_pixels`, are read at last, one after the other in a process of their own.
    """
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    apart = workers > 1 and size >= WORTH_A_POOL and len(chunks) > 1
    results = (
        map_apart(_read_chunk, chunks, workers, _crashed) if apart else map(_read_chunk, chunks)
    )
    readings: list[Reading] = []
    for result in results:
        readings.extend(result)
        if progress is not None:
            progress(len(readings), len(paths))
    big = [place for place, reading in enumerate(readings) if 0 < reading.pixels <= max_pixels]
    again = map_apart(_read_big, [[paths[place]] for place in big], 1, _crashed)
    for place, (reading,) in zip(big, again, strict=True):
        readings[place] = reading
    return readings


def _read_chunk(paths: Iterable[str]) -> list[Reading]:
    """Read some files with Pillow's warnings kept from the terminal."""
    with quiet():
        return [_read(path) for path in paths]


def _read_big(paths: Sequence[str]) -> list[Reading]:
    with quiet():
        return [_read(path, MOST_PIXELS) for path in paths]


def _crashed(_: str) -> Reading:
    """Say that reading a file ended its process; with more memory it may not."""
    return Reading(reason="its decoder crashed or ran out of memory", lasting=False)


# ---------------------------------------------------------------- one picture


def _read(path: str, max_pixels: int = BIG) -> Reading:
    """Read one file once: hash its bytes and decode it from memory, if it is not too large."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return Reading(reason=f"can't be opened: {error.strerror}", lasting=False)
    if not data:
        return Reading(reason="empty file")
    try:
        return _decode(data, max_pixels)
    except TooManyPixelsError as error:
        return Reading(width=error.width, height=error.height)
    except BOMBS as error:
        size = _line(error).partition(" exceeds")[0]
        reason = f"{size} exceeds limit of {MOST_PIXELS} pixels, the most that --max-pixels admits"
        return Reading(reason=f"decompression bomb: {reason}")
    except UnidentifiedImageError:
        return Reading(reason=why_unopened(data))
    except MemoryError:
        return Reading(reason="does not fit into memory", lasting=False)
    except ValueError as error:
        return Reading(reason=what_else(data) or f"can't be used: {_line(error)}")
    except Exception as error:  # decoders raise all kinds on damaged bytes; none may end the scan
        return Reading(reason=what_else(data) or f"truncated or damaged: {_line(error)}")


def _decode(data: bytes, max_pixels: int) -> Reading:
    """Decode a picture and note what it is."""
    picture = decode(data, max_pixels=max_pixels, mend=True)
    if picture.format == "PNG":
        _check_pixels(data)
    there = picture.rows_there
    if there is not None and there < LEAST_ROWS:
        raise OSError(f"image file is truncated, only {100 * there:.0f} % of its rows are there")
    return Reading(
        hashlib.sha256(data).hexdigest(),
        hash_picture(picture.upright),
        picture.width,
        picture.height,
        picture.mode,
        picture.format,
        picture.orientation,
        picture.measured,
        "" if there is None else f"{100 * there:.0f}",
        count_pages(data) if picture.format in SEVERAL else 1,
    )


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
