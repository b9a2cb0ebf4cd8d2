"""Images as the network sees them: squares of uint8 pixels, packed into a file.

Every image is turned upright, made RGB and resized to a square. Stretched, as in the script that
the project began as, nothing is cut off, so that a lesion at the edge is kept. Cropped to its
centre, shapes stay as they are, as networks with ImageNet's weights have seen them. `to_square` is
the one function that does it, for training, evaluation and prediction alike. What is done to a
batch of pixels afterwards stands in `resnext.training.augmentation`. Knows no torch.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.fit import Fit
from resnext.data.processes import map_chunks

if TYPE_CHECKING:  # it takes a while to import, and processes that pack don't need it
    import pandas as pd

DETAIL = 2  # times the size that the network sees is what a big JPEG is decoded to at least
WORTH_A_POOL = 256  # images from which starting processes pays

Pixels: TypeAlias = npt.NDArray[np.uint8]  # (N, S, S, 3)
Rows: TypeAlias = npt.NDArray[np.int64]
Progress: TypeAlias = Callable[[int, int], None]


class ScannedImage(NamedTuple):
    """Name one image: where it is and what its bytes hash to."""

    path: Path
    sha256: str


def scanned_images(root: Path, manifest: pd.DataFrame) -> list[ScannedImage]:
    """Name the images of a manifest (path, sha256) that lies below a folder."""
    rows = zip(manifest["path"].tolist(), manifest["sha256"].tolist(), strict=True)
    return [ScannedImage(root / path, sha256) for path, sha256 in rows]


class PixelSource(Protocol):
    """What gives pixels by row number."""

    size: int

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some rows."""


def to_pixels(
    file: ScannedImage, size: int, levels: Levels = Levels(), fit: Fit = "stretch"
) -> Pixels:
    """Read an image as the network sees it: (S, S, 3); `levels` are the training's own.

    Raises:
        InputError: its bytes are not those that were scanned.
        OSError: it can't be read or decoded.
    """
    image = read_scanned(file.path, file.sha256, levels, at_least=DETAIL * size)
    return to_square(image, size, fit)


def to_square(image: Image.Image, size: int, fit: Fit = "stretch") -> Pixels:
    """Resize an RGB image to a square: (S, S, 3)."""
    if fit == "stretch":
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    return np.asarray(centre_square(image).resize((size, size), Image.Resampling.BICUBIC))


def centre_square(image: Image.Image) -> Image.Image:
    """Cut the square out of the middle of an image that its shorter side spans."""
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    return image.crop((left, top, left + side, top + side))


class PackedPixels:
    """Pixels that were packed into a file, which may be larger than memory."""

    def __init__(self, file: Path, digests: Sequence[str]) -> None:
        self.pixels: Pixels = np.load(file, mmap_mode="r")
        self.size = int(self.pixels.shape[1])
        self.row_of = {digest: row for row, digest in enumerate(digests)}

    def rows(self, digests: Sequence[str]) -> Rows:
        """Give the row of each image, named by the sha256 of its file.

        Raises:
            KeyError: an image was not packed.
        """
        return np.array([self.row_of[digest] for digest in digests], dtype=np.int64)

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some rows."""
        return np.asarray(self.pixels[rows])


def pack(
    images: Sequence[ScannedImage],
    size: int,
    file: Path,
    levels: Levels = Levels(),
    *,
    fit: Fit = "stretch",
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Decode images once and write their pixels (N, S, S, 3) into a .npy file, in their order.

    `progress` is called with images done and images in all. Many are decoded in processes,
    which changes no byte.

    Raises:
        InputError: an image changed since it was scanned, or the disk has no room.
    """
    shape = (len(images), size, size, 3)
    _require_room(file.parent, int(np.prod(shape, dtype=np.int64)))
    np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape).flush()
    work = partial(_pack_some, file, size, levels, fit)
    workers = workers if len(images) >= WORTH_A_POOL else 1
    deque(map_chunks(work, list(enumerate(images)), workers, _crashed, progress), maxlen=0)


def _pack_some(
    file: Path, size: int, levels: Levels, fit: Fit, chunk: Sequence[tuple[int, ScannedImage]]
) -> list[int]:
    """Write the pixels of some rows; equal rows are equal bytes, so that a repeat does no harm."""
    pixels = np.lib.format.open_memmap(file, mode="r+")
    for row, image in chunk:
        pixels[row] = to_pixels(image, size, levels, fit)
    pixels.flush()
    return [row for row, _ in chunk]


def _crashed(item: tuple[int, ScannedImage]) -> int:
    """Say which image ends its process: it was decoded before, by the scan."""
    got, remedy = "a crash of its decoder, or too little memory", "give fewer `workers`"
    raise InputError(f"Image '{item[1].path}'", "be decodable", got, f"Remove it, or {remedy}.")


def _require_room(folder: Path, size: int) -> None:
    """Raise an InputError where the disk has less room than `size` bytes."""
    free = shutil.disk_usage(folder).free
    if free < size:
        rule = f"have room for {size / 2**30:.1f} GiB of pixels"
        remedy = "Free some, name another one, or give a smaller `image_size`."
        raise InputError("store", rule, f"{free / 2**30:.1f} GiB", remedy)
