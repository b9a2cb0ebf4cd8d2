"""How large a network is: its parameters, and the multiply-adds that an image costs."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from resnext.models.architectures import Architecture, build


class Size(NamedTuple):
    """Hold the number of parameters, and of multiply-adds for an image of the usual size."""

    parameters: int
    multiply_adds: int


def size_of(record: Architecture, num_classes: int = 1000) -> Size:
    """Count on torch's meta device, which computes and stores no number.

    Multiply-adds are those of convolutions and matrix products; a multiply-add is two operations.
    """
    side = record.input_size
    with torch.device("meta"), torch.inference_mode():
        network = build(record.name, num_classes).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, side, side))
    parameters = sum(each.numel() for each in network.parameters())
    return Size(parameters, counter.get_total_flops() // 2)
