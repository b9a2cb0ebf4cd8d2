"""Compute the tables that the figures of the evaluation are drawn from.

Bands are of 95 %: those of curves from draws of groups (see `bootstrap`), those of shares from the
variance over groups (see `intervals`). What is undefined is NaN; a class that the sample does not
hold has no row. With more than 20 classes the curves are the mean over the classes, called
"(mean)".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from reports.arrays import BoolArray, FloatArray, IntArray, divide
from reports.evaluation.bootstrap import percentiles, resample
from reports.evaluation.calibration import calibrated
from reports.evaluation.intervals import share_interval, wilson
from reports.evaluation.metrics import ECE_BINS, FEWEST, bins_of
from reports.evaluation.ranking import Ranking
from reports.evaluation.sample import Sample

GRID = np.linspace(0, 1, 101)
"""The false-positive rates, or recalls, that curves are given at."""
MOST_CURVES = 20
MEAN = "(mean)"
CONFIDENCE_BINS = 20
ROC = ["class", "false_positive_rate", "true_positive_rate", "low", "high"]
PRECISION_RECALL = ["class", "recall", "precision", "low", "high"]
Band = tuple[FloatArray, FloatArray]


def discrimination(
    sample: Sample, positive: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the tables of the ROC and of the precision-recall curves, from the same draws.

    The first has class, false_positive_rate, true_positive_rate, low, high; bands are vertical.
    The second has class, recall, precision, low, high. Of two classes only the positive one has
    curves, where there is one; a class beside which there is no other image has no ROC curve.

    Where a true-positive rate is exactly 0 or 1 the band is Wilson's interval of the class's
    groups, but at the false-positive rate 1, where the curve ends at 1 by its definition. A mean
    over the classes has no band where a class has fewer than 5 groups: draws would lack classes.

    In a draw some images stand twice, which makes precision at a high recall greater. So the band
    of precisions is moved by how far the median of the draws lies from the curve.
    """
    roc, precision_recall = [pd.DataFrame(columns=ROC)], [pd.DataFrame(columns=PRECISION_RECALL)]
    enough = len(sample) > 0 and sample.smallest_class[1] >= FEWEST
    for name, (rates, precisions), drawn in _curves(sample, positive):
        groups = sample.group_count
        if name != MEAN:
            groups = sample.groups_of(sample.true == sample.classes.index(name))
        if not np.isnan(rates).all():
            band = _band(drawn[:, 0], groups if name != MEAN or enough else 0)
            band = band if name == MEAN else _with_ends(rates, band, groups)
            roc.append(_table(ROC, name, GRID, rates, *band))
        band = _band(drawn[:, 1], groups if name != MEAN or enough else 0, around=precisions)
        precision_recall.append(_table(PRECISION_RECALL, name, GRID, precisions, *band))
    return _joined(roc), _joined(precision_recall)


def reliability(sample: Sample, temperature: float | FloatArray | None) -> pd.DataFrame:
    """Give when, bin_low, bin_high, n, confidence (mean), accuracy, low, high in 15 equal bins.

    `when` is "before" and, where a temperature was fitted, "after" it; images may have one each,
    (N,). In an empty bin n is 0 and the rest NaN.
    """
    stated = {"before": sample.confidences}
    if temperature is not None:
        shares = calibrated(sample.probabilities, temperature)
        stated["after"] = shares.max(axis=1, initial=0.0)
    tables = [
        reliability_bins(each, sample.right, sample.groups, when) for when, each in stated.items()
    ]
    return pd.concat(tables, ignore_index=True)


def confidences(sample: Sample) -> pd.DataFrame:
    """Count right and wrong answers by their confidence: bin_low, bin_high, right, wrong."""
    bins = bins_of(sample.confidences, CONFIDENCE_BINS)
    right, wrong = (
        np.bincount(bins[rows], minlength=CONFIDENCE_BINS) for rows in (sample.right, ~sample.right)
    )
    return pd.DataFrame({**_edges(CONFIDENCE_BINS), "right": right, "wrong": wrong})


def _curves(sample: Sample, positive: str | None) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """Give both curves of each class, or their mean: (2, 101), and of all draws (B, 2, 101)."""
    ranked = {sample.classes[index]: ranking for index, ranking in sample.rankings.items()}
    if len(sample.classes) == 2 and positive is not None:
        ranked = {name: ranking for name, ranking in ranked.items() if name == positive}

    def each(weights: FloatArray) -> dict[str, FloatArray]:
        return {name: _both(ranking, weights) for name, ranking in ranked.items()}

    def mean(weights: FloatArray) -> dict[str, FloatArray]:
        """Average the classes' curves without those that a draw leaves undefined."""
        total, known = np.zeros((2, len(weights), 2, len(GRID)))
        for ranking in ranked.values():
            curves = _both(ranking, weights)
            total += np.where(np.isnan(curves), 0, curves)
            known += ~np.isnan(curves)
        return {MEAN: divide(total, known)}

    combine = mean if len(sample.classes) > MOST_CURVES else each
    if ranked:
        values, drawn = combine(np.ones((1, sample.group_count))), resample(sample, combine)
        yield from ((name, values[name][0], drawn[name]) for name in values)


def _both(ranking: Ranking, weights: FloatArray) -> FloatArray:
    """Give true-positive rates and precisions, (B, 2, 101)."""
    steps = ranking.steps(weights)
    return np.stack([steps.roc(GRID), steps.precision(GRID)], axis=1)


def _band(drawn: FloatArray, groups: int, around: FloatArray | None = None) -> Band:
    """Give the band of curves (B, 101), point by point; NaN as `interval` has it.

    With `around`, a curve (101,), it is moved by as much as the median of the draws must be.
    """
    found = percentiles(drawn, groups)
    if found is None:
        return (np.full(len(GRID), np.nan),) * 2
    if around is None:
        return found
    apart = around - np.median(drawn[~np.isnan(drawn).any(axis=1)], axis=0)
    low, high = (np.clip(bound + apart, 0, 1) for bound in found)
    return np.minimum(low, around), np.maximum(high, around)


def _with_ends(values: FloatArray, band: Band, groups: int) -> Band:
    """Give rates that are exactly 0 or 1, where no draw varies, the interval of their groups.

    The rate never falls along the curve, so that what bounds it from below at one place does so
    further on, and the other way round from above.
    """
    ends = (values == 0) | (values == 1)
    bounds = wilson(values, np.asarray(groups))
    low, high = (np.where(ends, *pair) for pair in zip(bounds, band, strict=True))
    low[-1], high[-1] = 1.0, 1.0
    return np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]


def reliability_bins(
    shares: FloatArray, hits: BoolArray, groups: IntArray, when: str
) -> pd.DataFrame:
    """Compare what probabilities (N,) say with whether it is so (N,), in 15 equal bins."""
    bins = bins_of(shares, ECE_BINS)
    n, confidence, right = (
        np.bincount(bins, weights=values, minlength=ECE_BINS) for values in (None, shares, hits)
    )
    rows = [bins == index for index in range(ECE_BINS)]
    bounds = [share_interval(groups[inside], hits[inside]) for inside in rows]
    return pd.DataFrame(
        {
            "when": when,
            **_edges(ECE_BINS),
            "n": n,
            "confidence": divide(confidence, n),
            "accuracy": divide(right, n),
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
        }
    )


def _edges(bins: int) -> dict[str, FloatArray]:
    edges = np.linspace(0, 1, bins + 1)
    return {"bin_low": edges[:-1], "bin_high": edges[1:]}


def _table(columns: list[str], *values: str | FloatArray) -> pd.DataFrame:
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join the tables of the classes; the first one is the heading alone."""
    return pd.concat(tables[1:], ignore_index=True) if len(tables) > 1 else tables[0]
