"""Read picture files: the hashes of each and what it says of itself, or why it can't be used.

Every file is opened once, hashed and fully decoded, since only a full decode finds a picture that
was cut short. Many files are read in several processes, and a file that crashes its process is
set aside like any bad file. It does not look for files, remember them or raise: a bad file is a
`Reading` with a reason.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import PIL
from PIL import Image, UnidentifiedImageError

from resnext.manifest.hashing import hash_picture
from resnext.manifest.signatures import what_else, why_unopened
from resnext.pictures import decode, quiet
from resnext.processes import map_apart

CHUNK = 32  # pictures handed to a process at a time
WORTH_A_POOL = 32 << 20  # bytes to read from which starting processes pays
READER = f"4 Pillow {PIL.__version__}"  # what was read by another reader is read again

Progress = Callable[[int, int], None]


class Reading(NamedTuple):
    """Hold what one file says: a usable picture has an empty reason.

    `lasting` is false where another try could end otherwise though the file is the same.
    """

    sha256: str = ""
    hashes: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    orientation: int = 0
    reason: str = ""
    lasting: bool = True


READ_COLUMNS = list(Reading._fields[:-1])


def read_files(
    paths: list[str], size: int, workers: int, progress: Progress | None
) -> list[Reading]:
    """Read files in chunks, here or in processes, in the order of `paths`.

    `size` is the sum of their bytes: processes are started where it pays, and only there can a
    crash be survived. `progress` is called with files read and files to read.
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
    return readings


def _read_chunk(paths: Iterable[str]) -> list[Reading]:
    """Read some files with Pillow's warnings kept from the terminal."""
    with quiet():
        return [_read(path) for path in paths]


def _crashed(_: str) -> Reading:
    """Say that reading a file ended its process; with more memory it may not."""
    return Reading(reason="its decoder crashed or ran out of memory", lasting=False)


# ---------------------------------------------------------------- one picture


def _read(path: str) -> Reading:
    """Read one file once: hash its bytes and decode it from memory."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return Reading(reason=f"can't be opened: {error.strerror}", lasting=False)
    if not data:
        return Reading(reason="empty file")
    try:
        return _decode(data)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        return Reading(reason=f"decompression bomb: {_line(error).split(',')[0]}")
    except UnidentifiedImageError:
        return Reading(reason=why_unopened(data))
    except MemoryError:
        return Reading(reason="does not fit into memory", lasting=False)
    except ValueError as error:
        return Reading(reason=what_else(data) or f"can't be used: {_line(error)}")
    except Exception as error:  # decoders raise all kinds on damaged bytes; none may end the scan
        return Reading(reason=what_else(data) or f"truncated or damaged: {_line(error)}")


def _decode(data: bytes) -> Reading:
    """Decode a picture and note what it is."""
    picture = decode(data)
    if picture.format == "PNG":
        _check_pixels(data)
    return Reading(
        hashlib.sha256(data).hexdigest(),
        hash_picture(picture.upright),
        picture.width,
        picture.height,
        picture.mode,
        picture.format,
        picture.orientation,
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
