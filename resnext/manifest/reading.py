"""Read picture files: the hashes of each and what it says of itself, or why it can't be used.

Every file is opened once, hashed and fully decoded, since only a full decode finds a picture that
was cut short. Many files are read in several processes. It does not look for files, remember
them or raise: a bad file is a `Reading` with a reason.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import PIL
from PIL import Image, UnidentifiedImageError

from resnext.manifest.hashing import hash_picture
from resnext.pictures import decode, quiet

CHUNK = 32  # pictures handed to a process at a time
WORTH_A_POOL = 32 << 20  # bytes to read from which starting processes pays
READER = f"2 Pillow {PIL.__version__}"  # what was read by another reader is read again

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

    `size` is the sum of their bytes: processes are started where it pays. `progress` is called
    with files read and files to read.
    """
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    apart = workers > 1 and size >= WORTH_A_POOL and len(chunks) > 1
    results = _read_apart(chunks, workers) if apart else map(_read_chunk, chunks)
    readings: list[Reading] = []
    for result in results:
        readings.extend(result)
        if progress is not None:
            progress(len(readings), len(paths))
    return readings


def _read_apart(chunks: list[list[str]], workers: int) -> Iterator[list[Reading]]:
    """Read chunks in spawned processes; an interruption here ends them after their chunk."""
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_leave_interrupts_to_the_parent,
    )
    try:
        yield from pool.map(_read_chunk, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    """Ignore Ctrl-C in a worker, where it would only print a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read_chunk(paths: Iterable[str]) -> list[Reading]:
    """Read some files with Pillow's warnings kept from the terminal."""
    with quiet():
        return [_read(path) for path in paths]


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
        return Reading(reason="not a picture, or its header is damaged")
    except MemoryError:
        return Reading(reason="does not fit into memory", lasting=False)
    except ValueError as error:
        return Reading(reason=f"can't be used: {_line(error)}")
    except Exception as error:  # decoders raise all kinds on damaged bytes; none may end the scan
        return Reading(reason=f"truncated or damaged: {_line(error)}")


def _decode(data: bytes) -> Reading:
    """Decode a picture and note what it is."""
    picture = decode(data)
    return Reading(
        hashlib.sha256(data).hexdigest(),
        hash_picture(picture.upright),
        picture.width,
        picture.height,
        picture.mode,
        picture.format,
        picture.orientation,
    )


def _line(error: BaseException) -> str:
    """Put an error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__
