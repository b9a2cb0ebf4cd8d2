"""Compute how often what the probabilities say is so, as a smooth curve with its band.

Of two classes it is about one of them, the positive one if there is one; of more about the
likeliest class, whichever that is. The curve is a logistic regression on a restricted cubic spline
of the log odds, with 3 knots, from 100 groups of either side on with 5. Its band is of 95 % at each
place, with the group as the unit of chance (see `logistic`). There is none where fewer than 5
groups stand on a side, or where nothing could be fitted.
Source: Harrell 2015, Regression Modeling Strategies, section 2.4.5 (splines and their knots)
Source: Austin & Steyerberg 2014, https://doi.org/10.1002/sim.5941 (smooth calibration curves)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from reports.arrays import BoolArray, FloatArray
from reports.evaluation.calibration import calibrated
from reports.evaluation.curves import reliability_bins
from reports.evaluation.logistic import FEWEST_GROUPS, fit, log_odds
from reports.evaluation.sample import Sample

PLACES = 101
"""The curve is given at so many probabilities from the least to the greatest."""
MANY_GROUPS = 100
"""From so many groups of either side on the curve bends more often."""
FEW_KNOTS, MANY_KNOTS = (0.1, 0.5, 0.9), (0.05, 0.275, 0.5, 0.725, 0.95)
"""The shares of the log odds below each knot."""
CURVE = ["when", "class", "probability", "observed", "low", "high"]


@dataclass(frozen=True)
class Stated:
    """Hold what probabilities (N,) state, and whether it is so (N,)."""

    when: str
    name: str
    """The class that they are about; empty where it is the likeliest one."""
    shares: FloatArray
    odds: FloatArray
    hits: BoolArray


def calibration_curve(
    sample: Sample, positive: str | None, temperature: FloatArray | None
) -> pd.DataFrame:
    """Give when (before, after the temperatures), class, probability, observed, low, high."""
    tables = [_curve(stated, sample) for stated in _stated(sample, positive, temperature)]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=CURVE)


def class_reliability(
    sample: Sample, positive: str | None, temperature: FloatArray | None
) -> pd.DataFrame:
    """Give the bins of one of two classes: `class`, then the columns of `curves.reliability`.

    `confidence` is the mean probability of the class there, and `accuracy` its share. Without rows
    where there are more classes.
    """
    tables = [
        reliability_bins(stated.shares, stated.hits, sample.groups, stated.when).assign(
            **{"class": stated.name}
        )
        for stated in _stated(sample, positive, temperature)
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "class", table.pop("class"))
    return table[table["class"] != ""].reset_index(drop=True)


def spline(odds: FloatArray, knots: FloatArray) -> FloatArray:
    """Give the columns of a restricted cubic spline, (N, knots): 1, the odds, then one a bend.

    Beyond the outer knots it is a line. Knots that are not apart leave the line alone.
    """
    columns = [np.ones(len(odds)), odds]
    if (np.diff(knots) > 0).all():
        last, before, width = knots[-1], knots[-2], knots[-1] - knots[0]
        cubes = [np.maximum(odds - knot, 0) ** 3 / width**2 for knot in knots]
        for knot, cube in zip(knots[:-2], cubes, strict=False):
            of_last, of_before = (before - knot) / (last - before), (last - knot) / (last - before)
            columns.append(cube + of_last * cubes[-1] - of_before * cubes[-2])
    return np.column_stack(columns)


def _stated(
    sample: Sample, positive: str | None, temperature: FloatArray | None
) -> Iterator[Stated]:
    """Say what probabilities state as they are, and after the temperatures (N,) if there are."""
    tables = {"before": sample.probabilities}
    if temperature is not None:
        tables["after"] = calibrated(sample.probabilities, temperature)
    name, index, hits = "", 0, sample.right
    if len(sample.classes) == 2:
        name = positive or sorted(sample.classes)[1]
        index = sample.classes.index(name)
        hits = np.asarray(sample.true == index)
    for when, shares in tables.items():
        ranked = shares if name else -np.sort(-shares, axis=1)  # the likeliest class first
        yield Stated(when, name, ranked[:, index], log_odds(ranked, index), hits)


def _curve(stated: Stated, sample: Sample) -> pd.DataFrame:
    groups = min(sample.groups_of(side) for side in (stated.hits, ~stated.hits))
    if groups < FEWEST_GROUPS:
        return pd.DataFrame(columns=CURVE)
    knots = np.quantile(stated.odds, MANY_KNOTS if groups >= MANY_GROUPS else FEW_KNOTS)
    columns = spline(stated.odds, knots)
    fitted = fit(columns, stated.hits, sample.groups, np.ones(len(sample)))
    if fitted is None:
        return pd.DataFrame(columns=CURVE)
    lowest, highest = stated.odds.min(), stated.odds.max()
    places = np.linspace(expit(lowest), expit(highest), PLACES)
    odds = logit(places)
    odds[[0, -1]] = lowest, highest  # which may be too great to be read off a probability
    rows = spline(odds, knots)
    middle, half = rows @ fitted.coefficients, fitted.half_widths(rows)
    values = (places, *map(expit, (middle, middle - half, middle + half)))
    return pd.DataFrame(dict(zip(CURVE, (stated.when, stated.name, *values), strict=True)))
