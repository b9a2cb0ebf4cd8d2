"""Give the intervals of 95 % that need no draws: of shares, and of scores made from them.

An image moves a score by its influence, the change of the score, to first order, when the image
counts a little more: of a share p of n images it is (hit - p) / n. The influences of all images
add up to 0. Added up by group and squared they are the variance of the score, with the group as
the unit of chance (linearisation).

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
Two intervals that are each so cautious are too cautious together: where they are combined, as in a
ratio or a difference, the number is at most `COMBINED` times as great.

`docs/coverage.md` holds the simulated coverage; `tests.benchmarks.coverage` writes it.
Source: Korn & Graubard 1998, Survey Methodology 24 (2), 193-201
Source: Dean & Pagano 2015, https://doi.org/10.1093/jssam/smv024
Source: Zou & Donner 2008 (MOVER), https://doi.org/10.1002/sim.3095
Source: Hampel 1974 (influence), https://doi.org/10.1080/01621459.1974.10482962
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from reports.arrays import LEVEL, UNDEFINED, FloatArray, IntArray, Interval, Numbers, divide
from reports.evaluation.ranking import placements, placements_by_class
from reports.evaluation.sample import Sample, weigh

if TYPE_CHECKING:
    from scipy.sparse import csr_array

UPPER = (1 + LEVEL) / 2
NORMAL = NormalDist().inv_cdf(UPPER)
COMBINED = 2.5
"""So many independent images a group counts as at most, where two intervals make a third one."""
ROUNDING = 1e-12
"""A variance so much smaller than that of independent images is none."""


def share_interval(
    groups: IntArray, hits: Numbers, units: Numbers | None = None, *, times: float = 1
) -> Interval:
    """Give the interval of the share that hits are of units, both added up over the images.

    NaN without units, and as `score_interval` has it.

    Args:
        groups: (N,), the group of each image.
        hits: (N,), what counts of each image, up to its units.
        units: (N,), what could count; 1 each by default. An image without units is left out.
        times: See `score_interval`.
    """
    sizes = np.ones(len(groups)) if units is None else units
    counted = np.flatnonzero(sizes)
    if not len(counted):
        return UNDEFINED
    total = sizes.sum()
    value = float(hits.sum() / total)
    influence, of = ((hits - value * sizes) / total)[counted], groups[counted]
    times = min(times, len(of) / len(np.unique(of)))  # no more than there are images
    return score_interval(value, influence, of, times=times)


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
    number = _number(value, influence, groups, classes, times)
    low, high = wilson(np.asarray(value), np.asarray(number))
    return float(low), float(high)


def share_bound(groups: IntArray, hits: Numbers) -> float:
    """Give what a share of the images is at most, with a confidence of 95 % on this one side.

    It is Clopper and Pearson's bound with the effective number of images, of which the module
    tells: with one image a group it is exact. NaN as `share_interval` has it.
    """
    from scipy.special import betaincinv

    if not len(groups):
        return math.nan
    value = float(hits.mean())
    number = _number(value, (hits - value) / len(hits), groups)
    return 1.0 if value == 1 else float(betaincinv(value * number + 1, (1 - value) * number, LEVEL))


def _number(
    value: float,
    influence: FloatArray,
    groups: IntArray,
    classes: IntArray | None = None,
    times: float = 1,
) -> float:
    """Give the effective number of images of a score; see `score_interval`."""
    if math.isnan(value) or (0 < value < 1 and (groups == groups[0]).all()):
        return math.nan
    of = np.zeros(len(groups), dtype=np.int64) if classes is None else classes
    held = np.bincount(np.unique(of * (groups.max() + 1) + groups) // (groups.max() + 1))
    unbiased = np.sqrt(held / np.maximum(held - 1, 1))  # of the variance, by class
    moved = np.bincount(groups, weights=influence * unbiased[of])
    there = held[held > 0]
    most = times * len(there) ** 2 / (1 / there).sum()
    freedom = max(1, there.sum() - len(there))
    given = (value, (moved**2).sum(), len(groups), freedom, most)
    return float(effective_number(*map(np.asarray, given)))


def effective_number(
    value: FloatArray,
    variance: FloatArray,
    images: FloatArray,
    freedom: FloatArray,
    most: FloatArray,
) -> FloatArray:
    """Give how many independent images would show each score as well; see the module.

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
    """Give Wilson's interval of shares 0..1; trials need not be whole, which SciPy asks for.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953
    """
    square = NORMAL**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)


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
    together = np.nan_to_num(np.maximum(0, divide(squares, np.outer(spreads, spreads))))
    np.fill_diagonal(together, 1)
    lows, highs = np.array(bounds).T
    low, high = (
        float(np.sqrt(d @ together @ d)) / len(values) for d in (values - lows, highs - values)
    )
    mean = float(values.mean())
    return mean - low, mean + high


# ---------------------------------------------------------------- of scores over the classes


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
    held, of = np.unique(sample.true, return_inverse=True)
    moved = recall_influence(sample)
    recalls = np.bincount(of, weights=sample.right) / np.bincount(of)
    found = [
        share_interval(sample.groups, sample.right & hits, hits)
        for hits in (of == index for index in range(len(held)))
    ]
    bounds = [(0.0, 1.0) if math.isnan(low) else (low, high) for low, high in found]
    low, high = mean_interval(recalls, bounds, csr_array((moved, (sample.groups, of))))
    one = score_interval(
        float(recalls.mean()), moved / len(held), sample.groups, of, times=math.inf
    )
    return min(low, one[0]), max(high, one[1])


def of_mcc(sample: Sample, value: float) -> Interval:
    """Give the interval of Matthews' correlation, -1..1; NaN where that is undefined.

    The correlation r of K classes is taken as the share of right answers of equally large classes,
    1 - (1 - r) (K - 1) / K.
    """
    if math.isnan(value):
        return UNDEFINED
    classes = len(sample.held)
    scale = 1 - 1 / classes if value > -1 / (classes - 1) else 1 / 2  # so that the share is 0..1
    share, moved = 1 - scale * (1 - value), scale * mcc_influence(sample)
    low, high = score_interval(share, moved, sample.groups, sample.true)
    return 1 - (1 - low) / scale, 1 - (1 - high) / scale


def of_auroc(sample: Sample, index: int, value: float) -> Interval:
    """Give the interval of the AUROC of one class; NaN where a side has fewer than 2 groups."""
    hits = sample.true == index
    if min(sample.groups_of(hits), sample.groups_of(~hits)) < 2:
        return UNDEFINED
    return score_interval(value, auroc_influence(sample, index), sample.groups, 1 * hits)


def of_mean_auroc(sample: Sample, value: float) -> Interval:
    """Give the interval of the AUROC of two classes, or of the mean of more.

    The mean of K is surer than one of two: the number of groups bounds it K / 2 times.
    """
    classes = sample.auroc_classes
    if len(classes) == 1:
        return of_auroc(sample, classes[0], value)
    if sample.group_count < 2 or not classes:
        return UNDEFINED
    moved = mean_auroc_influence(sample)
    return score_interval(value, moved, sample.groups, sample.true, times=len(classes) / 2)


# ---------------------------------------------------------------- influences, (N,)


def recall_influence(sample: Sample) -> FloatArray:
    """Give how much each image moves the recall of its own class; it moves no other."""
    counted = weigh(sample)
    counts = np.maximum(counted.there[0], 1)
    recalls = counted.right[0] / counts
    return np.asarray((sample.right - recalls[sample.true]) / counts[sample.true])


def macro_f1_influence(sample: Sample) -> FloatArray:
    """Give how much each image moves the mean F1 of the classes that are there or predicted."""
    f1, mentions = _f1(sample)
    of_true = (2 * sample.right - f1[sample.true]) / mentions[sample.true]
    of_predicted = f1[sample.predicted] / mentions[sample.predicted]
    return np.asarray((of_true - of_predicted) / (mentions > 0).sum())


def weighted_f1_influence(sample: Sample) -> FloatArray:
    """Give how much each image moves the mean F1 that is weighted by the classes' images."""
    f1, mentions = _f1(sample)
    shares = weigh(sample).there[0] / len(sample)
    per_mention = shares / np.maximum(mentions, 1)
    of_true = (2 * sample.right - f1[sample.true]) * per_mention[sample.true]
    of_predicted = f1[sample.predicted] * per_mention[sample.predicted]
    of_weight = (f1[sample.true] - shares @ f1) / len(sample)
    return np.asarray(of_true - of_predicted + of_weight)


def mcc_influence(sample: Sample) -> FloatArray:
    """Give how much each image moves Matthews' correlation (see `metrics.mcc`)."""
    counted, n, rights = weigh(sample), len(sample), sample.right.sum()
    there, given = counted.there[0], counted.given[0]
    together = rights * n - there @ given
    of_true, of_given = n**2 - there @ there, n**2 - given @ given
    spread = np.sqrt(of_true * of_given)
    gained = sample.right * n + rights - given[sample.true] - there[sample.predicted]
    widened = (n - there[sample.true]) / of_true + (n - given[sample.predicted]) / of_given
    return np.asarray((gained - together * widened) / spread)


def auroc_influence(sample: Sample, index: int) -> FloatArray:
    """Give how much each image moves the AUROC of one class against the rest.

    It is the share of the other side that is ranked as it should be beside the image. Added up by
    group this is the variance of DeLong, and for clusters that of Obuchowski.
    Source: DeLong et al. 1988, https://doi.org/10.2307/2531595
    Source: Obuchowski 1997, https://doi.org/10.2307/2533958
    """
    hits = sample.true == index
    placed = placements(sample.probabilities[:, index], hits)
    sizes = np.where(hits, hits.sum(), (~hits).sum())
    return np.asarray((placed - placed[hits].mean()) / sizes)


def mean_auroc_influence(sample: Sample) -> FloatArray:
    """Give how much each image moves the AUROC of two classes, or the mean of more."""
    classes = sample.auroc_classes
    if len(sample.classes) == 2:
        return auroc_influence(sample, classes[0])
    true = np.searchsorted(classes, sample.true)
    placed, _ = placements_by_class(sample.probabilities[:, classes], true)
    hits = true[:, np.newaxis] == np.arange(len(classes))
    own = (placed * hits).sum(axis=0) / hits.sum(axis=0)
    sizes = np.where(hits, hits.sum(axis=0), (~hits).sum(axis=0))
    return np.asarray(((placed - own) / sizes).mean(axis=1))


def _f1(sample: Sample) -> tuple[FloatArray, FloatArray]:
    """Give each class's F1, 0 where undefined, and how often it is true or predicted, (C,)."""
    counted = weigh(sample)
    mentions = (counted.there + counted.given)[0]
    return 2 * counted.right[0] / np.maximum(mentions, 1), mentions
