"""Compute the tables that the figures of the evaluation are drawn from.

Bands are of 95 %: those of curves from draws of groups (see `bootstrap`), those of shares from the
variance over groups (see `wilson`). What is undefined is NaN; a
class that the sample does not hold has no row. With more than 20 classes the curves are the mean
over the classes, called "(mean)".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from reports.arrays import FloatArray, divide
from reports.evaluation.bootstrap import percentiles, resample
from reports.evaluation.calibration import calibrated
from reports.evaluation.metrics import ECE_BINS, bins_of
from reports.evaluation.ranking import Ranking
from reports.evaluation.sample import Sample
from reports.evaluation.wilson import share_interval, wilson

GRID = np.linspace(0, 1, 101)
"""The false-positive rates, or recalls, that curves are given at."""
MOST_CURVES = 20
MEAN = "(mean)"
CONFIDENCE_BINS = 20
COLUMNS = (
    ["class", "false_positive_rate", "true_positive_rate", "low", "high"],
    ["class", "recall", "precision", "low", "high"],
)


def discrimination(
    sample: Sample, positive: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the tables of the ROC and of the precision-recall curves, from the same draws.

    The first has class, false_positive_rate, true_positive_rate, low, high; bands are vertical.
    The second has class, recall, precision, low, high. Of two classes only the positive one has
    curves, where there is one; a class beside which there is no other picture has no ROC curve.

    Where a true-positive rate is exactly 0 or 1 the band is Wilson's interval of the class's
    groups, but at the false-positive rate 1, where the curve ends at 1 by its definition.
    """
    tables: tuple[list[pd.DataFrame], ...] = ([], [])
    for name, values, drawn in _curves(sample, positive):
        groups = _groups(sample, name)
        for kind, columns in enumerate(COLUMNS):
            band = _band(drawn[:, kind], groups)
            if kind == 0 and name != MEAN:
                band = _with_ends(values[kind], band, groups)
            if not np.isnan(values[kind]).all():
                rows = (name, GRID, values[kind], *band)
                tables[kind].append(pd.DataFrame(dict(zip(columns, rows, strict=True))))
    rates, precisions = (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
        for found, columns in zip(tables, COLUMNS, strict=True)
    )
    return rates, precisions


def reliability(sample: Sample, temperature: float | None) -> pd.DataFrame:
    """Give when, bin_low, bin_high, n, confidence (mean), accuracy, low, high in 15 equal bins.

    `when` is "before" and, where a temperature was fitted, "after" it. In an empty bin n is 0 and
    the rest NaN.
    """
    tables = [_reliability(sample, "before")]
    if temperature is not None:
        shares = calibrated(sample.probabilities, temperature)
        tables.append(_reliability(replace(sample, probabilities=shares), "after"))
    return pd.concat(tables, ignore_index=True)


def confidences(sample: Sample) -> pd.DataFrame:
    """Count right and wrong answers by their confidence: bin_low, bin_high, right, wrong."""
    bins, edges = bins_of(sample.confidences, CONFIDENCE_BINS), _edges(CONFIDENCE_BINS)
    right = np.bincount(bins[sample.right], minlength=CONFIDENCE_BINS)
    wrong = np.bincount(bins[~sample.right], minlength=CONFIDENCE_BINS)
    columns = {"bin_low": edges[:-1], "bin_high": edges[1:], "right": right, "wrong": wrong}
    return pd.DataFrame(columns)


def _curves(sample: Sample, positive: str | None) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """Give both curves of each class, or their mean: (2, 101), and of all draws (B, 2, 101)."""
    ranked = {sample.classes[place]: sample.rankings[place] for place in _places(sample, positive)}
    combine = _mean_curve if len(sample.classes) > MOST_CURVES else _each_curve
    if ranked:
        values = combine(ranked, np.ones((1, sample.group_count)))
        drawn = resample(sample, lambda weights: combine(ranked, weights))
        yield from ((name, values[name][0], drawn[name]) for name in values)


def _places(sample: Sample, positive: str | None) -> list[int]:
    """Say which classes have curves."""
    if len(sample.classes) != 2 or positive is None:
        return sample.held
    return [place for place in sample.held if sample.classes[place] == positive]


def _each_curve(ranked: dict[str, Ranking], weights: FloatArray) -> dict[str, FloatArray]:
    """Draw each class's curves: (B, 2, 101), true-positive rates and precisions."""
    return {name: _both(ranking, weights) for name, ranking in ranked.items()}


def _mean_curve(ranked: dict[str, Ranking], weights: FloatArray) -> dict[str, FloatArray]:
    """Average the classes' curves, (B, 2, 101), without those that a draw leaves undefined."""
    total, known = np.zeros((2, len(weights), 2, len(GRID)))
    for ranking in ranked.values():
        curves = _both(ranking, weights)
        total += np.where(np.isnan(curves), 0, curves)
        known += ~np.isnan(curves)
    return {MEAN: divide(total, known)}


def _both(ranking: Ranking, weights: FloatArray) -> FloatArray:
    steps = ranking.steps(weights)
    return np.stack([steps.roc(GRID), steps.precision(GRID)], axis=1)


def _groups(sample: Sample, name: str) -> int:
    """Count the groups that a curve is about."""
    if name == MEAN:
        return sample.group_count
    return sample.groups_of(sample.true == sample.classes.index(name))


def _band(drawn: FloatArray, groups: int) -> tuple[FloatArray, FloatArray]:
    """Give the band of curves (B, 101), point by point; NaN as `interval` has it."""
    found = percentiles(drawn, groups)
    return (np.full(len(GRID), np.nan),) * 2 if found is None else found


def _with_ends(
    values: FloatArray, band: tuple[FloatArray, FloatArray], groups: int
) -> tuple[FloatArray, FloatArray]:
    """Give rates that are exactly 0 or 1, where no draw varies, the interval of their groups.

    The rate never falls along the curve, so that what bounds it from below at one place does so
    further on, and the other way round from above.
    """
    ends = (values == 0) | (values == 1)
    bounds = wilson(values, np.asarray(groups))
    low, high = (np.where(ends, *pair) for pair in zip(bounds, band, strict=True))
    low[-1], high[-1] = 1.0, 1.0
    return np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]


def _reliability(sample: Sample, when: str) -> pd.DataFrame:
    bins, edges = bins_of(sample.confidences, ECE_BINS), _edges(ECE_BINS)
    inside = np.arange(ECE_BINS) == bins[:, np.newaxis]  # (N, 15)
    n = inside.sum(axis=0)
    confidence = divide((inside * sample.confidences[:, np.newaxis]).sum(axis=0), n.astype(float))
    accuracy = divide((inside & sample.right[:, np.newaxis]).sum(axis=0), n.astype(float))
    bounds = [share_interval(sample.groups[rows], sample.right[rows]) for rows in inside.T]
    return pd.DataFrame(
        {
            "when": when,
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "n": n,
            "confidence": confidence,
            "accuracy": accuracy,
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
        }
    )


def _edges(bins: int) -> FloatArray:
    edges: FloatArray = np.linspace(0, 1, bins + 1)
    return edges
