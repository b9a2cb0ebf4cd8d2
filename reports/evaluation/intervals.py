"""Give the intervals of 95 % of a sample's scores that need no draws (see `wilson`).

These are the shares, F1, AUROC and Matthews' correlation r of K classes. That is taken as the
share of right answers of equally large classes, 1 - (1 - r) (K - 1) / K. Average precision, log
loss, Brier score and calibration error have theirs from the bootstrap.

With fewer than 5 groups in a class, macro F1 and Matthews' correlation have no interval: one group
more or less could make other scores of them, which no variance tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array

from reports.evaluation import influence
from reports.evaluation.bootstrap import UNDEFINED, Interval
from reports.evaluation.resampled import auroc_places
from reports.evaluation.sample import FEWEST, BoolArray, Sample
from reports.evaluation.wilson import mean_interval, score_interval, share_interval


def of_scores(sample: Sample, values: Mapping[str, float]) -> dict[str, Interval]:
    """Give the intervals of the values of a sample's scores; NaN where they are undefined."""
    groups = sample.groups
    return {
        "accuracy": share_interval(groups, sample.right),
        "balanced_accuracy": of_balanced_accuracy(sample),
        "macro_f1": of_macro_f1(sample, values["macro_f1"]),
        "weighted_f1": score_interval(
            values["weighted_f1"], influence.of_weighted_f1(sample), groups
        ),
        "mcc": of_mcc(sample, values["mcc"]),
        "auroc": of_mean_auroc(sample, values["auroc"]),
    }


def of_class(sample: Sample, place: int, auroc: float) -> dict[str, Interval]:
    """Give the intervals of the scores of one class; NaN where they are undefined."""
    hits, given, groups = sample.true == place, sample.predicted == place, sample.groups
    found = hits & given
    return {
        "precision": share_interval(groups, found, given),
        "recall": share_interval(groups, found, hits),
        "specificity": share_interval(groups, ~(hits | given), ~hits),
        "f1": share_interval(groups, 2 * found, hits + 1 * given),
        "auroc": of_auroc(sample, place, auroc),
    }


def of_balanced_accuracy(sample: Sample) -> Interval:
    """Give the interval of the mean recall of the classes that are there.

    The intervals of the recalls are combined; a class of one group, whose recall has none, counts
    with 0 to 1. That is too narrow for many classes of few groups, since a recall of 1 adds no
    distance above: of ten classes of six groups it held the truth in 88 %. The interval of the
    mean as one score, without its bound by the number of groups, is right there, but too narrow
    where single recalls are near 0 or 1. On each side the wider one counts.
    """
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


def of_macro_f1(sample: Sample, value: float) -> Interval:
    """Give the interval of the mean F1 of the classes; NaN where a class has too few groups."""
    if sample.smallest_class[1] < FEWEST:
        return UNDEFINED
    return score_interval(value, influence.of_macro_f1(sample), sample.groups, sample.true)


def of_mcc(sample: Sample, value: float) -> Interval:
    """Give the interval of Matthews' correlation, -1..1; NaN where a class has too few groups."""
    if math.isnan(value) or sample.smallest_class[1] < FEWEST:
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
    places = auroc_places(sample)
    if len(places) == 1:
        return of_auroc(sample, places[0], value)
    if sample.group_count < 2 or not places:
        return UNDEFINED
    moved = np.mean([influence.of_auroc(sample, place) for place in places], axis=0)
    return score_interval(value, moved, sample.groups, sample.true, times=len(places) / 2)


def _recall_interval(sample: Sample, hits: BoolArray) -> Interval:
    found = share_interval(sample.groups, sample.right & hits, hits)
    return (0.0, 1.0) if math.isnan(found[0]) else found
