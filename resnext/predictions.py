"""Predictions as tables: val and test part of a split, or a folder of new pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from resnext import device, engine
from resnext.checkpoint import load_model
from resnext.device import Compute
from resnext.errors import InputError
from resnext.images import Picture
from resnext.tables import read_manifest, read_split_pictures, read_table


def predict_split(
    root: Path, manifest: Path, split: Path, model: Path, compute: Compute, *, workers: int = 0
) -> pd.DataFrame:
    """Predict the val and test part of a split: the table predictions.csv.

    Raises:
        InputError: the model was trained on other classes, or a picture changed.
    """
    rows = read_split_pictures(split, manifest)
    rows = rows[rows["split"].isin(["val", "test"])].reset_index(drop=True)
    columns = rows[["path", "label", "group", "split"]]
    return pd.concat([columns, _predict(rows, root, model, compute, workers)], axis=1)


def predict_pictures(
    root: Path, manifest: Path, quarantine: Path, model: Path, compute: Compute, *, workers: int = 0
) -> pd.DataFrame:
    """Predict pictures without a class: the table batch_predictions.csv.

    A picture that can't be used gets no prediction, the status "error" and the reason.

    Raises:
        InputError: the model can't be read, or a picture changed since it was scanned.
    """
    rows = read_manifest(manifest)
    done = pd.concat([rows[["path"]], _predict(rows, root, model, compute, workers)], axis=1)
    faults = read_table(quarantine).rename(columns={"reason": "error"})
    table = pd.concat([done, faults.assign(status="error")], ignore_index=True)
    text = ["predicted", "status", "error"]
    return table.fillna(dict.fromkeys(text, "")).sort_values("path", ignore_index=True)


def prediction_columns(probabilities: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Turn probabilities (N, C) into the columns predicted, confidence, p_<class>, status, error.

    Of equal probabilities the first class wins.
    """
    names = np.asarray(classes, dtype=object)
    best = probabilities.argmax(axis=1)
    table = pd.DataFrame({"predicted": names[best], "confidence": probabilities.max(axis=1)})
    for place, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, place]
    return table.assign(status="ok", error="")


def _predict(
    rows: pd.DataFrame, root: Path, model: Path, compute: Compute, workers: int
) -> pd.DataFrame:
    device.apply(compute)
    network, card = load_model(model)
    _require_known(rows["label"], card.classes)
    pictures = [
        Picture(root / path, digest, 0)
        for path, digest in zip(rows["path"], rows["sha256"], strict=True)
    ]
    probabilities = engine.predict(network, pictures, card.image_size, compute, workers=workers)
    return prediction_columns(probabilities.numpy(), card.classes)


def _require_known(labels: "pd.Series[str]", classes: Sequence[str]) -> None:
    strange = sorted(set(labels) - set(classes) - {""})
    if strange:
        raise InputError(
            f"The classes must be those of the model ({', '.join(classes)}), got "
            f"{', '.join(strange[:5])}. Train a model on these pictures."
        )
