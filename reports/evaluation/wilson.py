"""Give the interval of a score from 0 to 1 by how much each group moves it; nothing is drawn.

An image moves a score by its influence: of a share p of n images it is (hit - p) / n. The
influences of all images add up to 0. Added up by group and squared they are the variance of the
score, with the group as the unit of chance (linearisation).

A score s with the variance v is known as well as a share s of s (1 - s) / v independent images.
This effective number of images, the number divided by the design effect, goes into Wilson's
interval (Korn and Graubard 1998). Few groups make the variance itself uncertain: the number is
multiplied by the square of Student's t of images - 1 degrees of freedom over that of the groups'
(Dean and Pagano 2015). Images that are groups of their own have the plain interval of Wilson.

The effective number is at most the number of groups. Here this module is more cautious than its
sources: near 0 and 1 the variance that a few groups show is often far too small. Where no group
moves the score, as at exactly 0 and 1, the effective number is that of the groups. Of a score in
which K classes weigh the same, it is at most K squared over the sum of 1 / groups of the class,
which is the number of groups where all classes have equally many.

`docs/coverage.md` holds the simulated coverage; `tests.benchmarks.coverage` writes it.
Source: Korn & Graubard 1998, Survey Methodology 24 (2), 193-201
Source: Dean & Pagano 2015, https://doi.org/10.1093/jssam/smv024
Source: Zou & Donner 2008 (MOVER), https://doi.org/10.1002/sim.3095
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from reports.arrays import FloatArray, IntArray, Numbers, divide
from reports.evaluation.bootstrap import LEVEL, UNDEFINED, Interval

if TYPE_CHECKING:
    from scipy.sparse import csr_array

UPPER = (1 + LEVEL) / 2
NORMAL = NormalDist().inv_cdf(UPPER)
ROUNDING = 1e-12
"""A variance so much smaller than that of independent images is none."""


def share_interval(groups: IntArray, hits: Numbers, units: Numbers | None = None) -> Interval:
    """Give the interval of the share that hits are of units, both added up over the images.

    NaN without units, and as `score_interval` has it.

    Args:
        groups: (N,), the group of each image.
        hits: (N,), what counts of each image, up to its units.
        units: (N,), what could count; 1 each where not given. An image without units is left out.
    """
    sizes = np.ones(len(groups)) if units is None else units
    counted = np.flatnonzero(sizes)
    if not len(counted):
        return UNDEFINED
    total = sizes.sum()
    value = float(hits.sum() / total)
    return score_interval(value, ((hits - value * sizes) / total)[counted], groups[counted])


def score_interval(
    value: float,
    influence: FloatArray,
    groups: IntArray,
    classes: IntArray | None = None,
    *,
    times: float = 1,
) -> Interval:
    """Give the interval of a score 0..1 from the influence of each image.

    NaN where the score is, and where all images are of one group and it is neither 0 nor 1.

    Args:
        value: The score.
        influence: (N,), how much each image moves it.
        groups: (N,), the group of each.
        classes: (N,), the class of each, where all classes weigh the same in the score.
        times: How many times the number of groups the effective number of images is at most.
    """
    if math.isnan(value) or (0 < value < 1 and (groups == groups[0]).all()):
        return UNDEFINED
    places = np.zeros(len(groups), dtype=np.int64) if classes is None else classes
    held = np.bincount(np.unique(places * (groups.max() + 1) + groups) // (groups.max() + 1))
    unbiased = np.sqrt(held / np.maximum(held - 1, 1))  # of the variance, by class
    moved = np.bincount(groups, weights=influence * unbiased[places])
    there = held[held > 0]
    most = times * len(there) ** 2 / (1 / there).sum()
    freedom = max(1, there.sum() - len(there))
    number = effective_number(
        *map(np.asarray, (value, (moved**2).sum(), len(groups), freedom, most))
    )
    low, high = wilson(np.asarray(value), number)
    return float(low), float(high)


def mean_interval(values: FloatArray, bounds: Sequence[Interval], influence: csr_array) -> Interval:
    """Give the interval of the mean of K scores from the interval of each (MOVER).

    The squared distances of the bounds from their scores add up. Where groups move two scores
    together, twice the product of their distances does too, times the correlation; one below 0
    counts as none, so that the interval is never too narrow for it.

    Args:
        values: (K,), the scores.
        bounds: Their intervals.
        influence: (G, K), how much each group moves each score.
    """
    squares = np.asarray((influence.T @ influence).todense())
    spreads = np.sqrt(np.diag(squares))
    together = np.maximum(0, divide(squares, np.outer(spreads, spreads)))
    np.fill_diagonal(together, 1)
    low, high = (
        float(np.sqrt(d @ np.nan_to_num(together) @ d)) / len(values)
        for d in (values - np.array(bounds).T[0], np.array(bounds).T[1] - values)
    )
    mean = float(values.mean())
    return mean - low, mean + high


def effective_number(
    value: FloatArray,
    variance: FloatArray,
    images: FloatArray,
    freedom: FloatArray,
    most: FloatArray,
) -> FloatArray:
    """Give how many independent images would tell each score as well; see the module.

    Args:
        value: The scores, 0..1.
        variance: The variance of each, with the group as the unit of chance.
        images: How many images each is about.
        freedom: The degrees of freedom of each variance, at least 1.
        most: The greatest number, and the number where there is no variance.
    """
    from scipy.special import stdtrit

    others = np.maximum(images - 1, 1)
    independent = value * (1 - value) / others  # the variance, were each image its own group
    known = (independent > 0) & (variance > ROUNDING * independent)
    student = stdtrit(others, UPPER) / stdtrit(freedom, UPPER)
    number = divide(images * independent * student**2, np.where(known, variance, 0))
    return np.where(known, np.minimum(number, most), most)


def wilson(share: FloatArray, trials: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give Wilson's interval of shares 0..1; trials need not be whole.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953
    """
    square = NORMAL**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)
