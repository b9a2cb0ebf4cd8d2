"""Lay predictions out as tables: numbers of images, and a row for every file of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from resnext.contracts.threshold import (
    ANSWER,
    REFER,
    answered_class,
    is_referred,
    possible_classes,
)
from resnext.inference.batch import Answered
from resnext.inference.calibration import AnswerRule, softmax
from resnext.inference.execution import FloatArray
from resnext.models.model_file import ModelCard

BETWEEN = "|"
"""What stands between the classes of a set."""


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
    by_class = [
        pd.DataFrame(values, columns=[f"{kind}_{name}" for name in classes])
        for kind, values in shares.items()
    ]
    return pd.concat([table, *by_class], axis=1).assign(status="ok", error="")


def batch_table(
    paths: Sequence[str],
    answered: Sequence[Answered],
    card: ModelCard,
    temperature: float,
    rule: AnswerRule = AnswerRule(),
) -> pd.DataFrame:
    """Lay out one row a file, in order: the table batch_predictions.csv.

    Beside each p_<class> stands calibrated_<class>, at the temperature. `referral` and `set` are
    empty where the rule has no such limit, `unlike_training` where that is not known. A file
    without an answer has no numbers, the status "error" and the reason.
    """
    none = np.full(len(card.classes), np.nan)
    logs = np.array([none if each.logs is None else each.logs for each in answered])
    table = prediction_columns(logs, card.classes, temperature=temperature)
    missing = [each.logs is None for each in answered]
    table.loc[missing, ["predicted", "status"]] = ["", "error"]
    table["error"] = [each.reading.reason for each in answered]
    table["sha256"] = [each.reading.sha256 for each in answered]
    table["note"] = [each.note for each in answered]
    table = table.assign(**_certainty(table, card.classes, rule))
    table["unlike_training"] = [each.unlike for each in answered]
    return pd.concat([pd.DataFrame({"path": list(paths)}, dtype="str"), table], axis=1)


def _certainty(
    table: pd.DataFrame, classes: Sequence[str], rule: AnswerRule
) -> dict[str, list[str]]:
    """Say of each row whether it is answered or referred, and which classes are possible."""
    found: dict[str, list[str]] = {"referral": [""] * len(table), "set": [""] * len(table)}
    limits = rule.model_dump()
    if rule.refer_below is None and rule.set_from is None:
        return found
    shares = table[[f"calibrated_{name}" for name in classes]].to_numpy().tolist()
    for row, (status, best) in enumerate(zip(table["status"], table["predicted"], strict=True)):
        if status != "ok":
            continue
        each = dict(zip(classes, shares[row], strict=True))
        found["set"][row] = BETWEEN.join(possible_classes(each, best, limits))
        if rule.refer_below is not None:
            refer = is_referred(each[answered_class(each, best, limits)], limits)
            found["referral"][row] = REFER if refer else ANSWER
    return found
