"""A probe: small heads on the features of a frozen network, several views of each image.

With few images, features that were learnt on millions of others are worth more than a network of
one's own, and a small head on them can be trained in seconds.

Source: Alain and Bengio 2016, https://arxiv.org/abs/1610.01644 (linear probes). Departures: a head
has a hidden layer, and is given what every stage of the network shows, not its last layer alone;
several heads that started differently answer together (deep ensembles, arXiv:1612.01474).
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, relu

from resnext.models.architectures import Architecture, build
from resnext.models.views import TURNS, ProbeShape

TINY = 1e-12  # keeps the slope of a root finite where an image is the same everywhere
DROPOUT = 0.3  # of features, and of hidden values, while heads are trained


class Embedding(nn.Module):
    """Turn images (B, 3, H, W) into features (B, F) with a frozen network.

    They are the spatial mean and standard deviation of what each stage shows, then what the
    network's own head would be given.
    """

    def __init__(self, record: Architecture, network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network or build(record.name, 1)
        self.network.set_submodule(record.head, nn.Identity())
        self.requires_grad_(False)
        self.seen: list[Tensor] = []
        for name in record.stages:
            self.network.get_submodule(name).register_forward_hook(self._see)

    def _see(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        if output.ndim == 4:  # of transformers, what the head is given must do
            self.seen.append(output)

    def forward(self, images: Tensor) -> Tensor:
        """Give features (B, F), float32."""
        self.seen.clear()
        last = self.network(images).flatten(1)  # (B, C)
        means = [each.float().mean(dim=(2, 3)) for each in self.seen]
        variances = [each.float().var(dim=(2, 3), correction=0) for each in self.seen]
        spread = [(each + TINY).sqrt() for each in variances]
        self.seen.clear()
        return torch.cat([*means, *spread, last.float()], dim=1)

    def width(self, side: int) -> int:
        """Count the features of an image of so many pixels a side."""
        weight = next(self.network.parameters())
        with torch.inference_mode():
            blank = torch.zeros(1, 3, side, side, device=weight.device)
            return int(self.eval()(blank).shape[1])

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in eval mode: the network is frozen."""
        return super().train(False)


class Heads(nn.Module):
    """Heads of one hidden layer, computed side by side: features (H, B, F) to logits (H, B, C)."""

    def __init__(self, heads: int, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.empty(heads, width, hidden))
        self.hidden_bias = nn.Parameter(torch.empty(heads, 1, hidden))
        self.out = nn.Parameter(torch.empty(heads, hidden, classes))
        self.out_bias = nn.Parameter(torch.empty(heads, 1, classes))
        with torch.no_grad():  # as torch's own linear layers begin
            for weight, bias in ((self.hidden, self.hidden_bias), (self.out, self.out_bias)):
                bound = 1 / math.sqrt(weight.shape[1])
                weight.uniform_(-bound, bound)
                bias.uniform_(-bound, bound)

    def forward(self, features: Tensor) -> Tensor:
        """Give logits (H, B, C)."""
        given = dropout(features, DROPOUT, self.training)
        hidden = relu(torch.baddbmm(self.hidden_bias, given, self.hidden))  # (H, B, hidden)
        logits: Tensor = torch.baddbmm(
            self.out_bias, dropout(hidden, DROPOUT, self.training), self.out
        )
        return logits


class Probe(nn.Module):
    """Answer with the mean probability of all heads over all views of an image."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        record: Architecture,
        shape: ProbeShape,
        classes: int,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(record, network)
        width = self.embedding.width(record.input_size)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.heads = Heads(shape.heads, width, shape.hidden, classes)
        self.turns = TURNS[shape.views]

    def forward(self, images: Tensor) -> Tensor:
        """Give the logarithm of mean probabilities (B, C): logits whose softmax they are."""
        found = [self.answer(self.embedding(turn(images, each))) for each in self.turns]
        return torch.logsumexp(torch.cat(found), dim=0) - math.log(len(self.turns) * len(found[0]))

    def answer(self, features: Tensor) -> Tensor:
        """Give each head's log-probabilities (H, B, C) for features (B, F) of a view."""
        given = standardise(features, self.mean, self.std).expand(len(self.heads.out), -1, -1)
        logits: Tensor = self.heads(given)
        return logits.log_softmax(dim=-1)


def standardise(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Give features (..., F) of mean 0 and deviation 1 over the training images."""
    return (features - mean) / std


def turn(images: Tensor, orientation: int) -> Tensor:
    """Bring images (B, C, S, S) into an orientation, 0..7, see `TURNS`."""
    if orientation & 1:
        images = images.flip(3)
    if orientation & 2:
        images = images.flip(2)
    return images.transpose(2, 3) if orientation & 4 else images


def heat_layer_of(network: nn.Module, layer: str | None) -> str | None:
    """Name the layer of heat maps within a network, a probe or not.

    A probe answers by a single view from here on: its maps are those of the image as it is.
    """
    if layer is None or not isinstance(network, Probe):
        return layer
    network.turns = TURNS["identity"]
    return f"embedding.network.{layer}"
