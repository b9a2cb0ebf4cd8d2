"""Draw the score of recipes against what they cost, their names beside the points.

Cost is the multiply-adds of an image; of recipes of one network, the minutes of training.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.drawing import style
from reports.drawing.fonts import figure_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

SCORE = "balanced_accuracy"
COSTS = {
    "multiply_adds": (1e9, "Multiply-adds of an image (G)"),
    "minutes": (1, "Minutes of training"),
}
"""The columns that cost is read from: the size of a unit, and the axis' name."""
ROOM = 1.6
"""The factor by which the log axis goes on beyond the points."""
WIDE = 30
"""From this factor between its ends on, an axis has few ticks a decade."""
PLACES = sorted(
    (
        (side * across, float(up))
        for side in (1, -1)
        for across in (9, 24, 40, 60, 85, 120)
        for up in range(-117, 118, 13)
    ),
    key=lambda place: math.hypot(*place),
)
"""Where a name may stand beside its point, the nearest first, in points."""
LOOK: dict[str, Any] = {"color": style.INK, "size": 10, "va": "center", "xycoords": "data"}
LINE = {"arrowstyle": "-", "color": style.QUIET, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4}


def plot_score_and_cost(table: pd.DataFrame) -> Figure:
    """Plot the balanced accuracy with its 95 % interval against cost, on a log axis.

    Args:
        table: recipe, balanced_accuracy with _low and _high, multiply_adds, minutes.
    """
    cost = "multiply_adds" if table["multiply_adds"].nunique() > 1 else "minutes"
    unit, title = COSTS[cost]
    known = table[(table[cost] > 0) & table[SCORE].notna()]
    if known.empty:
        return style.sentence("No score against cost: no recipe has both.")
    x, names = known[cost] / unit, figure_labels(known["recipe"].tolist())
    with style.styled(names):
        figure = style.new_figure(style.WIDTH, 5.2)
        axes = figure.subplots()
        bars = axes.vlines(x, known[f"{SCORE}_low"], known[f"{SCORE}_high"])
        bars.set(color=style.BLUE, linewidth=2, alpha=0.45)
        axes.plot(x, known[SCORE], "o", color=style.BLUE, markersize=7)
        _set_axes(axes, title, x.min() / ROOM, x.max() * ROOM)
        style.lay_out(figure)
        _name_points(axes, known.assign(x=x, name=names))
        return figure


def _set_axes(axes: Axes, title: str, low: float, high: float) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set(xscale="log", xlim=(low, high), xlabel=title, ylabel="Balanced accuracy")
    axes.margins(y=0.08)
    steps = (1, 2, 5) if high / low > WIDE else (1, 1.5, 2, 3, 4, 5, 6, 8)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.grid()


def _name_points(axes: Axes, table: pd.DataFrame) -> None:
    """Write each name at the nearest place beside its point that is free, else at the freest."""
    taken = [_bar_box(axes, row) for _, row in table.iterrows()]
    for _, row in table.iterrows():
        at = (row["x"], row[SCORE])
        probe = style.note(axes, row["name"], at, (0, 0), **LOOK)
        size = probe.get_window_extent()
        probe.remove()
        boxes = [_box(axes, at, size, place) for place in PLACES]
        costs = [
            sum(_overlap(box, other) for other in taken) + _outside(box, axes.bbox) for box in boxes
        ]
        best = costs.index(min(costs))
        _write_name(axes, row["name"], at, PLACES[best])
        taken.append(boxes[best])


def _write_name(axes: Axes, name: str, at: tuple[float, float], place: tuple[float, float]) -> None:
    """Write a name, with a line to its point where it does not stand right beside it."""
    right = place[0] > 0
    look = LOOK | {"ha": "left" if right else "right"}
    if place not in PLACES[:2]:
        look["arrowprops"] = LINE | {"relpos": (0 if right else 1, 0.5)}
    style.note(axes, name, at, place, **look)


def _box(axes: Axes, at: tuple[float, float], size: Bbox, place: tuple[float, float]) -> Bbox:
    """Give what a name of a size would cover at a place, in pixels."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform(at) + np.array(place) * axes.figure.dpi / 72
    left = x if place[0] > 0 else x - size.width
    return Bbox.from_bounds(left, y - size.height / 2, size.width, size.height)


def _bar_box(axes: Axes, row: pd.Series[float]) -> Bbox:
    """Give the place of a point and its interval, in pixels."""
    from matplotlib.transforms import Bbox

    low, high = row[[f"{SCORE}_low", f"{SCORE}_high"]].fillna(row[SCORE])
    ends = axes.transData.transform([(row["x"], low), (row["x"], high)])
    return Bbox(ends).padded(5)


def _overlap(one: Bbox, other: Bbox) -> float:
    """Give the area (pixels) that two boxes share."""
    from matplotlib.transforms import Bbox

    shared = Bbox.intersection(one, other)
    return float(shared.width * shared.height) if shared else 0.0


def _outside(box: Bbox, panel: Bbox) -> float:
    """Give the area (pixels) of a box that sticks out of the panel."""
    return float(box.width * box.height) - _overlap(box, panel)
