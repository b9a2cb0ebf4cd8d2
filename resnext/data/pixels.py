"""Pictures as the network sees them: squares of uint8 pixels, from a packed file or as they lie.

Every picture is turned upright, made RGB and resized to a square, as the script does that the
project began as; nothing is cut off, so that a lesion at the edge is kept. `to_pixels` is the one
function that does it, for training, evaluation and prediction alike. What is done to a batch of
pixels afterwards stands in `resnext.training.augmentation`. Knows no torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.processes import map_apart

DETAIL = 2  # times the size that the network sees is what a big JPEG is decoded to at least
CHUNK = 32  # pictures handed to a process at a time
WORTH_A_POOL = 256  # pictures from which starting processes pays

Pixels: TypeAlias = npt.NDArray[np.uint8]  # (N, S, S, 3)
Rows: TypeAlias = npt.NDArray[np.int64]
Progress: TypeAlias = Callable[[int, int], None]


class Picture(NamedTuple):
    """Name one picture: where it is and what its bytes hash to."""

    path: Path
    sha256: str


class PixelSource(Protocol):
    """What gives pixels by row number."""

    size: int

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some rows."""


def to_pixels(picture: Picture, size: int, levels: Levels = Levels()) -> Pixels:
    """Read a picture as the network sees it: (S, S, 3); `levels` are the training's own.

    Raises:
        InputError: its bytes are not those that were scanned.
        OSError: it can't be read or decoded.
    """
    image = read_scanned(picture.path, picture.sha256, levels, at_least=DETAIL * size)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


class PictureFiles:
    """Pixels of pictures that are decoded when they are asked for."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        size: int,
        workers: int = 1,
        levels: Levels = Levels(),
    ) -> None:
        self.pictures, self.size, self.workers = list(pictures), size, max(1, workers)
        self.levels = levels

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some rows.

        Raises:
            InputError: a picture changed since it was scanned.
        """
        wanted = [self.pictures[row] for row in rows]
        read = partial(to_pixels, size=self.size, levels=self.levels)
        with ThreadPoolExecutor(self.workers) as pool:
            return np.stack(list(pool.map(read, wanted)))


class PackedPixels:
    """Pixels that were packed into a file, which may be larger than memory."""

    def __init__(self, file: Path, digests: Sequence[str]) -> None:
        self.pixels: Pixels = np.load(file, mmap_mode="r")
        self.size = int(self.pixels.shape[1])
        self.row_of = {digest: row for row, digest in enumerate(digests)}

    def rows(self, digests: Sequence[str]) -> Rows:
        """Give the row of each picture, named by the sha256 of its file.

        Raises:
            KeyError: a picture was not packed.
        """
        return np.array([self.row_of[digest] for digest in digests], dtype=np.int64)

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some rows."""
        return np.asarray(self.pixels[rows])


def pack(
    pictures: Sequence[Picture],
    size: int,
    file: Path,
    levels: Levels = Levels(),
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Decode pictures once and write their pixels (N, S, S, 3) into a .npy file, in their order.

    `progress` is called with pictures done and pictures in all. Many are decoded in processes,
    which changes no byte.

    Raises:
        InputError: a picture changed since it was scanned, or the disk has no room.
    """
    shape = (len(pictures), size, size, 3)
    _require_room(file.parent, int(np.prod(shape, dtype=np.int64)))
    np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape).flush()
    rows = list(enumerate(pictures))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    work = partial(_pack_chunk, file, size, levels)
    apart = workers > 1 and len(rows) >= WORTH_A_POOL
    results = map_apart(work, chunks, workers, _crashed) if apart else map(work, chunks)
    done = 0
    for result in results:
        done += len(result)
        if progress is not None:
            progress(done, len(rows))


def _pack_chunk(
    file: Path, size: int, levels: Levels, chunk: Sequence[tuple[int, Picture]]
) -> list[int]:
    """Write the pixels of some rows; equal rows are equal bytes, so that a repeat does no harm."""
    pixels = np.lib.format.open_memmap(file, mode="r+")
    for row, picture in chunk:
        pixels[row] = to_pixels(picture, size, levels)
    pixels.flush()
    return [row for row, _ in chunk]


def _crashed(item: tuple[int, Picture]) -> int:
    """Say which picture ends its process: it was decoded before, by the scan."""
    raise InputError(
        f"Picture '{item[1].path}'",
        "be decodable",
        "a crash of its decoder, or there was too little memory",
        "Remove it, or give fewer `workers`.",
    )


def _require_room(folder: Path, size: int) -> None:
    """Raise an InputError where the disk has less room than `size` bytes."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputError(
            "store",
            f"have room for {size / 2**30:.1f} GiB of pixels",
            f"{free / 2**30:.1f} GiB",
            "Free some, name another one, or give a smaller `image_size`.",
        )
