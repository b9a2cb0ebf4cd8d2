"""Every architecture by its name.

Names are listed and checked without torch, which is imported only where a network is built. Weights
are fresh: loading them is not done here.
"""

import difflib
from typing import TYPE_CHECKING

from resnext.contracts.errors import InputError

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = ("resnext50_32x4d", "resnext101_32x8d", "resnext38_32x4d")
"""The names that `build` knows, the default first."""

ON_IMAGENET = ("resnext50_32x4d", "resnext101_32x8d")
"""Those for which torchvision publishes weights."""


def check(name: str) -> str:
    """Return the name of an architecture as it is, or say which names there are.

    Raises:
        InputError: for a name that is not in `ARCHITECTURES`; it names the closest one.
    """
    if name in ARCHITECTURES:
        return name
    close = difflib.get_close_matches(name.lower(), ARCHITECTURES, n=1)
    remedy = f"Did you mean {close[0]!r}?" if close else "Choose one of these names."
    raise InputError(
        "arch",
        f"be one of {', '.join(ARCHITECTURES)}",
        f"{name!r}",
        remedy,
    )


def build(name: str, num_classes: int) -> "nn.Module":
    """Build a network with fresh weights, drawn from torch's global random generator.

    It maps pictures (B, 3, H, W) to logits (B, num_classes).

    Raises:
        InputError: for an unknown name, or fewer than one class.
    """
    check(name)
    if num_classes < 1:
        raise InputError(
            "num_classes",
            "be at least 1",
            num_classes,
        )
    from resnext.models import resnext as model

    builders = {
        "resnext50_32x4d": model.resnext50_32x4d,
        "resnext101_32x8d": model.resnext101_32x8d,
        "resnext38_32x4d": model.resnext38_32x4d,
    }
    return builders[name](num_classes)
