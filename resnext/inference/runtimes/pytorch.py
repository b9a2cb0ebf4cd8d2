"""Prediction by torch, from a model file."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from resnext import device
from resnext.data.pixels import Pixels
from resnext.device import Compute
from resnext.inference.execution import Describing, FloatArray, Predictor
from resnext.inference.reference import Features
from resnext.models.architectures import Scale
from resnext.models.features import over_views, watched
from resnext.models.model_file import ModelCard, load_network
from resnext.training.augmentation import normalise, to_float
from resnext.training.step import autocast, in_format, move_model


def open_network(path: Path, compute: Compute) -> Predictor:
    """Load a network, to be computed as it is said.

    Raises:
        InputError: it is no model file that this project wrote, or torch can't use the device.
    """
    device.apply(compute)
    network, card = load_network(path)
    return partial(predict, move_model(network, compute), compute, card.scale)


@torch.inference_mode()
def predict(network: nn.Module, compute: Compute, scale: Scale, pixels: Pixels) -> FloatArray:
    """Give log-probabilities (B, C) for squares of pixels (B, S, S, 3), float64."""
    images = normalise(to_float(torch.from_numpy(pixels).to(compute.device)), scale)
    with autocast(compute):
        logits = network(in_format(images, compute)).float()
    found: FloatArray = logits.cpu().double().log_softmax(dim=1).numpy()
    return found


def open_describing(path: Path, compute: Compute) -> Describing:
    """Load a network that gives its features too; see `open_network`."""
    device.apply(compute)
    network, card = load_network(path)
    return partial(describe, move_model(network, compute), compute, card)


@torch.inference_mode()
def describe(
    network: nn.Module, compute: Compute, card: ModelCard, pixels: Pixels
) -> tuple[FloatArray, Features | None]:
    """Give log-probabilities (B, C) and features (B, F) for squares of pixels (B, S, S, 3)."""
    with watched(network, card) as seen:
        logs = predict(network, compute, card.scale, pixels)
    return logs, over_views(seen, len(pixels)).float().cpu().numpy() if seen else None
