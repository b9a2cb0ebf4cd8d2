"""Predict test images with their centre or their border covered.

A network that answers as well without the subject has learnt something else. Each cover takes half
of the area, in the colour that images are normalised to 0 by, so that it says nothing.

Source: Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901 (covering parts of an image)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from resnext import device
from resnext.contracts.tables import read_manifest, read_predictions
from resnext.data.pixels import PackedPixels, Pixels, Rows
from resnext.device import Compute
from resnext.inference.tables import prediction_columns
from resnext.models.model_file import load_network
from resnext.training import engine
from resnext.training.train import subset_of

CENTRE = 0.5**0.5  # of the side: a square of half the area
COVERS = ("centre", "border")


class Covered:
    """Give packed pixels with a part covered."""

    def __init__(self, pixels: PackedPixels, cover: str, colour: Sequence[float]) -> None:
        self.pixels, self.size = pixels, pixels.size
        self.colour = np.round(255 * np.asarray(colour)).astype(np.uint8)
        edge = round((1 - CENTRE) / 2 * self.size)
        inside = np.zeros((self.size, self.size), dtype=bool)
        inside[edge : self.size - edge, edge : self.size - edge] = True
        self.hidden = inside if cover == "centre" else ~inside

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some rows."""
        taken = np.array(self.pixels.take(rows))
        taken[:, self.hidden] = self.colour
        return taken


def predict_covered(
    manifest: Path, pixels: PackedPixels, model: Path, predictions: Path, compute: Compute
) -> pd.DataFrame:
    """Predict the test part of predictions.csv again, covered in each way.

    Columns as predictions.csv has them, then covered: the part that is.
    """
    device.apply(compute)
    network, card = load_network(model)
    tested = read_predictions(predictions)
    tested = tested.loc[tested["split"] == "test", ["path", "label", "group", "split"]]
    digests = read_manifest(manifest)[["path", "sha256"]]
    subset = subset_of(tested.merge(digests, on="path", validate="1:1"), pixels, card.classes)
    tested = tested.reset_index(drop=True)
    found = []
    for cover in COVERS:
        source = Covered(pixels, cover, card.scale[0])
        logs = engine.predict(network, source, subset, compute, scale=card.scale).numpy()
        answers = prediction_columns(logs, card.classes)
        found.append(pd.concat([tested, answers.assign(covered=cover)], axis=1))
    return pd.concat(found, ignore_index=True)
