"""How large a network is: its parameters, and the multiply-adds that an image costs."""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resnext.models.architectures import Architecture, build, find_architecture
from resnext.models.model_file import ModelCard
from resnext.models.probe import Probe


class Size(NamedTuple):
    """Hold the number of parameters, and of multiply-adds for an image."""

    parameters: int
    multiply_adds: int


def size_of(record: Architecture, num_classes: int = 1000) -> Size:
    """Count for an image of the usual size."""
    with torch.device("meta"):
        return _count(build(record.name, num_classes), record.input_size)


def size_of_model(card: ModelCard) -> Size:
    """Count for the classes and the image size of a trained model; of a probe, all its views."""
    record, classes = find_architecture(card.architecture), len(card.classes)
    with torch.device("meta"):
        if card.probe is not None:
            return _count(Probe(record, card.probe, classes), card.image_size)
        return _count(build(record.name, classes), card.image_size)


def _count(network: nn.Module, side: int) -> Size:
    """Count on torch's meta device, which computes and stores no number.

    Multiply-adds are those of convolutions and matrix products; a multiply-add is two operations.
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, 3, side, side))
    parameters = sum(each.numel() for each in network.parameters())
    return Size(parameters, counter.get_total_flops() // 2)
