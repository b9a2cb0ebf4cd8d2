"""How a network is trained: a description in plain values.

Imports no torch, so that a command line and a cache key can be made without it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from resnext.contracts.errors import InputError
from resnext.data.fit import Fit
from resnext.models.architectures import (
    ARCHITECTURES,
    HUB,
    find_architecture,
    published_weights,
)
from resnext.models.views import ProbeShape, Views

# From here on a channel of the last layer has more than one value for a single image.
SMALLEST_FOR_ONE = 64

DEFAULT = next(iter(ARCHITECTURES.values()))

Method = Literal["network", "probe"]
Optimizer = Literal["adamw", "adam", "sgd"]
Schedule = Literal["cosine", "one-cycle", "step", "constant"]
Augment = Literal["full", "flips", "none"]
Keep = Literal["best", "last"]
Metric = Literal["val_accuracy", "val_loss"]
Sampler = Literal["shuffled", "balanced"]
ClassWeights = Literal["none", "balanced"]

ONLY_WITH: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            "zero_init_residual", "zero_init_head", "head_lr", "layer_decay", "optimizer",
            "accumulate", "clip_norm", "freeze_epochs", "freeze_stages", "mixup", "cutmix",
            "augment", "keep", "metric", "patience",
        ),
        ("method", ("network",)),
    ),
    "views": ("method", ("probe",)),
    "momentum": ("optimizer", ("sgd",)),
    "warmup_epochs": ("schedule", ("cosine", "step", "constant")),
    "step_epochs": ("schedule", ("step",)),
    "step_factor": ("schedule", ("step",)),
}  # fmt: skip
"""Settings that count only with some values of another one, if that one counts."""


class Recipe(BaseModel):
    """Say how a network is trained. The defaults are a recipe that learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: str = Field(
        DEFAULT.name,
        description=f"architecture: {', '.join(ARCHITECTURES)}, or another network of timm; "
        "`list` shows their sizes and weights",
    )
    weights: str = Field(
        "none",
        description="weights to start from: none (random), imagenet (downloaded from torchvision "
        "or timm), bundled (ImageNet's, installed with the program, for "
        f"{' or '.join(name for name, each in ARCHITECTURES.items() if each.bundled)}), "
        f"{HUB}NAME.TAG (a network and weights of timm), or a .safetensors, .pth or .pt FILE from "
        "this program, torchvision or timm",
    )
    method: Method = Field(
        "network",
        description="what is trained: the network, or a probe (small heads on the features of the "
        "frozen network, whose weights must be given)",
    )
    views: Views = Field(
        "mirror",
        description="of a probe: views of an image that it answers by: identity, mirror (left and "
        "right too), d4 (8 flips and quarter turns, for images without an up side such as skin)",
    )
    fit: Fit = Field(
        "stretch",
        description="how an image becomes a square: stretch (nothing is cut off), or centre (the "
        "middle of it, undistorted, as ImageNet's weights have seen images)",
    )
    image_size: int = Field(
        DEFAULT.input_size, ge=32, le=1024,
        description="width and height that the network sees, in pixels; left out, those that it is "
        "usually given: 224, and 260 of transfer and finetune",
    )  # fmt: skip
    epochs: int = Field(30, ge=1, le=10_000, description="passes over the training images")
    batch_size: int = Field(32, ge=1, le=4096, description="images a step")
    lr: Annotated[
        float, Field(gt=0, le=10, allow_inf_nan=False, description="peak learning rate")
    ] = 1e-3
    zero_init_residual: bool = Field(
        False,
        description="let every residual block begin as its shortcut, so that a short training from "
        "scratch learns from its first epochs on",
    )
    zero_init_head: bool = Field(
        False,
        description="let the last layer begin at zero, so that its first, random answers do not "
        "disturb a network that has learnt before",
    )
    head_lr: float = Field(
        1, gt=0, le=100, allow_inf_nan=False,
        description="learning rate of the last layer, as a multiple of --lr; below 1 its "
        "first random weights are that much smaller too, which steadies a short training",
    )  # fmt: skip
    layer_decay: float = Field(
        1, gt=0, le=1,
        description="factor of the learning rate from one stage of the network to the one below "
        "it, from the last layer down; 1 for none",
    )  # fmt: skip
    optimizer: Optimizer = Field("adamw", description="optimizer: adamw, adam or sgd")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum, of sgd only")
    weight_decay: float = Field(0.05, ge=0, description="weight decay")
    schedule: Schedule = Field(
        "cosine",
        description="learning rate after the warm-up: cosine (to 0), one-cycle (up and down, with "
        "a warm-up of its own), step (times --step-factor every --step-epochs) or constant",
    )
    warmup_epochs: float = Field(
        3, ge=0, description="epochs in which the rate rises from 0 to its peak"
    )
    step_epochs: int = Field(10, ge=1, description="epochs between two steps of the rate")
    step_factor: float = Field(0.1, gt=0, lt=1, description="factor of one step of the rate")
    accumulate: int = Field(
        1, ge=1, le=4096, description="parts that a batch is computed in: more need less memory"
    )
    clip_norm: float = Field(0, ge=0, description="largest norm of the gradients, 0 for any")
    ema_decay: float = Field(
        0, ge=0, lt=1, description="decay of averaged weights, which are then kept; 0 for none"
    )
    freeze_epochs: int = Field(
        0, ge=0, description="epochs at the start in which only the last layer is trained"
    )
    freeze_stages: int = Field(
        0, ge=0,
        description="first stages of the network that keep the weights that they start from, and "
        "all that lies below them; 0 for none",
    )  # fmt: skip
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="label smoothing, a share")
    class_weights: ClassWeights = Field(
        "none", description="weight of a class in the loss: none, or balanced (rare ones more)"
    )
    sampler: Sampler = Field(
        "shuffled",
        description="images of an epoch: shuffled (each once), or balanced (drawn so that "
        "classes are met equally often)",
    )
    mixup: float = Field(0, ge=0, le=10, description="alpha of mixup, 0 for none")
    cutmix: float = Field(0, ge=0, le=10, description="alpha of cutmix, 0 for none")
    augment: Augment = Field(
        "full",
        description="random changes of training images: full (crop, flips, rotation, colour), "
        "flips or none",
    )
    keep: Keep = Field(
        "best",
        description="weights to keep: those of the best epoch by --metric, or the last one's",
    )
    metric: Metric = Field(
        "val_loss",
        description="what makes an epoch the best: val_loss (the lowest, without label smoothing) "
        "or val_accuracy (the highest, of equals the one with the lower loss)",
    )
    patience: int = Field(
        0, ge=0, description="epochs without a better one after which training stops, 0 for never"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of weights, order and augmentation")

    @model_validator(mode="after")
    def _batches_can_be_normalised(self) -> "Recipe":
        if self.batch_size == 1 and self.image_size < SMALLEST_FOR_ONE:
            raise InputError(
                "batch_size",
                f"be at least 2 below {SMALLEST_FOR_ONE} px",
                "1",
                "Batch normalisation can't train on one value. Raise it or `image_size`.",
            )
        return self

    def first_trained(self, epoch: int) -> int:
        """Give the lowest stage that is trained in an epoch, from 0: the stem is 0."""
        if epoch < self.freeze_epochs:
            return find_architecture(self.arch).head_number
        return self.freeze_stages + 1 if self.freeze_stages else 0

    def uses(self, name: str) -> bool:
        """Tell whether a setting can change anything beside the others."""
        other, values = ONLY_WITH.get(name, ("", ()))
        return not other or (self.uses(other) and getattr(self, other) in values)

    @property
    def probe_shape(self) -> ProbeShape:
        """Give what stands on the frozen network."""
        return ProbeShape(views=self.views)

    @property
    def trained_on(self) -> tuple[Literal["train", "val"], ...]:
        """Name the parts of the split to train on; nothing of a probe is chosen by val."""
        return ("train", "val") if self.method == "probe" else ("train",)

    @property
    def searched(self) -> tuple[str, ...]:
        """Name the settings that a search tries other values of."""
        own = ("epochs", "label_smoothing") if self.method == "probe" else ("augment", "head_lr")
        return ("lr", "weight_decay", *own)

    @model_validator(mode="after")
    def _a_probe_has_weights(self) -> "Recipe":
        if self.method == "probe" and self.weights == "none":
            remedy = "Name the weights of the network to freeze, as `weights` bundled."
            raise InputError("weights", "be given for `method` probe", "none", remedy)
        return self

    @model_validator(mode="after")
    def _the_network_has_what_is_asked_for(self) -> "Recipe":
        record = find_architecture(self.arch)
        if self.weights in ("imagenet", "bundled"):
            published_weights(self.arch, self.weights)
        if self.weights.startswith(HUB) and tagged(self.weights) != self.arch:
            rule, remedy = f"go with `arch` {tagged(self.weights)}", "Leave `arch` out."
            raise InputError(f"weights {self.weights}", rule, self.arch, remedy)
        if self.zero_init_residual and not record.last_norm:
            rule = "be left out for a network without residual blocks that end in a batch norm"
            raise InputError("zero_init_residual", rule, f"`arch` {self.arch}")
        if self.freeze_stages > len(record.stages):
            rule = f"be at most {len(record.stages)}, the stages of {self.arch}"
            raise InputError("freeze_stages", rule, self.freeze_stages)
        if record.fixed_size and self.image_size != record.input_size:
            rule = f"be {record.input_size}, the only size that {self.arch} takes"
            raise InputError("image_size", rule, self.image_size)
        return self

    @field_validator("arch")
    @classmethod
    def _known(cls, name: str) -> str:
        return find_architecture(name).name


def with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Give the recipe with other settings, checked.

    Raises:
        pydantic.ValidationError: a value is out of bounds.
    """
    return Recipe.model_validate(recipe.model_dump() | dict(settings))


def tagged(weights: str) -> str:
    """Give the network that weights of timm are for: their name up to the tag."""
    return weights.removeprefix(HUB).partition(".")[0]
