"""Score out-of-fold predictions: cross-fitted calibration, each fold, and what chance does to them.

In K folds every image is tested once, by a network that was trained without its fold; a repeat
draws other folds and begins with other weights. Pooled scores take all of these predictions with
the group as the unit of chance, so that repeats make no interval narrower than its groups allow.

What is fitted to predictions may not be fitted to those that it is measured on: temperature and
threshold of an image come from the other folds of its repeat (cross-fitting). Those that are kept
for new images come from all predictions.

An AUROC over pooled folds compares probabilities of networks that were trained apart, which costs
a little where their scales differ; the mean over folds does not, and has fewer pairs in each.
Source: Airola et al. 2011, https://doi.org/10.1016/j.csda.2010.11.018 (pooling against averaging)
Source: Zadrozny & Elkan 2001, https://dl.acm.org/doi/10.5555/645530.655658 (calibrating on held-out
folds)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports.arrays import FloatArray
from reports.evaluation.calibration import Calibration, calibrate
from reports.evaluation.metrics import OF_FOLDS
from reports.evaluation.sample import (
    FOLD,
    REPEAT,
    classes_of,
    evaluated,
    read_sample,
    weigh,
)
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.errors import InputError


def pool(folds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the test parts of several folds' predictions.csv together; `fold` numbers them from 1.

    Raises:
        InputError: an image is tested twice, or the folds have different classes.
    """
    if len({tuple(classes_of(fold)) for fold in folds}) > 1:
        raise InputError(
            "Folds",
            "have the same classes",
            "different columns p_<class>",
            "Give every class images of more groups than there are folds, or fewer `folds`.",
        )
    tested = [evaluated(fold).assign(**{FOLD: n}) for n, fold in enumerate(folds, start=1)]
    pooled = pd.concat(tested, ignore_index=True)
    twice = pooled.loc[pooled["path"].duplicated(), "path"]
    if len(twice):
        got = f"'{twice.iloc[0]}' twice ({len(twice)} such in all)"
        raise InputError("Folds", "test each image once", got, "Take folds of one split.")
    return pooled


def pool_repeats(predictions: Sequence[pd.DataFrame], folds: int) -> pd.DataFrame:
    """Pool the folds of each repeat, and put the repeats together; `repeat` numbers them from 1.

    Raises:
        InputError: see `pool`.
    """
    starts = range(0, len(predictions), folds)
    pooled = (pool(predictions[start : start + folds]) for start in starts)
    numbered = [table.assign(**{REPEAT: n}) for n, table in enumerate(pooled, start=1)]
    return pd.concat(numbered, ignore_index=True)


def cross_fit(
    predictions: pd.DataFrame, settings: EvaluationSettings
) -> tuple[Calibration, FloatArray, FloatArray]:
    """Fit on all pooled predictions (N rows), and for each row on the other folds of its repeat.

    Returns what new images are calibrated by, then temperatures (N,) and thresholds (N,) of the
    rows; the latter are NaN without a positive class.
    """
    rows, classes = evaluated(predictions), classes_of(predictions)
    temperatures, thresholds = np.ones(len(rows)), np.full(len(rows), np.nan)
    for index in rows.groupby([REPEAT, FOLD]).indices.values():
        repeat, fold = (rows[name].iloc[index[0]] for name in (REPEAT, FOLD))
        others = rows[(rows[REPEAT] == repeat) & (rows[FOLD] != fold)]
        found = calibrate(read_sample(others, classes), settings, on="folds")
        temperatures[index] = found.temperature
        thresholds[index] = np.nan if found.threshold is None else found.threshold
    kept = calibrate(read_sample(rows, classes), settings, on="folds")
    return kept, temperatures, thresholds


def summarise_folds(predictions: pd.DataFrame) -> dict[str, Any]:
    """Give the scores of each fold, of each repeat (pooled), and mean and deviation of both.

    Deviations are those of a sample (n - 1): NaN of one. A fold that lacks a class has no AUROC of
    it, and an undefined score is left out of its mean.
    """
    rows = evaluated(predictions)
    folds = _scores(rows, [REPEAT, FOLD])
    repeats = _scores(rows, [REPEAT])
    return {
        "folds": int(rows[FOLD].nunique()),
        "repeats": len(repeats),
        "predictions": len(rows),
        "each": folds.to_dict("records"),
        "mean": _by_score(folds.mean()),
        "deviation": _by_score(folds.std()),
        "each_repeat": repeats.to_dict("records"),
        "deviation_of_repeats": _by_score(repeats.std()),
    }


def _scores(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Score the rows that share the columns `by`: these columns, n, groups, then each score."""
    classes, found = classes_of(rows), []
    for index in rows.groupby(by).indices.values():
        sample = read_sample(rows.iloc[index], classes)
        counted = weigh(sample)
        found.append(
            {name: int(rows[name].iloc[index[0]]) for name in by}
            | {"n": len(sample), "groups": sample.group_count}
            | {metric.name: float(metric.compute(counted)[0]) for metric in OF_FOLDS}
        )
    return pd.DataFrame(found)


def _by_score(values: pd.Series[Any]) -> dict[str, float]:
    return {metric.name: float(values[metric.name]) for metric in OF_FOLDS}
