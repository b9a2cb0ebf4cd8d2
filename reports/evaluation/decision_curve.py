"""Compute the net benefit of acting on the images that are taken for the positive class.

At a threshold t a false alarm counts t / (1 - t) as much as a find: who acts from a probability of
10 % on takes nine false alarms for one find. The net benefit is the share of all images that are
found, less the share of false alarms times that weight. It is compared with acting on every image
and on none, whose net benefit is 0. Probabilities are those of the operating point.

The interval combines those of the two shares (see `intervals`), so that it also holds where no
false alarm is left.
Source: Vickers & Elkin 2006, https://doi.org/10.1177/0272989X06295361
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from reports.arrays import UNDEFINED, BoolArray, FloatArray, Interval
from reports.evaluation.calibration import calibrated
from reports.evaluation.intervals import COMBINED, mean_interval, share_interval
from reports.evaluation.sample import Sample

THRESHOLDS = np.linspace(0.01, 0.99, 99)
COLUMNS = ["class", "threshold", "net_benefit", "low", "high", "treat_all"]


def net_benefit(
    sample: Sample, positive: str | None, temperatures: FloatArray | None
) -> pd.DataFrame:
    """Give class, threshold, net_benefit with low and high, and treat_all; temperatures are (N,).

    Without rows where there is no positive class or no image.
    """
    if positive is None or not len(sample):
        return pd.DataFrame(columns=COLUMNS)
    index = sample.classes.index(positive)
    hits = np.asarray(sample.true == index)
    shares = calibrated(sample.probabilities, 1.0 if temperatures is None else temperatures)
    rows = [_row(sample, shares[:, index] >= each, hits, each) for each in THRESHOLDS]
    return pd.DataFrame([(positive, *row) for row in rows], columns=COLUMNS)


def _row(
    sample: Sample, flagged: BoolArray, hits: BoolArray, threshold: float
) -> tuple[float, float, float, float, float]:
    """Give the threshold, the net benefit there, its bounds, and that of acting on every image."""
    weight = threshold / (1 - threshold)
    value = float((flagged & hits).mean() - weight * (flagged & ~hits).mean())
    treat_all = float(hits.mean() - weight * (~hits).mean())
    return threshold, value, *benefit_interval(sample, flagged, hits, weight), treat_all


def benefit_interval(
    sample: Sample, flagged: BoolArray, hits: BoolArray, weight: float
) -> Interval:
    """Give the interval of a net benefit; NaN with one group.

    Args:
        sample: Whose groups count.
        flagged: (N,), which images are acted on.
        hits: (N,), which are of the positive class.
        weight: What a false alarm counts.
    """
    found, alarms = flagged & hits, flagged & ~hits
    of_found, of_alarms = (
        share_interval(sample.groups, each, times=COMBINED) for each in (found, alarms)
    )
    if sample.group_count < 2 or math.isnan(of_found[0] + of_alarms[0]):
        return UNDEFINED
    bounds = [of_found, (-weight * of_alarms[1], -weight * of_alarms[0])]
    moved = np.concatenate([found - found.mean(), -weight * (alarms - alarms.mean())])
    place = np.tile(sample.groups, 2), np.repeat([0, 1], len(sample))
    values = np.array([found.mean(), -weight * alarms.mean()])
    low, high = mean_interval(values, bounds, csr_array((moved, place)))
    return 2 * low, 2 * high  # the sum of the two, not their mean
