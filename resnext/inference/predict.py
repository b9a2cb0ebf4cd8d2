"""Predict the val and test part of a split, or its new images, from packed pixels."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from resnext import device
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import read_manifest, read_split_images
from resnext.data.pixels import PackedPixels
from resnext.device import Compute
from resnext.inference.tables import prediction_columns
from resnext.models.model_file import load_network, read_card
from resnext.training import engine
from resnext.training.train import subset_of


def predict_split(
    manifest: Path,
    split: Path,
    pixels: PackedPixels,
    model: Path,
    compute: Compute,
    timed: Callable[[int, float], None] | None = None,
) -> pd.DataFrame:
    """Predict the val and test part of a split: the table predictions.csv.

    A part that the network was trained on is left out. `timed` is told how many images were
    predicted and in how many seconds, loading the network not counted.

    Raises:
        InputError: the model was trained on other classes.
    """
    rows = read_split_images(split, manifest)
    card = read_card(model)
    rows = rows[rows["split"].isin({"val", "test"} - {*card.trained_on})]
    classes = card.classes
    if unknown := sorted(set(rows["label"]) - {*classes, ""}):
        rule = f"be those of the model ({', '.join(classes)})"
        remedy = "Train a model on these images."
        raise InputError("The classes", rule, first_few(unknown), remedy)
    return _predict_rows(rows, pixels, model, compute, timed)


def predict_new(
    manifest: Path, split: Path, known: Path, pixels: PackedPixels, model: Path, compute: Compute
) -> pd.DataFrame:
    """Predict the images whose bytes are not in the manifest `known`: columns as predict_split.

    They may be of classes that the model doesn't know, and in any part of the split.
    """
    rows = read_split_images(split, manifest)
    rows = rows[~rows["sha256"].isin(read_manifest(known)["sha256"])]
    return _predict_rows(rows, pixels, model, compute)


def _predict_rows(
    rows: pd.DataFrame,
    pixels: PackedPixels,
    model: Path,
    compute: Compute,
    timed: Callable[[int, float], None] | None = None,
) -> pd.DataFrame:
    device.apply(compute)
    network, card = load_network(model)
    rows = rows.reset_index(drop=True)
    subset = subset_of(rows, pixels, card.classes)
    columns = rows[["path", "label", "group", "split"]]
    start = time.perf_counter()
    logs = engine.predict(network, pixels, subset, compute, scale=card.scale).numpy()
    if timed is not None:
        timed(len(rows), time.perf_counter() - start)
    return pd.concat([columns, prediction_columns(logs, card.classes)], axis=1)
