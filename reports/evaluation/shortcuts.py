"""Ask whether cues besides the subject tell the class: brightness, border, size, file and the like.

Each cue, and all together, answer by a model of their own: least squares with a penalty (ridge
regression) on a number for each class. A cue of numbers is first replaced by its rank among the
training images, then bent at two knots. So no unit and no outlier counts, and a middle value can
speak for a class. Images are tested in folds of whole groups, as networks are.

The AUROC compares images of one fold alone: an image that is tested in one fold has trained the
model of another, which would count against it. The folds weigh as many pairs as they hold. Of more
than two classes it is the mean of each against the rest. Its interval is made as those of any AUROC
are, but wider: an image that is tested has trained the other models, so that the variance is
1 + K / (K - 1) times as large with K folds (Nadeau and Bengio). A cue that is the same in all
images, or that no image has, tells nothing and has no number.

Source: Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, 4.2 (regression on
indicators) and 5.2 (linear splines)
Source: Nadeau & Bengio 2003, https://doi.org/10.1023/A:1024068626366
Source: Geirhos et al. 2020, https://doi.org/10.1038/s42256-020-00257-z (shortcuts)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reports.arrays import BoolArray, FloatArray, IntArray, divide
from reports.evaluation.intervals import score_interval
from reports.evaluation.metrics import FEWEST
from reports.evaluation.ranking import placements_by_class
from reports.evaluation.sample import group_codes

CUES: Mapping[str, tuple[str, ...]] = {
    "brightness": ("brightness",),
    "colour of the border": ("border_red", "border_green", "border_blue"),
    "sharpness": ("sharpness",),
    "image size": ("megapixels",),
    "aspect ratio": ("aspect",),
    "file size": ("bytes",),
    "file format": ("format",),
    "JPEG quality": ("jpeg_quality",),
}
"""What is asked, by the columns of cues.csv."""
TOGETHER = "all together"
KNOTS = (1 / 3, 2 / 3)
"""Ranks 0..1 at which the effect of a cue may bend."""
PENALTY = 10.0
"""The penalty on standardised columns, in images."""
SAME, TOO_FEW = "the same in all images", "too few groups"
CHANCE = 0.5


def find_shortcuts(cues: pd.DataFrame) -> pd.DataFrame:
    """Test each cue and all together: the table shortcuts.csv.

    `cues` has path, label, group, fold (NA where an image takes no part) and the columns of `CUES`.
    Columns of the result: cue, auroc, auroc_low, auroc_high (NaN where undefined), images, groups,
    note, which says why there is no number.
    """
    rows = cues[cues["fold"].notna()].reset_index(drop=True)
    classes = sorted(set(rows["label"]))
    true = pd.Categorical(rows["label"], categories=classes).codes.astype(np.int64)
    groups, folds = group_codes(rows), rows["fold"].to_numpy(dtype=np.int64)
    asked = {name: [c for c in columns if _varies(rows[c])] for name, columns in CUES.items()}
    every = [column for columns in asked.values() for column in columns]
    few = len(set(folds)) < 2 or _fewest_groups(true, groups) < FEWEST
    found = []
    for name, columns in {**asked, TOGETHER: every}.items():
        note = TOO_FEW if few else "" if columns else SAME
        facts = {"cue": name, **dict.fromkeys(("auroc", "auroc_low", "auroc_high"), np.nan)}
        if not note:
            scores = _out_of_fold(rows[columns], true, folds)
            facts |= _auroc(scores, true, folds, groups)
        found.append({**facts, "images": len(rows), "groups": len(set(groups)), "note": note})
    return pd.DataFrame(found)


def above_chance(found: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of shortcuts.csv whose interval lies above 0.5, the greatest first."""
    return found[found["auroc_low"] > CHANCE].sort_values("auroc", ascending=False)


def _varies(column: pd.Series) -> bool:
    return bool(column.nunique(dropna=False) > 1)


def _fewest_groups(true: IntArray, groups: IntArray) -> int:
    """Count the groups of the class that has the fewest; 0 of one class."""
    each = [len(np.unique(groups[true == index])) for index in np.unique(true)]
    return min(each) if len(each) > 1 else 0


# ---------------------------------------------------------------- the score


def _auroc(
    scores: FloatArray, true: IntArray, folds: IntArray, groups: IntArray
) -> dict[str, float]:
    """Give the AUROC within folds of scores (N, C), and its interval."""
    numbers = np.unique(folds)
    each = [
        (rows, *placements_by_class(scores[rows], true[rows]))
        for rows in (folds == n for n in numbers)
    ]
    pairs = np.array([counted for _, _, counted in each]).sum(axis=0)  # (C,)
    areas, moved = np.zeros(scores.shape[1]), np.zeros(scores.shape)
    for rows, placed, counted in each:
        hits = true[rows, np.newaxis] == np.arange(scores.shape[1])
        own = divide((placed * hits).sum(axis=0), hits.sum(axis=0))
        sizes = np.where(hits, hits.sum(axis=0), (~hits).sum(axis=0))
        weights = divide(counted, pairs)
        areas += np.nan_to_num(weights * own)
        moved[rows] = np.nan_to_num(weights * divide(placed - own, sizes))
    classes = [1] if len(areas) == 2 else range(len(areas))
    value = float(areas[classes].mean())
    influence = moved[:, classes].mean(axis=1) * np.sqrt(1 + len(numbers) / (len(numbers) - 1))
    times = max(1, len(classes) / 2)  # as of any mean of AUROCs
    low, high = score_interval(value, influence, groups, true, times=times)
    return {"auroc": value, "auroc_low": low, "auroc_high": high}


# ---------------------------------------------------------------- the model


def _out_of_fold(cues: pd.DataFrame, true: IntArray, folds: IntArray) -> FloatArray:
    """Score each image for each class by a model of the other folds, (N, C)."""
    classes = np.eye(int(true.max()) + 1)
    scores = np.zeros((len(cues), len(classes)))
    for fold in np.unique(folds):
        tested = folds == fold
        columns = np.hstack([_columns(cues[name], ~tested) for name in cues])
        scores[tested] = _ridge(columns[~tested], classes[true[~tested]], columns[tested])
    return scores


def _columns(cue: pd.Series, train: BoolArray) -> FloatArray:
    """Lay a cue out for the model, by the ranks among its training images: (N, columns).

    A text has a column for each of its values. Where a number is missing, a column says so, and
    it counts as a middle one.
    """
    if not pd.api.types.is_numeric_dtype(cue):
        return np.asarray(pd.get_dummies(cue), dtype=np.float64)
    values = cue.to_numpy(dtype=np.float64)
    missing = np.isnan(values)
    known = np.sort(values[train & ~missing])
    ends: Sequence[IntArray] = [np.searchsorted(known, values, side) for side in ("left", "right")]
    ranks = np.where(missing, 0.5, sum(ends) / max(1, 2 * len(known)))
    bent = [np.maximum(0, ranks - knot) for knot in KNOTS]
    return np.column_stack([ranks, *bent, missing])


def _ridge(train: FloatArray, wanted: FloatArray, tested: FloatArray) -> FloatArray:
    """Fit (N, F) to (N, C) with a penalty, and give the answers to (M, F) about their mean."""
    middle, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 1e-9, spread, np.inf)  # a column of one value counts nothing
    known, asked = ((each - middle) / spread for each in (train, tested))
    square = known.T @ known + PENALTY * np.eye(train.shape[1])
    return np.asarray(asked @ np.linalg.solve(square, known.T @ (wanted - wanted.mean(axis=0))))
