"""See what a network's last layer is given, in the same pass that answers: its features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from resnext.models.architectures import find_architecture
from resnext.models.model_file import ModelCard
from resnext.models.probe import Probe


@contextmanager
def watched(network: nn.Module, card: ModelCard) -> Iterator[list[Tensor]]:
    """Note the features (B, F) of each pass while the body runs; of a probe those of each view.

    Nothing is noted of several networks that answer together.
    """
    seen: list[Tensor] = []
    if card.members > 1:
        yield seen
        return
    if isinstance(network, Probe):
        embedding = network.embedding
        handle = embedding.register_forward_hook(lambda _, __, given: seen.append(given))
    else:
        head = network.get_submodule(find_architecture(card.architecture).head)
        handle = head.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(1)))
    try:
        yield seen
    finally:
        handle.remove()


def over_views(seen: Sequence[Tensor], images: int) -> Tensor:
    """Give the mean features (images, F) of all views, which follow one another."""
    found = torch.cat([*seen])  # (V images, F)
    return found.reshape(-1, images, found.shape[1]).mean(dim=0)
