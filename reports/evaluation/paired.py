"""Compare two models' answers to the same images: by how much they differ, and may it be chance?

The difference comes with the interval of the paired bootstrap over groups (see `bootstrap`): both
scores are computed on the same draws, so that what is hard about a group does not count as a
difference. Where every draw gives the same difference there is no interval. The sign test over
groups, McNemar's test with a group as the unit, still says whether it may be chance.

The randomisation test says how often luck alone gives such a lead: of two models that are equally
good it is luck which one gave which of the two answers to a group, so that swapping them group by
group gives leads that were as likely. It holds its level with few groups and far out in the tail,
where an interval from 2,000 draws does not.
Source: McNemar 1947, https://doi.org/10.1007/BF02295996
Source: Yeh 2000, https://aclanthology.org/C00-2137/ (randomisation test of two models' answers)
Source: Phipson & Smyth 2010, https://doi.org/10.2202/1544-6115.1585 (its p from random swaps)
Source: Besag & Clifford 1991, https://doi.org/10.1093/biomet/78.2.301 (stopping early)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.arrays import FloatArray
from reports.evaluation.bootstrap import CELLS, DRAWS, SEED, interval, resample
from reports.evaluation.metrics import Metric
from reports.evaluation.sample import REPEAT, Sample, classes_of, evaluated, read_sample, weigh
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few

LEAST_SWAPS, MOST_SWAPS = 2_000, 200_000
SWAPS = 20_000
"""So many random swaps a p value is made from."""
SWAPS_BELOW = 20
"""So many random swaps at least reach a lead that luck gives just as often as allowed."""
AT_ONCE = 1_000
TINY = 1e-12
Leads = Callable[[FloatArray], FloatArray]
"""Gives the other's lead, (B,), where the answers to some groups are swapped, (B, groups)."""


class Difference(NamedTuple):
    """Hold the other model's score less the first's, with its interval."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    not_better: float = math.nan
    """The share of the draws in which the other is not better, 0..1."""

    def gain(self, metric: Metric) -> Difference:
        """Give how much better the other is: of a metric of which less is better, turned about."""
        if metric.higher_is_better:
            return self
        return Difference(-self.value, -self.high, -self.low, self.not_better)


class Signs(NamedTuple):
    """Hold how many groups the other model answered better and worse than the first."""

    better: int
    worse: int
    p: float
    """How often chance alone gives so uneven counts or more so, 0..1; 1 where no group differs."""


def read_pair(first: pd.DataFrame, other: pd.DataFrame) -> tuple[Sample, Sample]:
    """Read the test parts of two models' predictions.csv, the images in the same order.

    Raises:
        InputError: the images, their labels, groups or classes differ.
    """
    one, two = (
        evaluated(table).sort_values("path", ignore_index=True, kind="stable")
        for table in (first, other)
    )
    differing = sorted(set(one["path"]) ^ set(two["path"]))
    if differing or len(one) != len(two):
        got = f"{len(one)} and {len(two)}, {len(differing)} of them in one table only"
        names = first_few(f"'{path}'" for path in differing)
        raise _unlike("hold the same images", f"{got}: {names}" if names else got)
    for column in ("label", "group"):
        unlike = one.loc[(one[column] != two[column]).to_numpy(), "path"]
        if len(unlike):
            got = f"another one for '{unlike.iloc[0]}' ({len(unlike)} in all)"
            raise _unlike(f"give each image the same {column}", got)
    classes = classes_of(one)
    if sorted(classes) != sorted(classes_of(two)):
        raise _unlike("hold the same classes", "other columns p_<class>")
    return read_sample(one, classes), read_sample(two, classes)


def on_common_images(
    first: pd.DataFrame, other: pd.DataFrame, then: pd.DataFrame, now: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut two predictions.csv to the test images that both hold, of folds in the first repeat.

    An image is known by its bytes, which the manifests `then` of the first and `now` of the other
    tell; its path, label and group are those of the other.
    """
    one, two = (
        _once(table).merge(manifest[["path", "sha256"]], on="path")
        for table, manifest in ((first, then), (other, now))
    )
    known = ["path", "label", "group"]
    one = one.drop(columns=known).merge(two[["sha256", *known]], on="sha256")
    return one, two[two["sha256"].isin(one["sha256"])]


def _once(predictions: pd.DataFrame) -> pd.DataFrame:
    rows = evaluated(predictions)
    return rows[rows[REPEAT] == 1] if REPEAT in rows else rows


def difference(
    first: Sample, other: Sample, metric: Metric, *, draws: int = DRAWS, seed: int = SEED
) -> Difference:
    """Give the other's score less the first's, of samples of the same images in one order.

    Both are computed on the same draws of groups. A draw in which either is undefined is left
    out. All is NaN where the score itself is undefined.
    """
    if not len(first):
        return Difference()

    def both(weights: FloatArray | None = None) -> dict[str, FloatArray]:
        one, two = (metric.compute(weigh(sample, weights)) for sample in (first, other))
        return {"difference": two - one}

    value = float(both()["difference"][0])
    drawn = resample(first, both, draws, seed)["difference"]
    gains = (drawn if metric.higher_is_better else -drawn)[~np.isnan(drawn)]
    known = len(gains) and not math.isnan(value)
    not_better = float(np.mean(gains <= 0)) if known else math.nan
    return Difference(value, *interval(drawn, value, first.group_count), not_better)


def sign_test(first: Sample, other: Sample, metric: Metric | None = None) -> Signs:
    """Count the groups that either model answers better; the test is exact and two-sided.

    A group counts once, however many images it holds; groups answered equally well say nothing.
    Of a metric that is a mean over images its own values count, else right answers do.
    """
    from scipy.stats import binomtest

    if metric is None or metric.of_image is None:
        gained = _by_group(first, other.right.astype(np.float64) - first.right)
    else:
        gained = _gains(first, other, metric)
    better, worse = int((gained > TINY).sum()), int((gained < -TINY).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return Signs(better, worse, p)


def luck(
    first: Sample, other: Sample, metric: Metric, *, allowed: float, seed: int = SEED
) -> float:
    """Give how often luck alone gives the other at least the lead that it has, 0..1, one-sided.

    The metric is one of right and given answers, or a mean over the images. Where luck is clearly
    more often than `allowed` (0..1) the number is rough. It is never less than about 1 in
    MOST_SWAPS, and NaN where the metric is undefined.
    """
    swaps = min(MOST_SWAPS, max(LEAST_SWAPS, math.ceil(SWAPS_BELOW / allowed)))
    return _luck(first, other, metric, swaps, 2 * allowed * swaps, seed)


def p_value(first: Sample, other: Sample, metric: Metric, *, seed: int = SEED) -> float:
    """Give how often luck alone gives as great a difference, either way, 0..1.

    It is twice the chance of the lead that the better one has, and at most 1. Swapping every group
    turns a lead about, so that leads are as likely either way and the two-sided test is the same.
    It is never less than 2 in 20,001, and NaN where the metric is undefined.
    """
    better, worse = first, other
    values = [metric.compute(weigh(sample)) for sample in (first, other)]
    if (values[1] > values[0] if metric.higher_is_better else values[1] < values[0]).all():
        better, worse = other, first
    return min(1.0, 2 * _luck(worse, better, metric, SWAPS, math.inf, seed))


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p values for being several; those that are NaN stay so and count for nothing.

    The smallest of m is taken times m, the next times m - 1, and so on; none becomes smaller than
    the one before it, or greater than 1.
    Source: Holm 1979, https://www.jstor.org/stable/4615733
    """
    known = sorted((value, place) for place, value in enumerate(values) if not math.isnan(value))
    adjusted, least = [math.nan] * len(values), 0.0
    for number, (value, place) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - number)))
        adjusted[place] = least
    return adjusted


def _luck(
    first: Sample, other: Sample, metric: Metric, swaps: int, enough: float, seed: int
) -> float:
    """Swap answers so many times, or until the lead was reached more than `enough` times."""
    if not len(first):
        return math.nan
    groups, leads = (_leads_of_means if metric.of_image else _leads)(first, other, metric)
    lead = leads(np.zeros((1, groups)))[0]
    if math.isnan(lead):
        return math.nan
    random = np.random.default_rng(seed)
    step = max(1, min(AT_ONCE, CELLS // max(1, groups)))
    reached = done = 0
    while done < swaps and reached <= enough:
        rows = min(step, swaps - done)
        swapped = random.integers(2, size=(rows, groups), dtype=np.int8).astype(np.float64)
        reached += int((leads(swapped) >= lead - TINY).sum())
        done += rows
    return (1 + reached) / (1 + done)


def _leads(first: Sample, other: Sample, metric: Metric) -> tuple[int, Leads]:
    """Say how many groups are answered differently, and what swapping these makes of the lead."""
    of_first, of_other = weigh(first), weigh(other)
    moved = _answers(other) - _answers(first)
    moved = moved[:, moved.any(axis=(0, 2))]  # swapping equal answers changes nothing

    def leads(swapped: FloatArray) -> FloatArray:
        right, given = swapped @ moved
        fresh = replace(of_first, right=of_first.right + right, given=of_first.given + given)
        old = replace(of_other, right=of_other.right - right, given=of_other.given - given)
        return metric.compute(old) - metric.compute(fresh)

    return moved.shape[1], leads


def _leads_of_means(first: Sample, other: Sample, metric: Metric) -> tuple[int, Leads]:
    """Say the same of a metric that is a mean over the images."""
    gains = _gains(first, other, metric) / len(first)
    gains = gains[gains != 0]
    return len(gains), lambda swapped: gains.sum() - 2 * (swapped @ gains)


def _gains(first: Sample, other: Sample, metric: Metric) -> FloatArray:
    """Add up by group how much better the other's values are, of a mean over images, (G,)."""
    if metric.of_image is None or not len(first):
        return np.zeros(first.group_count)
    apart = metric.of_image(other) - metric.of_image(first)
    return _by_group(first, apart if metric.higher_is_better else -apart)


def _by_group(sample: Sample, values: FloatArray) -> FloatArray:
    return np.bincount(sample.groups, weights=values).astype(np.float64)


def _answers(sample: Sample) -> FloatArray:
    """Count right and given answers, (2, G, C), by group and class."""
    counts = np.zeros((2, sample.group_count, len(sample.classes)))
    np.add.at(counts[0], (sample.groups, sample.true), sample.right)
    np.add.at(counts[1], (sample.groups, sample.predicted), 1)
    return counts


def _unlike(rule: str, got: str) -> InputError:
    return InputError("Both tables", rule, got, "Predict the same split with both models.")
