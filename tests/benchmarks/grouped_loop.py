"""The network of 38 weighted layers with each group as a convolution of its own.

Written out flat and apart from `resnext.models.resnext`, as a second opinion: the tests hold both
against each other, the benchmark measures what the native grouped convolution saves.
"""

import torch
from torch import Tensor, nn

GROUPS = 32
EPS = 1.001e-5


class GroupedLoop(nn.Module):
    """Convolve 32 slices of the channels one after the other, and put the results together.

    Slices are taken one by one, the plain way to write it. One `torch.split` for all of them
    trains about a sixth faster, since its backward pass is a single concatenation.
    """

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.share = width // GROUPS
        self.convs = nn.ModuleList(
            nn.Conv2d(self.share, self.share, 3, stride, padding=1, bias=False)
            for _ in range(GROUPS)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for group, conv in enumerate(self.convs):
            first = group * self.share
            parts.append(conv(x[:, first : first + self.share]))  # (B, width / 32, H, W)
        return torch.cat(parts, dim=1)


class LoopBlock(nn.Module):
    """Run 1x1, 32 times 3x3, 1x1, and add the shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width, EPS),
            nn.ReLU(),
            GroupedLoop(width, stride),
            nn.BatchNorm2d(width, EPS),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 1, bias=False),
            nn.BatchNorm2d(2 * width, EPS),
        )
        self.shortcut = nn.Sequential()
        if project:
            self.shortcut.append(nn.Conv2d(inputs, 2 * width, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(2 * width, EPS))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def build_loop(num_classes: int) -> nn.Sequential:
    """Build the network with fresh weights."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64, EPS),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    inputs = 64
    for depth, width, stride in ((2, 128, 1), (3, 256, 2), (5, 512, 2), (2, 1024, 2)):
        for i in range(depth):
            layers.append(LoopBlock(inputs, width, stride if i == 0 else 1, project=i == 0))
            inputs = 2 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes)]
    return nn.Sequential(*layers)


def carry_weights(model: nn.Module, loop: nn.Module) -> None:
    """Copy all weights and statistics of a `resnext38_32x4d` into the loop, in layer order."""
    there = [m for m in loop.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    target = iter(there)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == GROUPS:
            for share in module.weight.chunk(GROUPS):
                next(target).load_state_dict({"weight": share})
        elif isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            next(target).load_state_dict(module.state_dict())
    if next(target, None) is not None:
        raise ValueError("The loop has layers that the model lacks.")
