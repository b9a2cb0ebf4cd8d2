"""Draw the confusion matrix, coloured by the share of the true class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.arrays import FloatArray, divide
from reports.drawing import style
from reports.drawing.fonts import LATIN_FONT, figure_labels
from reports.drawing.plot import Plot
from resnext.contracts.formatting import count, display_width, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

NUMBERED_CLASSES = 20
"""Up to so many classes the cells of a confusion matrix hold numbers."""
SMALLEST_CELL = 0.13
"""The edge in inches from which on each row and column is named; below, only some are."""
LARGEST_MATRIX = 13.0
"""The edge of the whole matrix in inches, at most, where its cells hold no numbers."""


def plot_confusion(confusion: pd.DataFrame) -> Figure:
    """Plot a confusion table (rows = true, columns = predicted), coloured by share of the row.

    Up to NUMBERED_CLASSES the cells hold the count and the share; above, a colour scale stands
    beside them. A row without images has no shares and stays blank.
    """
    names = [str(name) for name in confusion.index]
    counts = confusion.to_numpy(dtype=np.float64)  # (C, C)
    if counts.sum() == 0:
        return style.sentence("No confusion matrix: no test image could be evaluated.")
    shares = divide(counts, counts.sum(axis=1, keepdims=True))  # (C, C)
    with style.styled(names):
        labels = figure_labels(names, two_lines=len(names) <= NUMBERED_CLASSES)
        return _draw_matrix(labels, counts, shares)


def _draw_matrix(labels: Sequence[str], counts: FloatArray, shares: FloatArray) -> Figure:
    """Draw the cells with their names, and numbers or a scale."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    numbered = len(labels) <= NUMBERED_CLASSES
    edge, room = _cell_edge(len(labels)) * len(labels), _widest(labels)
    figure = style.new_figure(edge + 0.1 * room + 1, edge + 0.08 * room + 1)
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("shares", style.SHARES)
    norm = PowerNorm(1 if numbered else 0.5, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap=colours, norm=norm, interpolation="nearest")
    _label_classes(axes, labels)
    if numbered:
        _write_cells(axes, counts, shares)
    else:
        _draw_scale(figure, axes, image)
    return style.lay_out(figure)


def _widest(labels: Sequence[str]) -> int:
    """Give the width of the longest line, in columns."""
    return max(display_width(line) for label in labels for line in label.split("\n"))


def _cell_edge(classes: int) -> float:
    """Choose the edge of a cell in inches, so that numbers and names can be read."""
    if classes <= NUMBERED_CLASSES:
        return 1.2 if classes <= 3 else 0.66 if classes <= 8 else 0.5
    return max(8 / classes, min(SMALLEST_CELL, LARGEST_MATRIX / classes))


def _label_classes(axes: Axes, labels: Sequence[str]) -> None:
    """Name rows and columns and draw white lines between the cells."""
    places, many = np.arange(len(labels)), len(labels) > NUMBERED_CLASSES
    edge = _cell_edge(len(labels))
    step = math.ceil(SMALLEST_CELL / edge - 1e-9)  # every so manieth name has room
    size = 10.5 if not many else min(9.5, 54 * step * edge)
    axes.set_xticks(places[::step], labels[::step], size=size)
    axes.set_yticks(places[::step], labels[::step], size=size)
    if many:
        axes.tick_params(axis="x", rotation=90)
    elif 0.1 * _widest(labels) > edge:
        for tick in axes.get_xticklabels():
            tick.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=style.INK)
    axes.set_xlabel("predicted", labelpad=8)
    axes.set_ylabel("true", labelpad=8)
    axes.spines[:].set_visible(False)
    if step == 1:
        between, span = places[1:] - 0.5, (-0.5, len(labels) - 0.5)
        look: dict[str, Any] = {"color": "white", "linewidth": 0.4 if many else 2}
        axes.hlines(between, *span, **look)
        axes.vlines(between, *span, **look)


def _write_cells(axes: Axes, counts: FloatArray, shares: FloatArray) -> None:
    """Write count and share into each cell, dark on light and light on dark; a bare 0 if empty."""
    large = len(counts) <= 8
    middle: dict[str, Any] = {"xycoords": "data", "ha": "center", "va": "center_baseline"}
    for row, column in np.ndindex(*counts.shape):
        number, share = counts[row, column], shares[row, column]
        color = "white" if share > 0.57 else style.INK
        bold = {"size": 12 if large else 9.5, "weight": "bold", "color": color}
        plain = {"size": 9.5 if large else 8, "color": color}
        texts: list[tuple[str, float, dict[str, Any]]] = [
            (f"{number:.0f}", 7, bold),
            (f"{_whole_percent(float(share))} %", -7, plain),
        ]
        for text, above, look in texts if number else [("0", 0, {})]:
            look |= {"family": LATIN_FONT} | middle
            written = style.note(axes, text, (column, row), (0, above), **look)
            written.set_in_layout(False)  # it lies inside the cell, and to measure each takes long


def _whole_percent(share: float) -> str:
    """Round a share 0..1 to whole percent, but never what is neither none nor all to 0 or 100."""
    if share in (0, 1) or 0.005 < share < 0.995:
        return f"{100 * share:.0f}"
    return f"{100 * min(max(share, 0.001), 0.999):.1f}"


def _draw_scale(figure: Figure, axes: Axes, image: AxesImage) -> None:
    """Draw the colour scale beside the matrix."""
    place = axes.inset_axes((1.02, 0, 0.025, 1))
    scale = figure.colorbar(image, cax=place, ticks=[0, 0.05, 0.2, 0.4, 0.6, 0.8, 1])
    scale.ax.yaxis.set_major_formatter(style.percent_tick)
    scale.ax.tick_params(length=0)
    scale.outline.set_visible(False)
    scale.set_label("share of the true class", color=style.QUIET)


def describe(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say in words how many images stand on the diagonal."""
    counts = tables["confusion.csv"].to_numpy()
    return (
        f"Confusion matrix of {plural(len(counts), 'class', 'classes')}: "
        f"{count(counts.trace())} of {plural(int(counts.sum()), 'test image')} on the diagonal."
    )


PLOT = Plot(
    name="confusion",
    title="Confusion matrix",
    caption="Test images by true class (rows) and predicted class (columns). Right answers stand "
    "on the diagonal; the colour is the share of the true class.",
    tables=("confusion.csv",),
    draw=plot_confusion,
    position=1,
    alternative=describe,
)
