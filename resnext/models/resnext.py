"""ResNeXt: residual networks whose 3x3 convolutions work in groups.

Builds networks with fresh weights. It loads no weights, trains nothing and knows no data.

Source: Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017,
https://arxiv.org/abs/1611.05431.

Departures from the paper: none in the block, whose 3x3 convolution carries the stride there as
here. Modules are named, ordered and initialised as in torchvision's `resnet.py`, so that weights
trained there load strictly and one seed draws the same weights. `resnext38_32x4d` has stacks of
2, 3, 5 and 2 blocks where ResNeXt-50 has 3, 4, 6 and 3, and a batch norm epsilon of its own.
Depths and widths of each network stand in `resnext.models.architectures`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """Reduce by 1x1, convolve each group by 3x3, expand by 1x1, and add the input.

    Source: figure 3c of the paper.
    """

    def __init__(
        self, inputs: int, width: int, outputs: int, stride: int, groups: int, eps: float
    ) -> None:
        super().__init__()
        # No convolution has a bias: the batch norm behind it has one.
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width, eps)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width, eps)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, eps)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs, eps)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))  # (B, width, H, W)
        x = self.relu(self.bn2(self.conv2(x)))  # (B, width, H / stride, W / stride)
        x = self.bn3(self.conv3(x))  # (B, outputs, H / stride, W / stride)
        x += shortcut
        out: Tensor = self.relu(x)
        return out


class ResNeXt(nn.Module):
    """Classify images by four stacks of grouped bottleneck blocks.

    `depths` are the blocks of each stack; `group_width` the channels of one group in the first
    stack, doubled from stack to stack. Every stack but the first halves height and width.

    Source: table 1 of the paper.
    """

    def __init__(
        self, depths: Sequence[int], groups: int, group_width: int, num_classes: int, eps: float
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64, eps)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        block = partial(Bottleneck, groups=groups, eps=eps)
        width = groups * group_width
        self.layer1 = _stack(block, depths[0], 64, width, 256, stride=1)
        self.layer2 = _stack(block, depths[1], 256, 2 * width, 512, stride=2)
        self.layer3 = _stack(block, depths[2], 512, 4 * width, 1024, stride=2)
        self.layer4 = _stack(block, depths[3], 1024, 8 * width, 2048, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, num_classes).

        Sizes that 32 does not divide are rounded up at each halving.

        Raises:
            ValueError: in train mode, for a single image (B = 1) of at most 32 pixels a side,
                since batch norm then sees one value a channel.
        """
        x = self.relu(self.bn1(self.conv1(x)))  # (B, 64, H / 2, W / 2)
        x = self.maxpool(x)  # (B, 64, H / 4, W / 4)
        x = self.layer1(x)  # (B, 256, H / 4, W / 4)
        x = self.layer2(x)  # (B, 512, H / 8, W / 8)
        x = self.layer3(x)  # (B, 1024, H / 16, W / 16)
        x = self.layer4(x)  # (B, 2048, H / 32, W / 32)
        x = self.avgpool(x).flatten(1)  # (B, 2048)
        logits: Tensor = self.fc(x)  # (B, num_classes)
        return logits


def _stack(
    block: Callable[[int, int, int, int], Bottleneck],
    depth: int,
    inputs: int,
    width: int,
    outputs: int,
    stride: int,
) -> nn.Sequential:
    """Chain `depth` blocks, of which the first changes the channels and takes the stride."""
    rest = (block(outputs, width, outputs, 1) for _ in range(depth - 1))
    return nn.Sequential(block(inputs, width, outputs, stride), *rest)


def _initialise(module: nn.Module) -> None:
    """Draw convolutions from He's normal distribution over the fan-out.

    Batch norms start at weight 1 and bias 0 and the linear layer at torch's own default, both as
    constructed.

    Source: torchvision's `ResNet.__init__`, after He et al., https://arxiv.org/abs/1502.01852.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
