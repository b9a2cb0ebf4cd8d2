"""Batches on the device: which images are met when, and their pixels, changed at random.

The order of an epoch and every random change follow from (seed, epoch, image) alone, and where a
balanced epoch meets an image again, from the time. While a batch is computed, the pixels of the
next one are gathered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnext.data.pixels import PixelSource, Rows
from resnext.device import Compute
from resnext.models.architectures import MEAN, STD, Scale
from resnext.training.augmentation import (
    DRAWS,
    augment,
    draws,
    image_keys,
    met_again,
    normalise,
    to_float,
)
from resnext.training.ranks import Ranks
from resnext.training.recipe import Recipe

RESIDENT_SHARE = 0.5  # of the free memory of a CUDA device that the pixels may take

Order: TypeAlias = list[npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Subset:
    """Hold some images: rows of the pixel source, classes by number, digests and names."""

    rows: Rows
    labels: npt.NDArray[np.int64]
    digests: Sequence[str]
    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.rows)


class Subsets(NamedTuple):
    """The images of a split, and the class names in the order of their numbers."""

    classes: tuple[str, ...]
    train: Subset
    val: Subset
    test: Subset

    def describe(self) -> str:
        """Say how many images each part of the split has."""
        return f"{len(self.train)} train, {len(self.val)} val and {len(self.test)} test images"


class Batch(NamedTuple):
    """Hold a batch on the device: images float32 (B, 3, S, S), classes (B,)."""

    images: Tensor
    labels: Tensor


def epoch_order(
    labels: npt.NDArray[np.int64], recipe: Recipe, epoch: int, processes: int = 1
) -> Order:
    """Deal an epoch's images into batches of indices.

    Shuffled, each is met once; balanced, as many are drawn with replacement, each class equally
    often. A last batch of less than two images a process joins the one before it: batch
    normalisation can't train on one.
    """
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    count = len(labels)
    if recipe.sampler == "balanced":
        weights = torch.from_numpy(1.0 / np.bincount(labels)[labels])
        order = torch.multinomial(weights, count, replacement=True, generator=generator).numpy()
    else:
        order = torch.randperm(count, generator=generator).numpy()
    batches = count_batches(count, recipe, processes)
    ends = [(batch + 1) * recipe.batch_size for batch in range(batches - 1)]
    return list(np.split(order, ends))


def count_batches(count: int, recipe: Recipe, processes: int = 1) -> int:
    """Count the batches of an epoch of so many images."""
    whole, rest = divmod(count, recipe.batch_size)
    return max(1, whole + (rest >= 2 * processes))


def times_before(order: Order) -> Order:
    """Count how often each image of an epoch's batches was met before in that epoch."""
    if not order:
        return []
    import pandas as pd  # it takes a while, and an image is predicted without it

    met = pd.Series(np.concatenate(order))
    times = met.groupby(met).cumcount().to_numpy(np.int64)
    return list(np.split(times, np.cumsum([len(batch) for batch in order])[:-1]))


class Batches:
    """Give batches of a subset on the device, normalised by `scale`.

    With a recipe, images are changed at random as it says; without one they stay as they are.
    On CUDA its pixels stay there where they fit; else they are copied from pinned memory
    without waiting.
    """

    def __init__(
        self,
        source: PixelSource,
        subset: Subset,
        compute: Compute,
        recipe: Recipe | None = None,
        *,
        scale: Scale = (MEAN, STD),
    ) -> None:
        self.source, self.subset, self.recipe, self.scale = source, subset, recipe, scale
        self.keys = image_keys(subset.digests)
        self.labels = torch.from_numpy(subset.labels)
        self.device = torch.device(compute.device)
        self.resident = self._resident()

    def run(
        self, order: Order, epoch: int = 0, start: int = 0, ranks: Ranks = Ranks()
    ) -> Iterator[Batch]:
        """Yield this process's part of the batches from `start` on, gathering one ahead."""
        times = [ranks.part_of(batch) for batch in times_before(order)]
        order = [ranks.part_of(batch) for batch in order]
        with ThreadPoolExecutor(1) as gatherer:
            coming = (gatherer.submit(self._gather, indices) for indices in order[start:])
            ahead = next(coming, None)
            for indices, before in zip(order[start:], times[start:], strict=True):
                assert ahead is not None
                pixels, ahead = ahead.result(), next(coming, None)
                yield self._batch(pixels, indices, before, epoch)

    def _batch(self, pixels: Tensor, indices: Rows, times: Rows, epoch: int) -> Batch:
        images = to_float(pixels.to(self.device, non_blocking=True))
        if self.recipe is not None:
            # The numbers stay on the CPU: what follows from them is then equal for every device.
            drawn = draws(met_again(self.keys[indices], times), self.recipe.seed, epoch, DRAWS)
            images = augment(images, drawn, self.recipe)
        labels = self.labels[torch.from_numpy(indices)].to(self.device, non_blocking=True)
        return Batch(normalise(images, self.scale), labels)

    def _gather(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """Give pixels uint8 (B, S, S, 3), on the device where they are resident."""
        if self.resident is not None:
            return self.resident[torch.from_numpy(indices).to(self.device)]
        pixels = self._take(self.subset.rows[indices])
        return pixels.pin_memory() if self.device.type == "cuda" else pixels

    def _take(self, rows: Rows) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.source.take(rows)))

    def _resident(self) -> Tensor | None:
        """Put its pixels on a CUDA device, where they fit beside the training."""
        if self.device.type != "cuda" or not len(self.subset):
            return None
        free, _ = torch.cuda.mem_get_info(self.device)
        if len(self.subset) * self.source.size**2 * 3 > RESIDENT_SHARE * free:
            return None
        return self._take(self.subset.rows).to(self.device)
