"""Draw curves with their bands in panels: of ROC, and of precision and recall.

One curve fills a panel, with its legend beside it. Several have a panel each, since more than a
few lines over each other can't be told apart by their colours; the first panel then holds all of
them, thin, and their mean. Bands and intervals are of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.drawing import style
from reports.drawing.ranked import Curve, Kind, Metrics, Point, curves_of, mean_area, mean_of
from resnext.contracts.formatting import percent

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE = style.DASHED | {"zorder": 1}
MOST_COLUMNS = 5
LEFT, RIGHT, TOP, BOTTOM = 0.95, 0.25, 0.95, 0.7
"""The room around the panels in inches."""
GAP, HEAD = 0.36, 0.5
"""The room between two panels, and what the two lines above one need, in inches."""
LARGEST_PANEL = 2.6


def plot_curves(
    kind: Kind, table: pd.DataFrame, per_class: pd.DataFrame, metrics: Metrics, point: Point | None
) -> Figure:
    """Draw one curve large, or several in panels; a sentence where there is none."""
    curves = curves_of(kind, table, per_class, metrics)
    if not curves:
        return style.sentence(kind.nothing)
    with style.styled([curve.label for curve in curves]):
        if len(curves) == 1:
            return _plot_one(kind, curves[0], point)
        mean = mean_of(curves, mean_area(kind, per_class, metrics))
        return _plot_several(kind, curves, mean, point)


def _plot_one(kind: Kind, curve: Curve, point: Point | None) -> Figure:
    """Draw one curve with a legend beside it."""
    figure = style.new_figure(style.WIDTH, 4.9)
    axes = figure.subplots()
    _frame(axes, (0, 0.2, 0.4, 0.6, 0.8, 1))
    axes.set(xlabel=kind.axes[0], ylabel=kind.axes[1])
    handles = {
        _draw_curve(axes, curve, 2.2): f"{curve.label}\n{curve.area.words(kind.area)}",
        **_draw_band(axes, curve),
        **_draw_point(axes, curve, point),
        **_draw_chance(axes, kind, curve),
    }
    axes.legend(
        handles.keys(), handles.values(), loc="upper left", bbox_to_anchor=(1.03, 1),
        borderaxespad=0, labelspacing=1.0, handlelength=2.2,
    )  # fmt: skip
    return style.lay_out(figure)


def _plot_several(kind: Kind, curves: Sequence[Curve], mean: Curve, point: Point | None) -> Figure:
    """Draw all curves with their mean, then each in a panel of its own, and one legend on top."""
    figure, panels = _panels(len(curves) + 1)
    handles = _draw_all(panels[0], kind, curves, mean)
    for axes, curve in zip(panels[1:], curves, strict=True):
        handles |= _draw_class(axes, kind, curve, mean, point)
    unique = {label: handle for handle, label in handles.items()}
    room = figure.subplotpars
    middle, half_way = (room.left + room.right) / 2, (room.bottom + room.top) / 2
    figure.legend(
        unique.values(), unique.keys(), loc="upper center", bbox_to_anchor=(middle, 1),
        ncols=len(unique), handlelength=1.8, columnspacing=1.6,
    )  # fmt: skip
    look: dict[str, Any] = {"color": style.QUIET, "size": 10.5}
    figure.text(middle, 0.1 / figure.get_figheight(), kind.axes[0], ha="center", **look)
    figure.text(0.1 / style.WIDTH, half_way, kind.axes[1], va="center", rotation=90, **look)
    return figure


def _panels(number: int) -> tuple[Figure, list[Axes]]:
    """Make so many equal square panels in rows, with room for two lines above each."""
    columns = min(number, 4 if number <= 12 else MOST_COLUMNS)
    rows = math.ceil(number / columns)
    edge = min((style.WIDTH - LEFT - RIGHT - (columns - 1) * GAP) / columns, LARGEST_PANEL)
    height = TOP + rows * edge + (rows - 1) * (GAP + HEAD) + BOTTOM
    figure = style.new_figure(style.WIDTH, height)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    width = columns * edge + (columns - 1) * GAP
    figure.subplots_adjust(
        left=LEFT / style.WIDTH,
        right=(LEFT + width) / style.WIDTH,
        top=1 - TOP / height,
        bottom=BOTTOM / height,
        wspace=GAP / edge,
        hspace=(GAP + HEAD) / edge,
    )
    for empty in axes[number:]:
        empty.remove()
    for place, panel in enumerate(axes[:number]):
        _frame(panel, (0, 0.5, 1))
        last = place + columns >= number
        panel.tick_params(labelsize=9, labelbottom=last, labelleft=place % columns == 0)
    return figure, axes[:number]


def _draw_all(axes: Axes, kind: Kind, curves: Sequence[Curve], mean: Curve) -> dict[Artist, str]:
    """Draw the panel of all curves and their mean."""
    for curve in curves:
        axes.plot(curve.x, curve.y, color=style.BLUE, linewidth=0.7, alpha=0.55)
    line = _draw_curve(axes, mean, 2.2, color=style.INK)
    _head(axes, mean, kind)
    return {line: "mean of the classes", **_draw_chance(axes, kind, mean, numbers=False)}


def _draw_class(
    axes: Axes, kind: Kind, curve: Curve, mean: Curve, point: Point | None
) -> dict[Artist, str]:
    """Draw the panel of one class, with the mean to compare it with."""
    axes.plot(mean.x, mean.y, color=style.INK, linewidth=0.9)
    _head(axes, curve, kind)
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


def _head(axes: Axes, curve: Curve, kind: Kind) -> None:
    """Write the class and its area above a small panel."""
    _write_above(axes, curve.label, 18, style.INK, 10)
    _write_above(axes, curve.area.words(kind.short), 5, style.QUIET, 8.5)


def _write_above(axes: Axes, text: str, above: float, color: str, size: float) -> None:
    """Write a line so many points above a panel, smaller where it is wider than the panel."""
    line = axes.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(0, above), textcoords="offset points",
        color=color, size=size,
    )  # fmt: skip
    room, needed = axes.get_window_extent().width, line.get_window_extent().width
    if needed > room:
        line.set_fontsize(size * room / needed)


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
    if point.x_bounds is not None:
        axes.plot(point.x_bounds, (point.y, point.y), **reach)
    if point.y_bounds is not None:
        axes.plot((point.x, point.x), point.y_bounds, **reach)
    (mark,) = axes.plot(
        [point.x],
        [point.y],
        "o",
        color=style.VERMILION,
        markersize=7,
        markeredgecolor="white",
        zorder=5,
    )
    return {mark: "\n".join(["operating point", *point.words])}
