"""Every architecture, a record each: how to build it, and what must be known of it.

To add one, add a record to the list. Flags, checks, training, heat maps, the model file and
prediction take what they need from it. Records are read without torch, which a builder imports when
it is called. Weights are fresh: loading them is not done here.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from resnext.contracts.errors import InputError

if TYPE_CHECKING:
    from torch import nn

MemoryFormat = Literal["contiguous", "channels_last"]
Channels: TypeAlias = tuple[float, float, float]
Scale: TypeAlias = tuple[Channels, Channels]  # means and deviations of the channels

# Channel means and deviations of ImageNet, for pixels in 0..1.
# Source: https://docs.pytorch.org/vision/stable/models.html
MEAN: Channels = (0.485, 0.456, 0.406)
STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Architecture:
    """Hold what must be known of one network."""

    name: str
    builder: "Callable[[int], nn.Module]"
    """Builds it with fresh weights for so many classes: images (B, 3, H, W) to logits (B, C)."""
    head: str
    """The last layer, which alone depends on the number of classes."""
    heat_layer: str
    """The layer whose output heat maps show: the last one before places are averaged."""
    mean: Channels = MEAN
    std: Channels = STD
    """What images in 0..1 are normalised by, channel by channel."""
    input_size: int = 224
    """Width and height that it is usually given, in pixels."""
    imagenet: str | None = None
    """Where its ImageNet weights are to be had; None where there are none.

    The name of the file ends with the first digits of its SHA-256, as torch.hub has it.
    """
    licence: str | None = None
    """The licence of those weights."""
    last_norm: str | None = None
    """The name of the last batch norm within each residual block; None where it has no such."""
    cpu_format: MemoryFormat = "contiguous"
    """The format with the higher training rate on a CPU, as measured by `make bench`."""

    @property
    def scale(self) -> Scale:
        """Give what images are normalised by."""
        return self.mean, self.std

    def in_head(self, tensor: str) -> bool:
        """Tell whether a tensor, by its name in the state dict, belongs to the last layer."""
        return tensor.startswith(f"{self.head}.")


TORCHVISION = "https://download.pytorch.org/models/{}.pth"


def _resnext(
    depths: tuple[int, int, int, int], group_width: int, eps: float = 1e-5
) -> "Callable[[int], nn.Module]":
    """Give a builder of ResNeXt with 32 groups."""

    def build(num_classes: int) -> "nn.Module":
        from resnext.models.resnext import ResNeXt

        return ResNeXt(depths, 32, group_width, num_classes, eps)

    return build


LISTED = (
    # Source: table 1 of the paper. 25,028,904 parameters with 1,000 classes.
    Architecture(
        "resnext50_32x4d", _resnext((3, 4, 6, 3), group_width=4), head="fc", heat_layer="layer4",
        imagenet=TORCHVISION.format("resnext50_32x4d-1a0047aa"), licence="BSD-3-Clause",
        last_norm="bn3", cpu_format="channels_last",
    ),
    # Source: torchvision's network of this name; the paper's own ResNeXt-101 are 32x4d and 64x4d.
    # 88,791,336 parameters with 1,000 classes. At 224 px it trains equally fast in both formats.
    Architecture(
        "resnext101_32x8d", _resnext((3, 4, 23, 3), group_width=8), head="fc", heat_layer="layer4",
        imagenet=TORCHVISION.format("resnext101_32x8d-110c445d"), licence="BSD-3-Clause",
        last_norm="bn3",
    ),
    # ResNeXt-50 with shorter stacks: 38 weighted layers, 17,006,402 parameters with 2 classes. The
    # epsilon of batch norm is that of Keras' residual networks.
    # Source: `block3` in `resnet_common.py` of https://github.com/keras-team/keras-applications.
    Architecture(
        "resnext38_32x4d", _resnext((2, 3, 5, 2), group_width=4, eps=1.001e-5), head="fc",
        heat_layer="layer4", last_norm="bn3", cpu_format="channels_last",
    ),
)  # fmt: skip

ARCHITECTURES = {each.name: each for each in LISTED}
"""The records by name, the default first."""


def find_architecture(name: str) -> Architecture:
    """Give the record of an architecture.

    Raises:
        InputError: there is none of that name; it names the closest one.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    close = difflib.get_close_matches(name.lower(), ARCHITECTURES, n=1)
    remedy = f"Did you mean {close[0]!r}?" if close else "Choose one of these names."
    raise InputError("arch", f"be one of {', '.join(ARCHITECTURES)}", f"{name!r}", remedy)


def imagenet_url(name: str) -> str:
    """Give the place of an architecture's ImageNet weights.

    Raises:
        InputError: there are none, or there is no such architecture.
    """
    url = find_architecture(name).imagenet
    if url is None:
        rule = f"go with `arch` {' or '.join(on_imagenet())}"
        remedy = "There are no such weights. Use `weights` none or another `arch`."
        raise InputError("weights imagenet", rule, name, remedy)
    return url


def on_imagenet() -> list[str]:
    """Name the architectures that ImageNet weights are published for."""
    return [name for name, each in ARCHITECTURES.items() if each.imagenet]


def build(name: str, num_classes: int) -> "nn.Module":
    """Build a network with fresh weights, drawn from torch's global random generator.

    Raises:
        InputError: for an unknown name, or fewer than one class.
    """
    architecture = find_architecture(name)
    if num_classes < 1:
        raise InputError("num_classes", "be at least 1", num_classes)
    return architecture.builder(num_classes)
