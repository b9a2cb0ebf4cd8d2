"""Lay predictions out as tables: numbers of images, and a row for every file of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from resnext.inference.batch import Answered
from resnext.inference.calibration import softmax
from resnext.inference.predictor import FloatArray
from resnext.models.model_file import ModelCard


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


def batch_table(
    paths: Sequence[str], answered: Sequence[Answered], card: ModelCard, temperature: float
) -> pd.DataFrame:
    """Lay out one row a file, in order: the table batch_predictions.csv.

    Beside each p_<class> stands calibrated_<class>, at the temperature. A file without an answer
    has no numbers, the status "error" and the reason.
    """
    none = np.full(len(card.classes), np.nan)
    logs = np.array([none if each.logs is None else each.logs for each in answered])
    table = prediction_columns(logs, card.classes, temperature=temperature)
    missing = [each.logs is None for each in answered]
    table.loc[missing, ["predicted", "status"]] = ["", "error"]
    table["error"] = [each.reading.reason for each in answered]
    table["sha256"] = [each.reading.sha256 for each in answered]
    table["note"] = [each.note for each in answered]
    return pd.concat([pd.DataFrame({"path": list(paths)}, dtype="str"), table], axis=1)
