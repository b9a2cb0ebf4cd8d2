"""Gather what ROC and precision-recall figures show: curves, bands, areas, the operating point.

The points of a curve are the table's. Only what the tables hold already is put together here: the
mean of curves over one grid, and the precision at the operating point (by Bayes' theorem from
sensitivity, specificity and prevalence). Intervals and bands are of 95 %; NaN where undefined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reports.arrays import FloatArray, nan_mean
from reports.drawing.fonts import figure_labels
from resnext.contracts.formatting import decimal, percent_interval, undefined

Bounds = tuple[float, float] | None
Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """Hold what sets ROC and precision-recall curves apart."""

    columns: tuple[str, str]
    """The columns of the table along x and y."""
    axes: tuple[str, str]
    """What they are called."""
    score: str
    """The area under the curve, in per_class.csv and metrics.json."""
    area: str
    """What the area is called."""
    short: str
    """What the area is called where there is little room."""
    nothing: str
    """What is said where there is no curve."""
    diagonal: bool = False
    """Whether chance is the diagonal; else it is the prevalence."""


@dataclass(frozen=True)
class Area:
    """Hold the area under a curve and what it is measured against."""

    value: float
    bounds: Bounds
    prevalence: float
    """The share of the class in the test part; of the mean, that of a class on average."""

    def words(self, name: str) -> str:
        """Write the area with its interval, as in "AUROC 0.810 (0.680-0.919)"."""
        said = f"{name} {decimal(self.value)}"
        if self.bounds is None:
            return said
        return f"{said} ({decimal(self.bounds[0])}-{decimal(self.bounds[1])})"


@dataclass(frozen=True)
class Curve:
    """Hold one curve (all arrays of one length) with its band and its area."""

    name: str
    """The class as it is called in the table."""
    label: str
    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray
    area: Area


@dataclass(frozen=True)
class Point:
    """Hold the operating point of a class as it lies among the curves, and what it means."""

    name: str
    x: float
    y: float
    x_bounds: Bounds
    y_bounds: Bounds
    words: Sequence[str]


def curves_of(
    kind: Kind, table: pd.DataFrame, per_class: pd.DataFrame, metrics: Metrics
) -> list[Curve]:
    """Gather the curves in the order of the table, without those that are undefined."""
    labels = labels_of(per_class)
    curves = []
    for name in dict.fromkeys(map(str, table["class"])):
        rows = table[table["class"] == name]
        if rows[kind.columns[1]].isna().all():
            continue
        columns = (*kind.columns, "low", "high")
        x, y, low, high = (rows[column].to_numpy(dtype=np.float64) for column in columns)
        label = labels.get(name, f"mean of {_there(per_class)} classes")
        area = (
            area_of(kind, name, per_class)
            if name in labels
            else mean_area(kind, per_class, metrics)
        )
        curves.append(Curve(name, label, x, y, low, high, area))
    return curves


def mean_of(curves: Sequence[Curve], area: Area) -> Curve:
    """Average curves over one grid, point by point, without NaN; the mean has no band."""
    mean = nan_mean(np.array([curve.y for curve in curves]), axis=0)
    blank = np.full(len(mean), np.nan)
    return Curve("", f"mean of {len(curves)} classes", curves[0].x, mean, blank, blank, area)


def mean_area(kind: Kind, per_class: pd.DataFrame, metrics: Metrics) -> Area:
    """Give the mean area over the classes that are there; an interval where metrics has one."""
    there = per_class[per_class["support"] > 0]
    prevalence = 1 / len(there) if len(there) else math.nan
    value = metrics.get(kind.score, there[kind.score].mean())
    bounds = metrics.get(f"{kind.score}_ci95")
    return Area(math.nan if value is None else float(value), as_bounds(bounds), prevalence)


def labels_of(per_class: pd.DataFrame) -> dict[str, str]:
    """Give each class its name as a figure shows it."""
    names = [str(name) for name in per_class["class"]]
    return dict(zip(names, figure_labels(names), strict=True))


def area_of(kind: Kind, name: str, per_class: pd.DataFrame) -> Area:
    """Read the area of one class; NaN where the table doesn't hold it."""
    rows = per_class[per_class["class"] == name].to_dict("records")
    pictures = float(per_class["support"].sum())
    if not rows or not pictures:
        return Area(math.nan, None, math.nan)
    (row,) = rows
    bounds = as_bounds((row.get(f"{kind.score}_low"), row.get(f"{kind.score}_high")))
    return Area(float(row[kind.score]), bounds, float(row["support"]) / pictures)


def operating_point(metrics: Metrics) -> Metrics | None:
    """Give the operating point where sensitivity and specificity are known."""
    point: Metrics = metrics.get("operating_point") or {}
    known = [not undefined(point.get(name)) for name in ("sensitivity", "specificity")]
    return point if all(known) else None


def share_words(point: Metrics, name: str) -> str:
    """Write a share of the operating point with its interval."""
    return f"{name} {percent_interval(point[name], point.get(f'{name}_ci95'))}"


def _there(per_class: pd.DataFrame) -> int:
    """Count the classes that the test part holds."""
    return int((per_class["support"] > 0).sum())


def as_bounds(bounds: Sequence[float | None] | None) -> Bounds:
    """Give an interval as two numbers; None where one of them is undefined."""
    if bounds is None or any(undefined(bound) for bound in bounds):
        return None
    low, high = (float(bound or 0) for bound in bounds)
    return low, high
