"""Give the intervals of 95 % of scores that are no plain share and need no draws (see `wilson`).

Matthews' correlation r of K classes is taken as the share of right answers of equally large
classes, 1 - (1 - r) (K - 1) / K. Of few groups it has no interval (see `metrics.FEWEST`), nor has
macro F1: one group more or less could make another score of it, which no variance tells.
"""

from __future__ import annotations

import math

import numpy as np

from reports.arrays import BoolArray
from reports.evaluation import influence
from reports.evaluation.bootstrap import UNDEFINED, Interval
from reports.evaluation.sample import Sample
from reports.evaluation.wilson import mean_interval, score_interval, share_interval


def of_balanced_accuracy(sample: Sample) -> Interval:
    """Give the interval of the mean recall of the classes that are there.

    The intervals of the recalls are combined; a class of one group, whose recall has none, counts
    with 0 to 1. That is too narrow for many classes of few groups, since a recall of 1 adds no
    distance above: of ten classes of six groups it held the truth in 88 %. The interval of the
    mean as one score, without its bound by the number of groups, is right there, but too narrow
    where single recalls are near 0 or 1. On each side the wider one counts.
    """
    from scipy.sparse import csr_array

    if sample.group_count < 2:
        return share_interval(sample.groups, sample.right)
    places, of = np.unique(sample.true, return_inverse=True)
    moved = influence.of_recall(sample)
    recalls = np.bincount(of, weights=sample.right) / np.bincount(of)
    bounds = [_recall_interval(sample, of == place) for place in range(len(places))]
    low, high = mean_interval(recalls, bounds, csr_array((moved, (sample.groups, of))))
    one = score_interval(
        float(recalls.mean()), moved / len(places), sample.groups, of, times=math.inf
    )
    return min(low, one[0]), max(high, one[1])


def of_mcc(sample: Sample, value: float) -> Interval:
    """Give the interval of Matthews' correlation, -1..1; NaN where that is undefined."""
    if math.isnan(value):
        return UNDEFINED
    classes = len(np.unique(sample.true))
    scale = 1 - 1 / classes if value > -1 / (classes - 1) else 1 / 2  # so that the share is 0..1
    share, moved = 1 - scale * (1 - value), scale * influence.of_mcc(sample)
    low, high = score_interval(share, moved, sample.groups, sample.true)
    return 1 - (1 - low) / scale, 1 - (1 - high) / scale


def of_auroc(sample: Sample, place: int, value: float) -> Interval:
    """Give the interval of the AUROC of one class; NaN where a side has fewer than 2 groups."""
    hits = sample.true == place
    if min(sample.groups_of(hits), sample.groups_of(~hits)) < 2:
        return UNDEFINED
    return score_interval(value, influence.of_auroc(sample, place), sample.groups, 1 * hits)


def of_mean_auroc(sample: Sample, value: float) -> Interval:
    """Give the interval of the AUROC of two classes, or of the mean of more.

    The mean of K is surer than one of two: the number of groups bounds it K / 2 times.
    """
    places = sample.auroc_classes
    if len(places) == 1:
        return of_auroc(sample, places[0], value)
    if sample.group_count < 2 or not places:
        return UNDEFINED
    moved = np.mean([influence.of_auroc(sample, place) for place in places], axis=0)
    return score_interval(value, moved, sample.groups, sample.true, times=len(places) / 2)


def _recall_interval(sample: Sample, hits: BoolArray) -> Interval:
    found = share_interval(sample.groups, sample.right & hits, hits)
    return (0.0, 1.0) if math.isnan(found[0]) else found
