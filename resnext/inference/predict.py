"""Predictions as tables: val and test part of a split, or a folder of new images."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from resnext import device
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import read_manifest, read_split_images, read_table
from resnext.data.pixels import PackedPixels, Progress, ScannedImages, scanned_images
from resnext.device import Compute
from resnext.inference.calibration import read_calibration, softmax
from resnext.inference.exported import SUFFIX
from resnext.inference.predictor import FloatArray
from resnext.inference.runtimes.onnx_runtime import ExportedModel, predict_files
from resnext.models.model_file import load_network, read_card
from resnext.training import engine
from resnext.training.batches import unlabelled
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


def predict_images(
    root: Path,
    manifest: Path,
    quarantine: Path,
    model: Path,
    compute: Compute,
    *,
    calibration: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Predict images without a class: the table batch_predictions.csv.

    An image that can't be used gets no prediction, the status "error" and the reason. Beside each
    p_<class> stands calibrated_<class>, at the temperature of calibration.json; the same without.
    An exported model is computed by so many processes, a model file by torch, for which as many
    threads decode. `progress` is called with images done and images in all, for the former.

    Raises:
        InputError: the model or the calibration can't be read, or an image changed since it was
            scanned.
    """
    temperature = 1.0 if calibration is None else read_calibration(calibration)["temperature"]
    rows = read_manifest(manifest)
    images = scanned_images(root, rows)
    if model.suffix == SUFFIX:
        card = ExportedModel(model, threads=1).facts.card
        logs = predict_files(model, images, workers, progress)
    else:
        device.apply(compute)
        network, card = load_network(model)
        source = ScannedImages(images, card.image_size, workers, card.levels, card.fit)
        subset = unlabelled(rows["sha256"].tolist(), rows["path"].tolist())
        logs = engine.predict(network, source, subset, compute, scale=card.scale).numpy()
    predicted = prediction_columns(logs, card.classes, temperature=temperature)
    done = pd.concat([rows[["path"]], predicted], axis=1)
    faults = read_table(quarantine).rename(columns={"reason": "error"})
    table = pd.concat([done, faults.assign(status="error")], ignore_index=True)
    text = ["predicted", "status", "error"]
    return table.fillna(dict.fromkeys(text, "")).sort_values("path", ignore_index=True)


def prediction_columns(
    logs: FloatArray, classes: Sequence[str], *, temperature: float | None = None
) -> pd.DataFrame:
    """Turn log-probabilities (N, C) into predicted, confidence, p_<class>, status, error.

    With a temperature, calibrated_<class> follows the p_<class>. Of equal probabilities the first
    class wins, whatever the temperature.
    """
    logs = logs.reshape(len(logs), len(classes))  # also where there is no image
    shares = {"p": np.exp(logs)}
    if temperature is not None:
        shares["calibrated"] = softmax(logs, temperature)
    best = np.asarray(classes, dtype=object)[shares["p"].argmax(axis=1)]
    table = pd.DataFrame({"predicted": best, "confidence": shares["p"].max(axis=1)})
    for kind, values in shares.items():
        table[[f"{kind}_{name}" for name in classes]] = values
    return table.assign(status="ok", error="")
