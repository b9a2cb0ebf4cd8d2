"""Find into how many parts a batch must be cut to fit into the memory of a device.

It takes one training step on blank pictures, and cuts the batch in half as long as the memory does
not suffice.
"""

from __future__ import annotations

import gc

import torch

from resnext.contracts.errors import TrainingError
from resnext.device import Compute
from resnext.models.architectures import build
from resnext.training.batches import Batch
from resnext.training.recipe import Recipe
from resnext.training.step import Step, move_model


def parts_that_fit(recipe: Recipe, classes: int, compute: Compute) -> int:
    """Give the least number of parts, from the recipe's own on, in which a step fits.

    Raises:
        TrainingError: not even a picture at a time fits.
    """
    parts = recipe.accumulate
    while not _fits(recipe.model_copy(update={"accumulate": parts}), classes, compute):
        if parts >= recipe.batch_size:
            raise TrainingError(
                f"The memory of {compute.device} must hold a training step on one picture of "
                f"{recipe.image_size} px, got less. Give a smaller --image-size or --arch, or free "
                "some."
            )
        parts = min(2 * parts, recipe.batch_size)
    return parts


def _fits(recipe: Recipe, classes: int, compute: Compute) -> bool:
    """Take a step and tell whether the memory sufficed; leave nothing behind."""
    try:
        _step(recipe, classes, compute)
        return True
    except torch.OutOfMemoryError:
        return False
    finally:
        gc.collect()
        if compute.device == "cuda":
            torch.cuda.empty_cache()


def _step(recipe: Recipe, classes: int, compute: Compute) -> None:
    """Take one training step on a blank batch, with all that a training keeps beside it."""
    device = torch.device(compute.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = move_model(build(recipe.arch, classes), compute)
        step = Step(model, recipe, compute, None, classes)
        side = recipe.image_size
        images = torch.zeros(recipe.batch_size, 3, side, side, device=device)
        labels = torch.zeros(recipe.batch_size, dtype=torch.int64, device=device)
        step(Batch(images, labels), recipe.lr, 0)
