"""What a training run is told: a description in plain values, and the rate at every step.

Imports no torch, so that a command line and a cache key can be made without it.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from resnext import zoo
from resnext.errors import InputError

# From here on a channel of the last layer has more than one value for a single picture.
SMALLEST_FOR_ONE = 64

Optimizer = Literal["adamw", "adam", "sgd"]
Schedule = Literal["cosine", "constant"]
Augment = Literal["full", "flips", "none"]
Keep = Literal["best", "last"]


class Recipe(BaseModel):
    """Say how a network is trained. The defaults are a recipe that learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: str = Field("resnext50_32x4d", description="architecture by name")
    weights: str = Field(
        "none",
        description="weights to start from: none (random), imagenet (torchvision's own), "
        "or a .safetensors or .pth FILE",
    )
    image_size: int = Field(
        224, ge=32, le=1024, description="width and height that the network sees, in pixels"
    )
    epochs: int = Field(30, ge=1, le=10_000, description="passes over the training pictures")
    batch_size: int = Field(32, ge=1, le=4096, description="pictures a step")
    lr: Annotated[
        float, Field(gt=0, le=10, allow_inf_nan=False, description="peak learning rate")
    ] = 1e-3
    optimizer: Optimizer = Field("adamw", description="optimizer: adamw, adam or sgd")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum, of sgd only")
    weight_decay: float = Field(0.05, ge=0, description="weight decay")
    schedule: Schedule = Field("cosine", description="learning rate: cosine (to 0) or constant")
    warmup_epochs: float = Field(
        3, ge=0, description="epochs in which the rate rises from 0 to its peak"
    )
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="label smoothing, a share")
    augment: Augment = Field(
        "full",
        description="random changes of training pictures: full (crop, flips, rotation, colour), "
        "flips or none",
    )
    keep: Keep = Field(
        "best",
        description="weights to keep: best (highest validation accuracy, of equals the lowest "
        "loss) or last epoch's",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of weights, order and augmentation")

    @model_validator(mode="after")
    def _batches_can_be_normalised(self) -> "Recipe":
        if self.batch_size == 1 and self.image_size < SMALLEST_FOR_ONE:
            raise InputError(
                f"--batch-size must be at least 2 below {SMALLEST_FOR_ONE} px, got 1. Batch "
                "normalisation can't train on one value. Raise it or --image-size."
            )
        return self

    @field_validator("arch")
    @classmethod
    def _known(cls, name: str) -> str:
        zoo.check(name)
        return name


def learning_rate(step: int, total_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Give the learning rate of one step, counted from 0.

    It rises linearly over the warm-up, reaching the peak at its last step, and then falls along
    half a cosine that would reach 0 at step `total_steps`, or stays.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983 (cosine); Goyal et al. 2017,
    arXiv:1706.02677 (warm-up).
    """
    warmup_steps = min(round(recipe.warmup_epochs * steps_per_epoch), total_steps)
    if step < warmup_steps:
        return recipe.lr * (step + 1) / warmup_steps
    if recipe.schedule == "constant":
        return recipe.lr
    share = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * share))
