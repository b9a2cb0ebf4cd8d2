"""Draw the recall and the precision of each class with their intervals, the best found on top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reports.drawing import style
from reports.drawing.fonts import LABEL_WIDTH, LATIN_FONT, NARROW_WIDTH, figure_labels
from reports.drawing.plot import Plot
from resnext.contracts.formatting import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = {"recall": style.BLUE, "precision": style.VERMILION}
ROW, SMALLEST_ROW, TALLEST = 0.34, 0.16, 16.0
"""The height of a row where there is room, where there are many, and of all rows (inches)."""


def plot_per_class(per_class: pd.DataFrame, *, stacked: bool = False) -> Figure:
    """Plot recall and precision of each class with their 95 % intervals.

    The classes stand in the order of falling recall; those without one come last. What is
    undefined is not drawn; a dashed line marks the mean over the classes that have a value.

    Args:
        per_class: class, support, and recall, precision, each with _low and _high.
        stacked: Whether the panels stand below each other.
    """
    if not per_class["support"].sum():
        return style.sentence("No scores by class: no test image could be evaluated.")
    names = [str(name) for name in per_class["class"]]
    room = NARROW_WIDTH if stacked else LABEL_WIDTH
    labels = figure_labels(names, room, two_lines=_row_height(len(names)) == ROW)
    table = per_class.assign(label=labels)
    table = table.sort_values(
        ["recall", "precision"], ascending=False, na_position="last", kind="stable"
    )
    with style.styled(names):
        height = _row_height(len(table)) * len(table) + 1.3
        figure, panels = style.two_panels(height, stacked=stacked, sharey=True)
        for axes, measure in zip(panels, MEASURES, strict=True):
            _draw_measure(axes, table, measure)
            if stacked:
                axes.set_xticks([0, 0.5, 1])
        _name_rows(panels if stacked else panels[:1], table, 8 if stacked else 10.5)
        return style.lay_out(figure)


def _row_height(classes: int) -> float:
    """Choose the height of a row in inches."""
    return min(max(min(ROW, 6 / classes), SMALLEST_ROW), TALLEST / classes)


def _draw_measure(axes: Axes, table: pd.DataFrame, measure: str) -> None:
    """Draw the values of one measure, their intervals and their mean."""
    rows, color, mean = np.arange(len(table)), MEASURES[measure], table[measure].mean()
    wide = _row_height(len(table)) > 0.25
    axes.hlines(
        rows, table[f"{measure}_low"], table[f"{measure}_high"],
        color=color, linewidth=2 if wide else 1.4, alpha=0.45,
    )  # fmt: skip
    axes.plot(table[measure], rows, "o", color=color, markersize=7 if wide else 4)
    axes.set_title(measure.capitalize(), pad=20, family=LATIN_FONT)
    if not math.isnan(mean):
        axes.axvline(mean, zorder=0, **style.DASHED)
        coordinates = ("data", "axes fraction")
        known = int(table[measure].notna().sum())
        of = f" ({known} of {len(table)} classes)" if known < len(table) else ""
        text = f"mean {percent(mean)}{of}"
        style.note(axes, text, (mean, 1), (0, 4), xycoords=coordinates, ha="center")
    axes.set(xlim=(-0.02, 1.02), ylim=(len(table) - 0.5, -0.5), xticks=np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(style.percent_tick)
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(axis="x")


def _name_rows(panels: Sequence[Axes], table: pd.DataFrame, largest: float) -> None:
    """Name the rows with their number of images; with very many classes only some of them."""
    height = _row_height(len(table))
    step = math.ceil(SMALLEST_ROW / height - 1e-9)
    pairs = zip(table["label"], table["support"], strict=True)
    labels = [f"{label}  ({count(support)})" for label, support in pairs]
    places, size = np.arange(len(labels))[::step], min(largest, 54 * height * step + 1)
    for axes in panels:
        axes.set_yticks(places, labels[::step], size=size)
        axes.tick_params(axis="y", length=0, labelcolor=style.INK)


PLOT = Plot(
    name="per_class",
    title="Scores by class",
    caption="Each figure of a class with its 95 % interval. Where intervals overlap, classes may "
    "be recognised equally well.",
    tables=("per_class.csv",),
    draw=plot_per_class,
    stacks=True,
    position=2,
)
