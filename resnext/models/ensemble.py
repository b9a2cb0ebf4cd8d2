"""An ensemble: networks that were trained apart answer together, with their mean probability.

Source: Lakshminarayanan et al. 2017, https://arxiv.org/abs/1612.01474 (deep ensembles). Departure:
the networks were trained on different images, as in bagging (Breiman 1996,
https://doi.org/10.1007/BF00058655).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from resnext.models.probe import Probe


class Ensemble(nn.Module):
    """Answer with the mean probability of several networks."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """Give the logarithm of mean probabilities (B, C): logits whose softmax they are."""
        found = [member(images).log_softmax(dim=-1) for member in self.members]
        return torch.logsumexp(torch.stack(found), dim=0) - math.log(len(found))


def joined_probes(probes: Sequence[Probe]) -> dict[str, Tensor]:
    """Put the heads of all probes on the one frozen network that they share.

    Each probe standardises features by its own training images: that goes into its first layer.
    """
    first = probes[0].state_dict()
    heads: dict[str, list[Tensor]] = {name: [] for name in first if name.startswith("heads.")}
    for probe in probes:
        own = probe.state_dict()
        mean, std = probe.mean.double(), probe.std.double()
        hidden = own["heads.hidden"].double() / std[:, None]  # (H, F, hidden)
        shift = torch.einsum("f,hfk->hk", mean, hidden)[:, None]  # (H, 1, hidden)
        own["heads.hidden"] = hidden.float()
        own["heads.hidden_bias"] = (own["heads.hidden_bias"].double() - shift).float()
        for name, those in heads.items():
            those.append(own[name])
    neutral = {"mean": torch.zeros_like(first["mean"]), "std": torch.ones_like(first["std"])}
    return first | neutral | {name: torch.cat(those) for name, those in heads.items()}
