"""Compare two tables of predictions of the same pictures: by how much, and may it be chance?

The difference comes with the interval of the paired bootstrap over groups (see `bootstrap`): both
figures are computed on the same draws, so that what is hard about a group does not count as a
difference. Where every draw gives the same difference there is no interval; the sign test over
groups, McNemar's test with a group as the unit, still tells whether it may be chance.

How often luck alone gives such a lead is told by the randomisation test: of two models that are
equally good it is luck which one gave which of the two answers to a group, so that swapping them
group by group gives leads that were as likely. It holds its level with few groups and far out in
the tail, where an interval from 2,000 draws does not.
Source: McNemar 1947, https://doi.org/10.1007/BF02295996
Source: Yeh 2000, https://aclanthology.org/C00-2137/ (randomisation test of two models' answers)
Source: Phipson & Smyth 2010, https://doi.org/10.2202/1544-6115.1585 (its p from random swaps)
Source: Besag & Clifford 1991, https://doi.org/10.1093/biomet/78.2.301 (stopping early)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from reports.arrays import FloatArray
from reports.evaluation.bootstrap import CELLS, DRAWS, SEED, UNDEFINED, interval, resample
from reports.evaluation.metrics import METRICS, select
from reports.evaluation.sample import Sample, classes_of, evaluated, read_sample
from reports.evaluation.settings import ComparedBy
from reports.evaluation.weighted import weigh
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few

LEAST_SWAPS, MOST_SWAPS = 2_000, 200_000
SWAPS_BELOW = 20
"""So many random swaps at least reach a lead that luck gives just as often as allowed."""
AT_ONCE = 1_000
TINY = 1e-12


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
        InputError: the pictures, their classes or groups differ, or there is no such metric.
    """
    if not select([metric]):
        names = ", ".join(each.name for each in METRICS)
        raise InputError("metric", f"be one of {names}", f"'{metric}'")
    return difference_of(*_same_pictures(a, b, split), metric, draws=draws, seed=seed)


def difference_of(
    one: Sample, other: Sample, metric: str, *, draws: int = DRAWS, seed: int = SEED
) -> Difference:
    """Give what `paired_difference` gives, of two samples of the same pictures in one order."""
    (compared,) = select([metric])
    if not len(one):
        return Difference(math.nan, *UNDEFINED, math.nan)

    def both(weights: FloatArray | None = None) -> dict[str, FloatArray]:
        first, second = (compared.compute(weigh(sample, weights)) for sample in (one, other))
        return {"difference": second - first}

    value = float(both()["difference"][0])
    drawn = resample(one, both, draws, seed)["difference"]
    sign = 1 if compared.higher_is_better else -1
    known = drawn[~np.isnan(drawn)]
    worse = float(np.mean(sign * known <= 0)) if len(known) and not math.isnan(value) else math.nan
    return Difference(value, *interval(drawn, value, one.group_count), worse)


def sign_test(a: pd.DataFrame, b: pd.DataFrame, *, split: str = "test") -> Signs:
    """Count the groups that either table answers better, and test the counts, exact and two-sided.

    A group counts once, however many pictures it holds; groups answered equally well say nothing.

    Raises:
        InputError: the pictures, their classes or groups differ.
    """
    one, other = _same_pictures(a, b, split)
    gained = np.zeros(one.group_count)
    np.add.at(gained, one.groups, other.right.astype(float) - one.right)
    better, worse = int((gained > 0).sum()), int((gained < 0).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return Signs(better, worse, p)


def luck(a: pd.DataFrame, b: pd.DataFrame, metric: ComparedBy, *, allowed: float) -> float:
    """Give how often luck alone gives b at least the lead over a that it has, 0..1.

    One-sided. Where it is clearly more often than `allowed` (0..1), it is a rough figure. Never
    less than about 1 in MOST_SWAPS; NaN where the metric is undefined.

    Raises:
        InputError: the pictures, their classes or groups differ.
    """
    one, other = _same_pictures(a, b, "test")
    return luck_of(one, other, metric, allowed=allowed)


def luck_of(
    one: Sample, other: Sample, metric: ComparedBy, *, allowed: float, seed: int = SEED
) -> float:
    """Give what `luck` gives, of two samples that hold the same pictures in the same order."""
    (compared,) = select([metric])
    of_one, of_other = weigh(one), weigh(other)
    moved = _answers(other) - _answers(one)
    moved = moved[:, moved.any(axis=(0, 2))]  # swapping equal answers changes nothing

    def leads(swapped: FloatArray) -> FloatArray:
        """Give other's figure less one's, (B,), with some groups' answers swapped, (B, moved)."""
        right, given = swapped @ moved
        fresh = replace(of_one, right=of_one.right + right, given=of_one.given + given)
        old = replace(of_other, right=of_other.right - right, given=of_other.given - given)
        return compared.compute(old) - compared.compute(fresh)

    groups = moved.shape[1]
    lead = leads(np.zeros((1, groups)))[0] if len(one) else math.nan
    if math.isnan(lead):
        return math.nan
    random = np.random.default_rng(seed)
    swaps = min(MOST_SWAPS, max(LEAST_SWAPS, math.ceil(SWAPS_BELOW / allowed)))
    step = max(1, min(AT_ONCE, CELLS // max(1, groups)))
    reached = done = 0
    while done < swaps and reached <= 2 * allowed * swaps:  # else luck is clearly above it
        rows = min(step, swaps - done)
        swapped = random.integers(2, size=(rows, groups), dtype=np.int8).astype(np.float64)
        reached += int((leads(swapped) >= lead - TINY).sum())
        done += rows
    return (1 + reached) / (1 + done)


def _answers(sample: Sample) -> FloatArray:
    """Count right and given answers, (2, G, C), by group and class."""
    counts = np.zeros((2, sample.group_count, len(sample.classes)))
    np.add.at(counts[0], (sample.groups[sample.right], sample.true[sample.right]), 1)
    np.add.at(counts[1], (sample.groups, sample.predicted), 1)
    return counts


def _same_pictures(a: pd.DataFrame, b: pd.DataFrame, split: str) -> tuple[Sample, Sample]:
    """Read one part of two tables, the pictures in the same order."""
    one, other = (
        evaluated(table, split=split).sort_values("path", ignore_index=True) for table in (a, b)
    )
    _require_same(one, other)
    classes = classes_of(one)
    return read_sample(one, classes, split=split), read_sample(other, classes, split=split)


def _require_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Raise an InputError where two tables are not about the same pictures."""
    differing = sorted(set(one["path"]) ^ set(other["path"]))
    if differing or len(one) != len(other):
        names = first_few(f"'{path}'" for path in differing)
        got = f"{len(one)} and {len(other)}, {len(differing)} of them in one table only"
        raise _unlike("hold the same pictures", f"{got}: {names}" if names else got)
    for column in ("label", "group"):
        unlike = one.loc[(one[column] != other[column]).to_numpy(), "path"]
        if len(unlike):
            got = f"another one for '{unlike.iloc[0]}' ({len(unlike)} in all)"
            raise _unlike(f"give each picture the same {column}", got)
    if sorted(classes_of(one)) != sorted(classes_of(other)):
        raise _unlike("hold the same classes", "other columns p_<class>")


def _unlike(rule: str, got: str) -> InputError:
    return InputError("Both tables", rule, got, "Predict the same split with both models.")
