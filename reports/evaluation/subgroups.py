"""Score subgroups of the test images, such as skin tones, sites or ages, and how far they differ.

Each figure of a subgroup is that of `evaluate` on its images alone. The unit of chance is the group
throughout. A figure of fewer than 5 groups is left out, since it would say more of these groups
than of the subgroup. Mean recall and AUROC need as many groups of every class that is there.

The widest gap of an attribute is the greatest figure of a subgroup less the smallest. Only
subgroups that hold every class are compared by mean recall and AUROC. Its interval comes from the
intervals of the two figures (MOVER), less what groups with images in both subgroups do to both
alike. The greatest of several differences is above 0 by chance alone. So the lower bound takes the
studentised range of as many subgroups in place of the normal distribution, as Tukey's comparison
of all pairs does. The upper bound is the greatest of all pairs'.

`docs/subgroups.md` holds the simulated coverage; `tests.benchmarks.gaps` writes it.
Source: Zou & Donner 2008 (MOVER), https://doi.org/10.1002/sim.3095
Source: Tukey 1949, https://doi.org/10.2307/3001913 (all pairs)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.arrays import UNDEFINED, BoolArray, FloatArray, IntArray, Interval, divide
from reports.evaluation import intervals
from reports.evaluation.intervals import COMBINED, NORMAL, score_interval
from reports.evaluation.metrics import CLASS_METRICS, FEWEST, Metric, select
from reports.evaluation.sample import Sample, classes_of, evaluated, group_codes, read_sample, weigh
from resnext.contracts.formatting import plural

NOT_STATED = "not stated"
TOO_FEW, LACKS_CLASSES, NOT_COMPARED = (
    "too few groups",
    "lacks classes",
    "not compared",
)
BANDS = 3
"""Numbers of more values than `MOST_VALUES` are cut into so many bands."""
MOST_VALUES = 6
MOST_OF_A_NUMBER = 1e15
"""What is longer is an id: a number holds no more digits."""
MOST_SUBGROUPS = 10
"""Of an attribute: the rest of its values is one subgroup."""
TUKEY = (1.960, 2.344, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164, 3.219, 3.268)
"""The studentised range at 95 %, divided by the square root of 2, of 2 to 12 subgroups."""
ACCURACY, BALANCED, AUROC = select(["accuracy", "balanced_accuracy", "auroc"])
(RECALL,) = (metric for metric in CLASS_METRICS if metric.name == "recall")


@dataclass(frozen=True)
class Figure:
    """Hold one figure that subgroups are compared by."""

    metric: Metric
    index: int = -1
    """The class, of a recall."""

    def groups(self, sample: Sample) -> int:
        """Count the groups that it is about: of a figure over classes, those of the smallest."""
        if self.index >= 0:
            return sample.groups_of(sample.true == self.index)
        return sample.group_count if self.metric is ACCURACY else sample.smallest_class[1]


class Measured(NamedTuple):
    """Hold a figure of a subgroup; `moved` says how much each group of all moves it, (G,)."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    moved: FloatArray = np.zeros(0)
    note: str = ""
    compared: Interval = UNDEFINED
    """The interval that gaps are made from: see `intervals.COMBINED`."""


class Subgroup:
    """Hold the images of one subgroup, which has one at least, among all that were tested."""

    def __init__(self, rows: pd.DataFrame, classes: Sequence[str], codes: IntArray) -> None:
        self.sample = read_sample(rows, classes)
        self.counted, self.codes = weigh(self.sample), codes
        self.images = rows["path"].nunique()

    def measure(self, figure: Figure, everything: int, held: int) -> Measured:
        """Measure a figure; all images tested are of so many groups, and hold so many classes."""
        sample, metric = self.sample, figure.metric
        if figure.groups(sample) < FEWEST:
            return Measured(note=TOO_FEW)
        values = metric.compute(self.counted)[0]
        value = float(values if figure.index < 0 else values[figure.index])
        if math.isnan(value):
            return Measured(note=LACKS_CLASSES)
        influence = self._influence(figure)
        shown, compared = (self._bounds(figure, value, influence, n) for n in (1, COMBINED))
        if metric is BALANCED:
            shown = intervals.of_balanced_accuracy(sample)
        moved = np.bincount(self.codes, influence, everything).astype(np.float64)
        whole = metric in (ACCURACY, RECALL) or len(sample.held) == held
        return Measured(value, *shown, moved, "" if whole else LACKS_CLASSES, compared)

    def _bounds(self, figure: Figure, value: float, influence: FloatArray, most: float) -> Interval:
        """Give an interval in which a group counts as so many independent images at most.

        With 1 it is that of the figure, which is more cautious than two of them together need.
        """
        sample = self.sample
        rows = np.flatnonzero((figure.index < 0) | (sample.true == figure.index))
        groups, alone = sample.groups[rows], figure.metric in (ACCURACY, RECALL)
        times = min(most, len(rows) / len(np.unique(groups)))
        times *= max(1, len(sample.auroc_classes) / 2) if figure.metric is AUROC else 1
        of = None if alone else sample.true
        return score_interval(value, influence[rows], groups, of, times=times)

    @cached_property
    def _recalls(self) -> FloatArray:
        return intervals.recall_influence(self.sample)

    def _influence(self, figure: Figure) -> FloatArray:
        """Give how much each image moves a figure, (N,)."""
        if figure.metric is ACCURACY:
            return np.asarray((self.sample.right - self.sample.right.mean()) / len(self.sample))
        if figure.metric is AUROC:
            return intervals.mean_auroc_influence(self.sample)
        if figure.metric is BALANCED:
            return np.asarray(self._recalls / len(self.sample.held))
        return np.where(self.sample.true == figure.index, self._recalls, 0.0)


# ---------------------------------------------------------------- the tables


class Subgroups(NamedTuple):
    """Hold subgroups.csv, subgroup_gaps.csv, and what must be said of the attributes."""

    figures: pd.DataFrame
    gaps: pd.DataFrame
    notes: list[str]


def score_subgroups(predictions: pd.DataFrame, attributes: pd.DataFrame) -> Subgroups:
    """Score each subgroup of the test images, and find the widest gap of each attribute.

    `attributes` holds path, attribute and subgroup as text, empty where it is not stated. Columns
    of `figures` are those of `FIGURES`, of `gaps` those of `GAPS`; class is that of a recall. What
    is undefined or of too few groups is NaN.
    """
    rows, classes = evaluated(predictions), classes_of(predictions)
    codes, found, gaps, notes = group_codes(rows), [], [], []
    figures = [Figure(ACCURACY), Figure(BALANCED), Figure(AUROC)]
    figures += [Figure(RECALL, index) for index in range(len(classes))]
    for name in attributes["attribute"].unique():
        mine = attributes[attributes["attribute"] == name]
        stated = rows["path"].map(dict(zip(mine["path"], mine["subgroup"], strict=True)))
        parts, note = cut(stated.fillna("").astype("str"), codes)
        notes += [f"{name}: {note}."] if note else []
        measured = _measure(rows, classes, codes, parts, figures)
        for figure, values in measured:
            facts = {"attribute": name, "figure": figure.metric.name}
            facts["class"] = classes[figure.index] if figure.index >= 0 else ""
            gaps.append(facts | widest_gap({part: each for (part, *_), each in values}))
            found += [
                {**facts, "subgroup": part, "images": images, "groups": groups}
                | {"value": each.value, "low": each.low, "high": each.high, "note": each.note}
                for (part, images, groups), each in values
            ]
    return Subgroups(pd.DataFrame(found, columns=FIGURES), pd.DataFrame(gaps, columns=GAPS), notes)


FIGURES = ["attribute", "subgroup", "figure", "class", "value", "low", "high", "images", "groups"]
FIGURES += ["note"]
GAPS = ["attribute", "figure", "class", "gap", "low", "high", "highest", "lowest", "note"]
Part = tuple[str, int, int]
"""A subgroup's name, images and groups."""


def _measure(
    rows: pd.DataFrame,
    classes: Sequence[str],
    codes: IntArray,
    parts: Mapping[str, BoolArray],
    figures: Sequence[Figure],
) -> Iterator[tuple[Figure, list[tuple[Part, Measured]]]]:
    """Measure each figure in each part of the rows."""
    subgroups = {
        name: Subgroup(rows[mine].reset_index(drop=True), classes, codes[mine])
        for name, mine in parts.items()
    }
    everything, held = int(codes.max(initial=-1)) + 1, rows["label"].nunique()
    for figure in figures if subgroups else ():
        yield (
            figure,
            [
                (
                    (name, each.images, each.sample.group_count),
                    each.measure(figure, everything, held),
                )
                for name, each in subgroups.items()
            ],
        )


# ---------------------------------------------------------------- the widest gap


def widest_gap(found: Mapping[str, Measured]) -> dict[str, Any]:
    """Compare subgroups by a figure: gap, low, high, the two subgroups, and why there is none."""
    compared = {name: each for name, each in found.items() if not each.note}
    if len(compared) < 2:
        none = dict.fromkeys(("gap", "low", "high"), math.nan)
        return {**none, "highest": "", "lowest": "", "note": NOT_COMPARED}
    names, values = list(compared), np.array([each.value for each in compared.values()])
    bounds = np.array([each.compared for each in compared.values()])
    moved = np.array([each.moved for each in compared.values()])
    low, high = gap_interval(values, bounds, moved)
    ends = {"highest": names[values.argmax()], "lowest": names[values.argmin()]}
    return {"gap": float(np.ptp(values)), "low": low, "high": high, **ends, "note": ""}


def gap_interval(values: FloatArray, bounds: FloatArray, moved: FloatArray) -> Interval:
    """Give the interval of the greatest difference between figures, 0..1.

    Args:
        values: (K,), the figures.
        bounds: (K, 2), their intervals.
        moved: (K, G), how much each group moves each.
    """
    below, above = values - bounds[:, 0], bounds[:, 1] - values
    square = moved @ moved.T
    spread = np.sqrt(np.diag(square))
    alike = np.nan_to_num(divide(square, np.outer(spread, spread)))
    apart = values[:, np.newaxis] - values
    down, up = (
        np.sqrt(np.maximum(0, a[:, None] ** 2 + b**2 - 2 * alike * np.outer(a, b)))
        for a, b in ((below, above), (above, below))
    )
    pairs = ~np.eye(len(values), dtype=bool)
    wider = TUKEY[len(values) - 2] / NORMAL
    low, high = (apart - wider * down)[pairs].max(), (apart + up)[pairs].max()
    return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


# ---------------------------------------------------------------- the subgroups


def cut(stated: pd.Series[str], groups: IntArray) -> tuple[dict[str, BoolArray], str]:
    """Cut images (N,) into subgroups by what is stated of them; say what must be known of that.

    Many numbers are cut into bands of about as many images. Of many texts the commonest stay, by
    groups. None where all images are alike, or nearly every one is stated to be something else.
    """
    known = stated[stated != ""]
    numbers, count, note = pd.to_numeric(known, errors="coerce"), known.nunique(), ""
    if len(known) and (numbers.abs() < MOST_OF_A_NUMBER).all():
        names = numbers.map("{:.15g}".format)
        if names.nunique() > MOST_VALUES:
            names = _bands(numbers)
            note = f"cut into {names.nunique()} bands"
        order = list(dict.fromkeys(names.loc[numbers.sort_values(kind="stable").index]))
    elif count > MOST_SUBGROUPS and 2 * count > len(known):
        values = f"{count:,} different values for {plural(len(known), 'image')}"
        return {}, f"left out, since there are {values}"
    else:
        names, note = _commonest(known, groups[(stated != "").to_numpy()])
        order = sorted(set(names), key=lambda name: (name.startswith(OTHER), name))
    all_names = names.reindex(stated.index).fillna(NOT_STATED)
    if len(known) < len(stated):
        order.append(NOT_STATED)
    if len(order) < 2:
        return {}, f"the same for all images ({order[0]})" if order else ""
    return {name: (all_names == name).to_numpy() for name in order}, note


def _bands(numbers: pd.Series[float]) -> pd.Series[str]:
    """Name the band of each number by the least and the greatest in it, in as few digits as do.

    A number that is more frequent than a band is large makes for fewer bands.
    """
    edges = numbers.quantile([place / BANDS for place in range(1, BANDS)]).to_numpy()
    bands = pd.Series(np.searchsorted(edges, numbers), numbers.index)
    if bands.nunique() < 2:  # the greatest number is that frequent
        bands = (numbers >= numbers.max()).astype(int)
    ends = numbers.groupby(bands).agg(["min", "max"])
    for digits in range(4, 16):
        words = [[f"{end:.{digits}g}" for end in pair] for pair in ends.itertuples(index=False)]
        names = [" to ".join(dict.fromkeys(pair)) for pair in words]
        if len({end for pair in words for end in pair}) == len(np.unique(ends)):
            break
    return bands.map(dict(zip(ends.index, names, strict=True)))


def _commonest(known: pd.Series[str], groups: IntArray) -> tuple[pd.Series[str], str]:
    """Keep the values of the most groups, and call the others by how many they are."""
    sizes = pd.Series(groups, known.index).groupby(known).nunique()
    if len(sizes) <= MOST_SUBGROUPS:
        return known, ""
    kept = sizes.sort_values(ascending=False, kind="stable").index[: MOST_SUBGROUPS - 1]
    rest = f"{OTHER} ({len(sizes) - len(kept)} values)"
    return known.where(known.isin(kept), rest), "the values with the fewest groups are put together"


OTHER = "other"
