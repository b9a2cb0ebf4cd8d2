"""Pictures as tensors: reading one, and what training and evaluation do to it, side by side.

Every picture is turned upright, made RGB and resized to a square, as the script does that the
project began as; nothing is cut off, so that a lesion at the edge is kept. Random
choices are a function of (seed, epoch, picture), never of a worker or the clock.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from resnext.pictures import read_scanned
from resnext.recipe import Augment

# Channel means and deviations of ImageNet, for pixels in 0..1.
# Source: https://docs.pytorch.org/vision/stable/models.html
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Picture:
    """One picture to be read: where it is, what its bytes hash to, and its class by number."""

    path: Path
    sha256: str
    label: int


def read_picture(picture: Picture) -> Image.Image:
    """Decode a picture, upright and in RGB.

    Raises:
        InputError: its bytes are not those that were scanned.
        OSError: it can't be read or decoded.
    """
    return read_scanned(picture.path, picture.sha256)


def transform(size: int, augment: Augment) -> v2.Compose:
    """Resize to (size, size), change, normalise: PIL -> float32 (3, size, size).

    With `none` this is what evaluation and prediction do to a picture.
    """
    changes: list[v2.Transform] = []
    if augment != "none":
        changes += [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
    if augment == "full":
        changes += [
            v2.RandomRotation(20, interpolation=v2.InterpolationMode.BILINEAR),
            v2.RandomResizedCrop(size, scale=(0.6, 1.0), ratio=(0.85, 1.18), antialias=True),
            v2.ColorJitter(brightness=0.25, contrast=0.25, saturation=0.25, hue=0.03),
        ]
    return v2.Compose([*_resize(size), *changes, *_normalise()])


def _resize(size: int) -> list[v2.Transform]:
    return [v2.Resize((size, size), antialias=True), v2.ToImage()]


def _normalise() -> list[v2.Transform]:
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]


class PictureSet(Dataset[tuple[Tensor, int]]):
    """Pictures by number, as tensors (3, size, size) with their class numbers.

    Args:
        pictures: The pictures, in a fixed order.
        size: Width and height in pixels.
        augment: Which random changes to draw.
        seed: Seed of these draws.
    """

    def __init__(
        self, pictures: Sequence[Picture], size: int, *, augment: Augment = "none", seed: int = 0
    ) -> None:
        self.pictures = list(pictures)
        self.transform = transform(size, augment)
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: int | tuple[int, int]) -> tuple[Tensor, int]:
        """Give picture `index`, or (epoch, index) of a set that augments."""
        epoch, index = place if isinstance(place, tuple) else (0, place)
        picture = self.pictures[index]
        image = read_picture(picture)
        if self.augment == "none":
            return self.transform(image), picture.label
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw_seed(self.seed, epoch, picture.sha256))
            return self.transform(image), picture.label


def draw_seed(seed: int, epoch: int, picture: str) -> int:
    """Give the seed of the random draws for one picture in one epoch."""
    digest = hashlib.sha256(f"{seed} {epoch} {picture}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
