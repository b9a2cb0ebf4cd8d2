"""Measure which memory format computes a network faster on this machine.

Which one that is depends on processor, network and image size, and the difference is large in
either direction.

Source: https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html
"""

from collections.abc import Callable
from typing import get_args

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from resnext import device
from resnext.device import Compute, MemoryFormat
from resnext.models.architectures import build
from resnext.speed import fewest_seconds
from resnext.training.step import autocast, in_format, move_model

CLASSES = 2
PIXELS = 4 * 224 * 224  # that a step computes at least

Rates = dict[MemoryFormat, float]


def measure_formats(
    architecture: str, image_size: int, compute: Compute, *, training: bool
) -> Rates:
    """Give images a second in each memory format, of training steps or of predictions."""
    device.apply(compute)
    batch = max(2, PIXELS // image_size**2)
    planned = {
        each: compute.model_copy(update={"memory_format": each}) for each in get_args(MemoryFormat)
    }
    run = _train if training else _predict
    with torch.random.fork_rng(devices=[]):
        steps = {
            each: run(build(architecture, CLASSES), image_size, batch, how)
            for each, how in planned.items()
        }
        return {each: batch / seconds for each, seconds in fewest_seconds(steps).items()}


def _train(network: nn.Module, size: int, batch: int, compute: Compute) -> Callable[[], object]:
    model = move_model(network, compute).train()
    images = in_format(torch.rand(batch, 3, size, size, device=compute.device), compute)
    labels = torch.arange(batch, device=compute.device) % CLASSES

    def step() -> float:
        with autocast(compute):
            loss = cross_entropy(model(images), labels)
        model.zero_grad()
        torch.autograd.backward(loss)
        return loss.item()  # waits for the device

    return step


def _predict(network: nn.Module, size: int, batch: int, compute: Compute) -> Callable[[], object]:
    model = move_model(network, compute).eval()
    images = in_format(torch.rand(batch, 3, size, size, device=compute.device), compute)

    @torch.inference_mode()
    def step() -> float:
        with autocast(compute):
            return float(model(images).float().sum())

    return step
