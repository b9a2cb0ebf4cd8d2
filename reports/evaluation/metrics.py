"""Turn a sample of predictions into figures: a table by class, a confusion table, a summary.

Every point value is scikit-learn's, but the calibration error, which it does not have. A class
that the sample does not hold still has its row.

What is undefined is NaN, never 0: the precision of a class that was never predicted, the recall of
a class that the part does not hold, the AUROC where only one class is there. NaN is an empty field
in CSV, null in JSON and "n/a" for people.

This module draws nothing and gives no intervals.
Source: https://scikit-learn.org/stable/modules/model_evaluation.html
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)

from reports.evaluation.resampled import (
    SCORES,
    auroc_places,
    calibration_errors,
    chance_calibration_error,
)
from reports.evaluation.sample import FloatArray, IntArray, Sample
from resnext.contracts.tables import confusion_table

PER_CLASS_COLUMNS = (
    "class",
    "support",
    "precision",
    "recall",
    "specificity",
    "f1",
    "auroc",
    "average_precision",
)
SUMMARY_NAMES = ("n", "groups", *SCORES, "ece_excess", "majority_accuracy")


def per_class(sample: Sample) -> pd.DataFrame:
    """Compute support, and precision, recall, specificity, F1, AUROC and average precision (0..1).

    AUROC and average precision are those of the class against the rest. NaN where undefined:
    precision of a class that was never predicted, recall and average precision of a class with
    support 0, specificity where every picture is of the class, F1 of a class that is neither
    there nor predicted, AUROC where no picture or every picture is of the class.
    """
    classes = len(sample.classes)
    if len(sample) == 0:
        undefined = np.full(classes, np.nan)
        scores = (undefined, undefined, undefined, np.zeros(classes, dtype=np.int64))
    else:
        scores = precision_recall_fscore_support(
            sample.true, sample.predicted, labels=np.arange(classes), zero_division=np.nan
        )
    precision, recall, f1, support = scores
    columns = (
        list(sample.classes),
        support,
        precision,
        recall,
        _specificity(sample.true, sample.predicted, classes),
        f1,
        [auroc(sample, place) for place in range(classes)],
        [average_precision(sample, place) for place in range(classes)],
    )
    return pd.DataFrame(dict(zip(PER_CLASS_COLUMNS, columns, strict=True)))


def confusion(sample: Sample) -> pd.DataFrame:
    """Count the pictures by true (rows) and predicted class (columns), in the order of classes."""
    counts = _counts(sample.true, sample.predicted, len(sample.classes))
    return confusion_table(counts, sample.classes, sample.classes)


def summary(sample: Sample) -> dict[str, float]:
    """Compute the figures of the whole sample; n and groups are counts, accuracies shares 0..1.

    * groups: patients, or what stands for them; a picture without a group is one of its own.
    * balanced_accuracy: the mean recall of the classes that the part holds.
    * macro_f1: the mean F1 of the classes that are there or were predicted.
    * weighted_f1: the mean F1 of the classes that are there, weighted by their pictures.
    * mcc: Matthews' correlation, -1..1. NaN where only one class is there or was predicted.
    * auroc: with two classes, of the second one in sorted order; with more, the mean of each class
      against the rest, over the classes that the part holds. NaN where only one class is there.
    * majority_accuracy: what always answering the commonest class of this very part would score.
    * log_loss: in nats, from the probabilities scaled to the sum 1.
    * brier: the mean squared error of the probabilities, 0..2 added up over more than two classes,
      0..1 with two.
    * ece: see `resampled.calibration_errors`.
    * ece_excess: ece less what a perfectly calibrated network would show by chance, see
      `resampled.chance_calibration_error`. About 0 says that nothing speaks against calibration.

    With no picture at all n and groups are 0 and the rest is NaN.
    """
    if len(sample) == 0:
        return {name: 0 if name in ("n", "groups") else math.nan for name in SUMMARY_NAMES}
    true, predicted = sample.true, sample.predicted
    every, there = np.arange(len(sample.classes)), np.unique(true)
    f1 = f1_score(true, predicted, labels=every, average=None, zero_division=np.nan)
    ece = float(calibration_errors(sample, np.ones((1, sample.group_count)))[0])
    return {
        "n": len(sample),
        "groups": sample.group_count,
        "accuracy": float(accuracy_score(true, predicted)),
        "balanced_accuracy": float(recall_score(true, predicted, labels=there, average="macro")),
        "macro_f1": float(np.nanmean(f1)),
        "weighted_f1": float(f1_score(true, predicted, labels=there, average="weighted")),
        "mcc": _mcc(true, predicted),
        "auroc": mean_auroc(sample),
        "log_loss": float(log_loss(true, sample.probabilities, labels=every)),
        "brier": float(brier_score_loss(true, sample.probabilities, labels=every)),
        "ece": ece,
        "ece_excess": ece - chance_calibration_error(sample),
        "majority_accuracy": float(np.bincount(true).max() / len(sample)),
    }


def auroc(sample: Sample, place: int) -> float:
    """Compute the area under the ROC curve of one class against the rest."""
    hits = sample.true == place
    if hits.all() or not hits.any():
        return math.nan
    return float(roc_auc_score(hits, sample.probabilities[:, place]))


def average_precision(sample: Sample, place: int) -> float:
    """Compute the average precision of one class; NaN where the sample does not hold it."""
    hits = sample.true == place
    if not hits.any():
        return math.nan
    return float(average_precision_score(hits, sample.probabilities[:, place]))


def mean_auroc(sample: Sample) -> float:
    """Compute the AUROC of two classes, or the mean of more; NaN where only one class is there."""
    areas = [auroc(sample, place) for place in auroc_places(sample)]
    return float(np.mean(areas)) if areas else math.nan


def _mcc(true: IntArray, predicted: IntArray) -> float:
    """Compute Matthews' correlation; scikit-learn calls the undefined case 0."""
    if len(np.unique(true)) < 2 or len(np.unique(predicted)) < 2:
        return math.nan
    return float(matthews_corrcoef(true, predicted))


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
