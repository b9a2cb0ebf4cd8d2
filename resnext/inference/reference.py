"""Tell how unlike the training images a new image is, by the features of the network itself.

Features are what the last layer is given, scaled to the length 1. An image is as far from the
training images as it is from its five nearest ones on average. That is set against the distances of
held-out images, which are of the same kind and were not learnt from: 0.9 says that 90 % of them are
nearer. An image of another kind is farther than nearly all.

The reference is a small file beside the model: features of up to 500 training images, in halves,
and the distances of up to 500 held-out ones. It says which model.safetensors it was made with.
Knows no torch.

Source: Sun et al. 2022, https://arxiv.org/abs/2204.06507 (distances to nearest neighbours among
normalised features). Departure: the mean of the five least distances, not the greatest of many,
since there may be few images.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from resnext.contracts.errors import InputError

FILE = "reference.safetensors"
MADE_OF = "model_sha256"
NEIGHBOURS = 5
MOST = 500
"""So many images are kept, and so many held-out ones are measured, at most."""
FEWEST = 20
"""So many held-out images are needed to say what is far."""

Features: TypeAlias = npt.NDArray[np.float32]


class Reference(NamedTuple):
    """Hold what new images are compared with."""

    known: Features
    """(M, F), of the length 1."""
    held_out: Features
    """(H,), the distances of held-out images, rising."""

    def unlike(self, features: Features) -> npt.NDArray[np.float64]:
        """Give the share of held-out images that are nearer, (B,), for features (B, F).

        NaN with fewer than 20 held-out images.
        """
        if len(self.held_out) < FEWEST:
            return np.full(len(features), np.nan)
        far = mean_distance(distances(features, self.known))
        return np.asarray(np.searchsorted(self.held_out, far) / len(self.held_out))


def build_reference(
    known: Features, held_out: Features, groups: npt.NDArray[np.int64] | None = None
) -> Reference:
    """Make a reference of features (N, F) of training images and (K, F) of held-out ones.

    Args:
        known: Those of the training images.
        held_out: Those of the held-out images.
        groups: (N,), the groups of the training images. Where no image is held out, each of them
            is measured by those of other groups; right for features that were learnt elsewhere.
    """
    kept = unit(known).astype(np.float16).astype(np.float32)
    if len(held_out):
        found = distances(held_out, kept)
    elif groups is not None and len(np.unique(groups)) > NEIGHBOURS:
        same = groups[:, np.newaxis] == groups
        found = np.where(same, np.float32(np.inf), distances(known, kept))
    else:
        return Reference(kept, np.zeros(0, dtype=np.float32))
    return Reference(kept, np.sort(mean_distance(found)))


def distances(features: Features, known: Features) -> Features:
    """Give the cosine distances (B, M), 0..2, of features (B, F) to those that are known (M, F)."""
    return np.asarray(1 - unit(features) @ known.T)


def unit(features: Features) -> Features:
    """Scale features (N, F) to the length 1; what has none keeps it."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, np.float32(1)), dtype=np.float32)


def mean_distance(found: Features) -> Features:
    """Average the five least distances (B, M) of each row, (B,)."""
    count = min(NEIGHBOURS, found.shape[1])
    nearest = np.partition(found, count - 1, axis=1)[:, :count]
    return np.asarray(nearest.mean(axis=1, dtype=np.float32))


def evenly(count: int) -> npt.NDArray[np.int64]:
    """Choose as many places among so many as are kept at most, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(np.int64))


def write_reference(reference: Reference, made_of: str, path: Path) -> None:
    """Write a reference of the model with that SHA-256.

    Raises:
        OSError: the file can't be written.
    """
    tensors = reference._asdict() | {"known": reference.known.astype(np.float16)}
    path.write_bytes(save(tensors, metadata={MADE_OF: made_of}))


def read_reference(path: Path) -> Reference:
    """Read a reference.

    Raises:
        InputError: it is none.
    """
    try:
        with safe_open(path, framework="np") as file:
            tensors = (file.get_tensor(name) for name in Reference._fields)
            return Reference(*(each.astype(np.float32) for each in tensors))
    except (OSError, SafetensorError) as error:
        remedy = "Run flows/full_pipeline.py again, or move the file away."
        rule = "be a file that the pipeline wrote"
        raise InputError("reference", rule, f"'{path}'", remedy) from error


def reference_beside(model: Path, digests: Collection[str]) -> Path | None:
    """Give the reference that lies beside a model, if it was made with a file of these SHA-256."""
    path = model.with_name(FILE)
    with suppress(OSError, SafetensorError), safe_open(path, framework="np") as file:
        return path if (file.metadata() or {}).get(MADE_OF) in digests else None
    return None
