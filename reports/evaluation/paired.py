"""Compare two tables of predictions of the same pictures: by how much, and may it be chance?

The difference comes with the interval of the paired bootstrap over groups (see `bootstrap`): both
figures are computed on the same draws, so that what is hard about a group does not count as a
difference. Where every draw gives the same difference there is no interval; the sign test over
groups, McNemar's test with a group as the unit, still tells whether it may be chance.
Source: McNemar 1947, https://doi.org/10.1007/BF02295996
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from reports.evaluation.bootstrap import DRAWS, SEED, UNDEFINED, interval, resample
from reports.evaluation.resampled import SCORES, class_scores, scores
from reports.evaluation.sample import FloatArray, Sample, classes_of, evaluated, read_sample

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})


@dataclass(frozen=True)
class Difference:
    """Hold how much better b is than a, with its interval."""

    value: float
    """b's figure minus a's."""
    low: float
    high: float
    not_better: float
    """The share of the draws in which b is not better than a, 0..1."""


@dataclass(frozen=True)
class Signs:
    """Hold how many groups each of two models answered better than the other."""

    better: int
    """Groups of which b got more pictures right."""
    worse: int
    """Groups of which a did."""
    p: float
    """How often chance alone gives so uneven counts or more so, 0..1; 1 where no group differs."""


def paired_difference(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: str = "balanced_accuracy",
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = SEED,
) -> Difference:
    """Compare two tables of predictions of the same pictures, b's figure minus a's.

    Both are computed on the same draws of groups, so that what is hard about a group does not
    count as a difference. A draw in which either is undefined is left out; all is NaN where the
    figure itself is undefined.

    Raises:
        ValueError: the pictures, their classes or groups differ, or there is no such metric.
    """
    if metric not in SCORES:
        raise ValueError(f"metric must be one of {', '.join(SCORES)}, got '{metric}'.")
    samples = _same_pictures(a, b, split)
    if not len(samples[0]):
        return Difference(math.nan, *UNDEFINED, math.nan)

    def both(weights: FloatArray) -> dict[str, FloatArray]:
        first, second = (_figure(sample, weights, metric) for sample in samples)
        return {"difference": second - first}

    value = float(both(np.ones((1, samples[0].group_count)))["difference"][0])
    drawn = resample(samples[0], both, draws, seed)["difference"]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    known = drawn[~np.isnan(drawn)]
    worse = float(np.mean(sign * known <= 0)) if len(known) and not math.isnan(value) else math.nan
    return Difference(value, *interval(drawn, value, samples[0].group_count), worse)


def sign_test(a: pd.DataFrame, b: pd.DataFrame, *, split: str = "test") -> Signs:
    """Count the groups that either table answers better, and test the counts, exact and two-sided.

    A group counts once, however many pictures it holds; groups answered equally well say nothing.

    Raises:
        ValueError: the pictures, their classes or groups differ.
    """
    one, other = _same_pictures(a, b, split)
    gained = np.zeros(one.group_count)
    np.add.at(gained, one.groups, other.right.astype(float) - one.right)
    better, worse = int((gained > 0).sum()), int((gained < 0).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return Signs(better, worse, p)


def _same_pictures(a: pd.DataFrame, b: pd.DataFrame, split: str) -> tuple[Sample, Sample]:
    """Read one part of two tables, the pictures in the same order."""
    one, other = (_in_order(table, split) for table in (a, b))
    _require_same(one, other)
    classes = classes_of(one)
    return read_sample(one, classes, split=split), read_sample(other, classes, split=split)


def _figure(sample: Sample, weights: FloatArray, metric: str) -> FloatArray:
    if metric != "auroc":  # which alone needs rankings
        unused = np.full((len(weights), len(sample.classes)), np.nan)
        return scores(sample, weights, unused)[metric]
    return scores(sample, weights, class_scores(sample, weights)["auroc"])[metric]


def _in_order(table: pd.DataFrame, split: str) -> pd.DataFrame:
    return evaluated(table, split=split).sort_values("path", ignore_index=True)


def _require_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Raise a ValueError where two tables are not about the same pictures."""
    differing: Sequence[str] = sorted(set(one["path"]) ^ set(other["path"]))
    if differing or len(one) != len(other):
        shown = ", ".join(f"'{path}'" for path in differing[:5])
        raise ValueError(
            f"Both tables must hold the same pictures, got {len(one)} and {len(other)}, "
            f"{len(differing)} of them in one table only{': ' if shown else ''}{shown}. "
            "Predict the same split with both models."
        )
    for column in ("label", "group"):
        unlike = one.loc[(one[column] != other[column]).to_numpy(), "path"]
        if len(unlike):
            raise ValueError(
                f"Both tables must give each picture the same {column}, got another one for "
                f"'{unlike.iloc[0]}' ({len(unlike)} in all). Predict the same split with both "
                "models."
            )
    if sorted(classes_of(one)) != sorted(classes_of(other)):
        raise ValueError(
            "Both tables must hold the same classes, got other columns p_<class>. "
            "Compare models of the same classes."
        )
