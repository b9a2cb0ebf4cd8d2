"""Draw curves with their bands in panels: of ROC, and of precision and recall.

One curve fills a panel, with its legend beside it. Several have a panel each, since more than a
few lines over each other can't be told apart by their colours; the first panel then holds all of
them, thin, and their mean. Bands and intervals are of 95 %; NaN where undefined. The points of a
curve are the table's; only the mean of curves over one grid is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.arrays import FloatArray, nan_mean
from reports.drawing import style
from reports.drawing.fonts import LABEL_WIDTH, NARROW_WIDTH, figure_labels
from resnext.contracts.formatting import Bounds, decimal, defined, percent, undefined

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE = style.DASHED | {"zorder": 1}
MOST_COLUMNS = 5
LARGEST_PANEL = 2.6


@dataclass(frozen=True)
class Room:
    """Hold the room around panels and between them, in inches."""

    width: float
    left: float
    right: float
    top: float
    gap: float
    head: float
    """What the lines above a panel need."""
    bottom: float = 0.7


WIDE = Room(style.WIDTH, left=0.95, right=0.25, top=0.95, gap=0.36, head=0.5)
PHONE = Room(style.NARROW, left=0.72, right=0.12, top=1.35, gap=0.24, head=0.66)
Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """Hold what distinguishes ROC and precision-recall curves."""

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
    """Hold the area under a curve and what it is compared with."""

    value: float
    bounds: Bounds
    prevalence: float
    """The share of the class in the test part; of the mean, that of a class on average."""

    def words(self, name: str, end: str = " ") -> str:
        """Write the area with its interval, as in "AUROC 0.810 (0.680-0.919)"."""
        bounds = defined(self.bounds)
        interval = f"{end}({decimal(bounds[0])}-{decimal(bounds[1])})" if bounds else ""
        return f"{name} {decimal(self.value)}{interval}"


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


def operating_point(metrics: Metrics) -> Metrics | None:
    """Give the operating point where sensitivity and specificity are known."""
    point: Metrics = metrics.get("operating_point") or {}
    known = [not undefined(point.get(name)) for name in ("sensitivity", "specificity")]
    return point if all(known) else None


def plot_curves(
    kind: Kind,
    table: pd.DataFrame,
    per_class: pd.DataFrame,
    metrics: Metrics,
    point: Point | None,
    *,
    stacked: bool = False,
) -> Figure:
    """Draw one curve large, or several in panels; a sentence where there is none."""
    mean = mean_area(kind, per_class, metrics)
    curves = _curves(kind, table, per_class, mean, NARROW_WIDTH if stacked else LABEL_WIDTH)
    if not curves:
        return style.sentence(kind.nothing)
    with style.styled([curve.label for curve in curves]):
        if len(curves) == 1:
            return _plot_one(kind, curves[0], point, stacked=stacked)
        room = PHONE if stacked else WIDE
        return _plot_several(kind, curves, _mean_of(curves, mean), point, room)


def class_areas(kind: Kind, per_class: pd.DataFrame) -> dict[str, Area]:
    """Read the area of each class off per_class.csv."""
    images = float(per_class["support"].sum()) or math.nan
    return {
        str(row["class"]): Area(
            float(row[kind.score]),
            (row.get(f"{kind.score}_low"), row.get(f"{kind.score}_high")),
            float(row["support"]) / images,
        )
        for row in per_class.to_dict("records")
    }


def mean_area(kind: Kind, per_class: pd.DataFrame, metrics: Metrics) -> Area:
    """Give the mean area over the classes that are there; an interval where metrics has one."""
    there = per_class[per_class["support"] > 0]
    prevalence = 1 / len(there) if len(there) else math.nan
    value = metrics.get(kind.score, there[kind.score].mean())
    bounds = metrics.get(f"{kind.score}_ci95")
    return Area(math.nan if value is None else float(value), bounds, prevalence)


def _curves(
    kind: Kind, table: pd.DataFrame, per_class: pd.DataFrame, mean: Area, width: int
) -> list[Curve]:
    """Gather the curves in the order of the table, without those that are undefined."""
    areas = class_areas(kind, per_class)
    labels = dict(zip(areas, figure_labels(list(areas), width), strict=True))
    of_mean = f"mean of {(per_class['support'] > 0).sum()} classes"
    curves = []
    for name, rows in table.groupby("class", sort=False):
        columns = (*kind.columns, "low", "high")
        x, y, low, high = (rows[column].to_numpy(dtype=np.float64) for column in columns)
        if not np.isnan(y).all():
            label, area = labels.get(str(name), of_mean), areas.get(str(name), mean)
            curves.append(Curve(str(name), label, x, y, low, high, area))
    return curves


def _mean_of(curves: Sequence[Curve], area: Area) -> Curve:
    """Average curves over one grid, point by point, without NaN; the mean has no band."""
    mean = nan_mean(np.array([curve.y for curve in curves]), axis=0)
    blank = np.full(len(mean), np.nan)
    return Curve("", f"mean of {len(curves)} classes", curves[0].x, mean, blank, blank, area)


def _plot_one(kind: Kind, curve: Curve, point: Point | None, *, stacked: bool) -> Figure:
    """Draw one curve with a legend beside it, for a phone above it."""
    figure = style.new_figure(style.NARROW if stacked else style.WIDTH, 4.9)
    axes = figure.subplots()
    _frame(axes, (0, 0.5, 1) if stacked else (0, 0.2, 0.4, 0.6, 0.8, 1))
    axes.set(xlabel=kind.axes[0], ylabel=kind.axes[1])
    handles = {
        _draw_curve(
            axes, curve, 2.2
        ): f"{curve.label}\n{curve.area.words(kind.short if stacked else kind.area)}",
        **_draw_band(axes, curve),
        **_draw_point(axes, curve, point),
        **_draw_chance(axes, kind, curve),
    }
    axes.legend(
        handles.keys(), handles.values(), borderaxespad=0, handlelength=2.2,
        loc="lower left" if stacked else "upper left",
        bbox_to_anchor=(0, 1.03) if stacked else (1.03, 1),
        labelspacing=0.6 if stacked else 1.0, fontsize=9 if stacked else None,
    )  # fmt: skip
    return style.lay_out(figure)


def _plot_several(
    kind: Kind, curves: Sequence[Curve], mean: Curve, point: Point | None, room: Room
) -> Figure:
    """Draw all curves with their mean, then each in a panel of its own, and one legend on top."""
    figure, panels = _panels(len(curves) + 1, room)
    handles = _draw_all(panels[0], kind, curves, mean)
    for axes, curve in zip(panels[1:], curves, strict=True):
        handles |= _draw_class(axes, kind, curve, mean, point)
    for axes, curve in zip(panels, (mean, *curves), strict=True):
        _head(axes, curve, kind, room)
    unique = {label: handle for handle, label in handles.items()}
    within = figure.subplotpars
    middle, half_way = (within.left + within.right) / 2, (within.bottom + within.top) / 2
    figure.legend(
        unique.values(), unique.keys(), loc="upper center",
        bbox_to_anchor=(0.5 if room is PHONE else middle, 1),
        handlelength=1.8,
        **{"ncols": 2, "fontsize": 9} if room is PHONE else {"ncols": len(unique)},
    )  # fmt: skip
    look: dict[str, Any] = {"color": style.QUIET, "size": 10.5}
    figure.text(middle, 0.1 / figure.get_figheight(), kind.axes[0], ha="center", **look)
    figure.text(0.1 / room.width, half_way, kind.axes[1], va="center", rotation=90, **look)
    return figure


def _panels(number: int, room: Room) -> tuple[Figure, list[Axes]]:
    """Make so many equal square panels in rows, with room for the lines above each."""
    columns = 2 if room is PHONE else min(number, 4 if number <= 12 else MOST_COLUMNS)
    rows = math.ceil(number / columns)
    free = room.width - room.left - room.right - (columns - 1) * room.gap
    edge = min(free / columns, LARGEST_PANEL)
    height = room.top + rows * edge + (rows - 1) * (room.gap + room.head) + room.bottom
    figure = style.new_figure(room.width, height)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    width = columns * edge + (columns - 1) * room.gap
    figure.subplots_adjust(
        left=room.left / room.width,
        right=(room.left + width) / room.width,
        top=1 - room.top / height,
        bottom=room.bottom / height,
        wspace=room.gap / edge,
        hspace=(room.gap + room.head) / edge,
    )
    for empty in axes[number:]:
        empty.remove()
    for place, panel in enumerate(axes[:number]):
        _frame(panel, (0, 0.5, 1))
        if room is PHONE:
            panel.set_xticks((0, 1))
        last = place + columns >= number
        first, *_, end = panel.get_xticklabels()  # kept apart from those of the next panel
        first.set_ha("left")
        end.set_ha("right")
        panel.tick_params(labelsize=9, labelbottom=last, labelleft=place % columns == 0)
    return figure, axes[:number]


def _draw_all(axes: Axes, kind: Kind, curves: Sequence[Curve], mean: Curve) -> dict[Artist, str]:
    """Draw the panel of all curves and their mean."""
    for curve in curves:
        axes.plot(curve.x, curve.y, color=style.BLUE, linewidth=0.7, alpha=0.55)
    line = _draw_curve(axes, mean, 2.2, color=style.INK)
    return {line: "mean of the classes", **_draw_chance(axes, kind, mean, numbers=False)}


def _draw_class(
    axes: Axes, kind: Kind, curve: Curve, mean: Curve, point: Point | None
) -> dict[Artist, str]:
    """Draw the panel of one class, with the mean to compare it with."""
    axes.plot(mean.x, mean.y, color=style.INK, linewidth=0.9)
    return {
        _draw_curve(axes, curve, 1.7): "one class",
        **_draw_band(axes, curve),
        **_draw_chance(axes, kind, curve, numbers=False),
        **dict.fromkeys(_draw_point(axes, curve, point), "operating point"),
    }


def _frame(axes: Axes, ticks: Sequence[float]) -> None:
    """Set up a square panel of shares."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks)
    axes.set_aspect("equal")
    axes.xaxis.set_major_formatter(style.percent_tick)
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.grid()


def _head(axes: Axes, curve: Curve, kind: Kind, room: Room) -> None:
    """Write the class and its area above a small panel, smaller where they are wider than it."""
    phone = room is PHONE
    area = curve.area.words(kind.short, "\n" if phone else " ")
    above = 29 if "\n" in area else 18
    lines = (curve.label, above, style.INK, 10.0), (area, 5, style.QUIET, 8.5)
    for text, above, color, size in lines:
        line = style.note(axes, text, (0, 1), (0, above), color=color, size=size)
        free, needed = axes.get_window_extent().width, line.get_window_extent().width
        if needed > free:
            line.set_fontsize(size * free / needed)


def _draw_curve(axes: Axes, curve: Curve, width: float, color: str = style.BLUE) -> Artist:
    """Draw the line of a curve; where it is undefined there is a gap."""
    (line,) = axes.plot(curve.x, curve.y, color=color, linewidth=width, zorder=3)
    return line


def _draw_band(axes: Axes, curve: Curve) -> dict[Artist, str]:
    """Draw the band of a curve, if it has one."""
    if np.isnan(curve.low + curve.high).all():
        return {}
    band = axes.fill_between(
        curve.x, curve.low, curve.high, color=style.BLUE, alpha=0.16, linewidth=0
    )
    return {band: "95 % band"}


def _draw_chance(
    axes: Axes, kind: Kind, curve: Curve, *, numbers: bool = True
) -> dict[Artist, str]:
    """Draw what a network that knows nothing would reach: the diagonal, or the prevalence."""
    if kind.diagonal:
        (line,) = axes.plot([0, 1], [0, 1], **CHANCE)
        return {line: "chance"}
    prevalence = curve.area.prevalence
    if math.isnan(prevalence):
        return {}
    line = axes.axhline(prevalence, **CHANCE)
    return {line: f"prevalence {percent(prevalence)}" if numbers else "prevalence"}


def _draw_point(axes: Axes, curve: Curve, point: Point | None) -> dict[Artist, str]:
    """Mark the operating point, if it is one of this class, with its intervals."""
    if point is None or point.name != curve.name:
        return {}
    reach: dict[str, Any] = {"color": style.VERMILION, "linewidth": 1.2, "zorder": 4}
    if bounds := defined(point.x_bounds):
        axes.plot(bounds, (point.y, point.y), **reach)
    if bounds := defined(point.y_bounds):
        axes.plot((point.x, point.x), bounds, **reach)
    look: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white", "zorder": 5}
    (mark,) = axes.plot([point.x], [point.y], "o", color=style.VERMILION, **look)
    return {mark: "\n".join(["operating point", *point.words])}
