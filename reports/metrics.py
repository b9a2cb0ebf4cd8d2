"""Turn a table of predictions into figures of merit: a table a class, a confusion table, a summary.

Every point value is scikit-learn's. All functions count the rows of one part of the split whose
status is "ok", and take the classes as an argument: a class that the part does not hold still has
its row.

What is undefined is NaN, never 0: the precision of a class that was never predicted, the recall of
a class that the part does not hold, the AUROC where only one class is there. NaN is an empty field
in CSV, null in JSON and "n/a" for people.

This module draws nothing and gives no intervals.
Source: https://scikit-learn.org/stable/modules/model_evaluation.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)

from reports.tables import confusion_table

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

PER_CLASS_COLUMNS = ("class", "support", "precision", "recall", "specificity", "f1")
SUMMARY_NAMES = (
    "n",
    "groups",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "auroc",
    "majority_accuracy",
    "log_loss",
)


def evaluated(predictions: pd.DataFrame, *, split: str = "test") -> pd.DataFrame:
    """Select the rows that count: those of one part of the split whose status is "ok"."""
    rows = (predictions["split"] == split) & (predictions["status"] == "ok")
    return predictions.loc[rows].reset_index(drop=True)


def per_class(
    predictions: pd.DataFrame, classes: Sequence[str], *, split: str = "test"
) -> pd.DataFrame:
    """Compute support, precision, recall, specificity and F1 (shares 0..1) of each class.

    NaN where undefined: precision of a class that was never predicted, recall of a class with
    support 0, specificity where every picture is of the class, F1 of a class that is neither
    there nor predicted.

    Raises:
        ValueError: a label or a prediction is not among the classes.
    """
    rows = evaluated(predictions, split=split)
    true, predicted = _codes(rows, "label", classes), _codes(rows, "predicted", classes)
    labels = np.arange(len(classes))
    if len(rows) == 0:
        undefined = np.full(len(classes), np.nan)
        scores = (undefined, undefined, undefined, np.zeros(len(classes), dtype=np.int64))
    else:
        scores = precision_recall_fscore_support(
            true, predicted, labels=labels, zero_division=np.nan
        )
    precision, recall, f1, support = scores
    specificity = _specificity(true, predicted, len(classes))
    columns = (list(classes), support, precision, recall, specificity, f1)
    return pd.DataFrame(dict(zip(PER_CLASS_COLUMNS, columns, strict=True)))


def confusion(
    predictions: pd.DataFrame, classes: Sequence[str], *, split: str = "test"
) -> pd.DataFrame:
    """Count the pictures by true (rows) and predicted class (columns), in the order of classes.

    Raises:
        ValueError: a label or a prediction is not among the classes.
    """
    rows = evaluated(predictions, split=split)
    true, predicted = _codes(rows, "label", classes), _codes(rows, "predicted", classes)
    return confusion_table(_counts(true, predicted, len(classes)), classes, classes)


def summary(
    predictions: pd.DataFrame, classes: Sequence[str], *, split: str = "test"
) -> dict[str, float]:
    """Compute the figures of the whole part; n and groups are counts, accuracies shares 0..1.

    * groups: patients, or what stands for them; a picture without a group is one of its own.
    * balanced_accuracy: the mean recall of the classes that the part holds.
    * macro_f1: the mean F1 of the classes that are there or were predicted.
    * auroc: with two classes, of the second one in sorted order; with more, the mean of each class
      against the rest, over the classes that the part holds. NaN where only one class is there.
    * majority_accuracy: what always answering the commonest class of this very part would score.
    * log_loss: in nats, from the probabilities scaled to the sum 1.

    With no picture at all n and groups are 0 and the rest is NaN.

    Raises:
        ValueError: a label or a prediction is not among the classes.
    """
    rows = evaluated(predictions, split=split)
    if len(rows) == 0:
        return {name: 0 if name in ("n", "groups") else math.nan for name in SUMMARY_NAMES}
    true, predicted = _codes(rows, "label", classes), _codes(rows, "predicted", classes)
    probabilities = _probabilities(rows, classes)  # (N, C)
    present = np.unique(true)
    f1 = precision_recall_fscore_support(
        true, predicted, labels=np.arange(len(classes)), zero_division=np.nan
    )[2]
    return {
        "n": len(rows),
        "groups": int(rows["group"].where(rows["group"] != "", rows["path"]).nunique()),
        "accuracy": float(accuracy_score(true, predicted)),
        "balanced_accuracy": float(recall_score(true, predicted, labels=present, average="macro")),
        "macro_f1": float(np.nanmean(f1)),
        "auroc": _auroc(true, probabilities, classes),
        "majority_accuracy": float(np.bincount(true).max() / len(rows)),
        "log_loss": float(log_loss(true, probabilities, labels=np.arange(len(classes)))),
    }


def _codes(rows: pd.DataFrame, column: str, classes: Sequence[str]) -> IntArray:
    """Give the position of each row's class in classes, (N,)."""
    places = {name: place for place, name in enumerate(classes)}
    unknown = [name for name in rows[column].unique() if name not in places]
    if unknown:
        shown = ", ".join(f"'{name}'" for name in unknown[:5])
        raise ValueError(
            f"Column '{column}' must hold only the {len(places)} classes, got {shown} "
            f"({len(unknown)} unknown in all). Evaluate with the classes that the model was "
            "trained on."
        )
    return np.array([places[name] for name in rows[column]], dtype=np.int64)


def _counts(true: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Count pictures by true and predicted class, (C, C)."""
    if len(true) == 0:
        return np.zeros((classes, classes), dtype=np.int64)
    counts: IntArray = confusion_matrix(true, predicted, labels=np.arange(classes))
    return counts


def _specificity(true: IntArray, predicted: IntArray, classes: int) -> FloatArray:
    """Compute the share of the other classes' pictures not taken for the class, (C,)."""
    if len(true) == 0:
        return np.full(classes, np.nan)
    tables = multilabel_confusion_matrix(true, predicted, labels=np.arange(classes))  # (C, 2, 2)
    right, wrong = tables[:, 0, 0], tables[:, 0, 1]
    shares: FloatArray = np.full(classes, np.nan)
    np.divide(right, right + wrong, out=shares, where=(right + wrong) > 0)
    return shares


def _probabilities(rows: pd.DataFrame, classes: Sequence[str]) -> FloatArray:
    """Read the probabilities in the order of classes, scaled to the sum 1, (N, C)."""
    values = rows[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    scaled: FloatArray = values / values.sum(axis=1, keepdims=True)
    return scaled


def _auroc(true: IntArray, probabilities: FloatArray, classes: Sequence[str]) -> float:
    """Compute the area under the ROC curve; NaN where only one class is there."""
    if len(np.unique(true)) < 2:
        return math.nan
    if len(classes) == 2:
        second = list(classes).index(sorted(classes)[1])
        return float(roc_auc_score(true == second, probabilities[:, second]))
    areas: list[Any] = [
        roc_auc_score(true == place, probabilities[:, place]) for place in np.unique(true)
    ]
    return float(np.mean(areas))
