"""Make the reference of a model from the images of its split; see `resnext.inference.reference`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from resnext.contracts.tables import read_split_images
from resnext.data.pixels import PackedPixels
from resnext.data.split.originals import originals
from resnext.device import Compute
from resnext.inference.reference import Features, Reference, build_reference, evenly
from resnext.inference.runtimes.pytorch import open_describing
from resnext.models.model_file import read_card

BATCH = 16  # images at once
Embedded = tuple[Features, Sequence[str]]
"""Features of a frozen network (N, V, F) in V views, and the SHA-256 of each image."""


def reference_of(
    manifest: Path,
    split: Path,
    pixels: PackedPixels,
    model: Path,
    compute: Compute,
    embedded: Embedded | None = None,
) -> Reference:
    """Take features of the originals that a model was trained on, and of held-out ones.

    `embedded` are those of a probe's frozen network, which are not computed again. Where no image
    was held out of its training, its training images are measured by each other.

    Raises:
        InputError: the tables or the model can't be read.
    """
    card = read_card(model)
    rows = originals(read_split_images(split, manifest)).drop_duplicates("sha256")
    parts = {*card.trained_on}, {"val", "test"} - {*card.trained_on}
    learnt, held_out = (rows[rows["split"].isin(part)] for part in parts)
    learnt, held_out = (some.iloc[evenly(len(some))] for some in (learnt, held_out))
    digests = learnt["sha256"].tolist() + held_out["sha256"].tolist()
    if embedded is not None:
        features, names = embedded
        found = features[pd.Index(names).get_indexer(pd.Index(digests))].mean(axis=1)
    else:
        found = _computed(model, pixels, digests, compute)
    groups = pd.factorize(learnt["group"].where(learnt["group"] != "", learnt["path"]))[0]
    known, others = found[: len(learnt)], found[len(learnt) :]
    return build_reference(known, others, None if embedded is None else groups)


def _computed(
    model: Path, pixels: PackedPixels, digests: Sequence[str], compute: Compute
) -> Features:
    """Compute the features (N, F) of images by their digests."""
    describe, found = open_describing(model, compute), []
    for start in range(0, len(digests), BATCH):
        _, features = describe(pixels.take(pixels.rows(digests[start : start + BATCH])))
        assert features is not None
        found.append(features)
    return np.concatenate(found)
