"""Draw how far the confidence of the answers can be believed.

Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.drawing import style
from reports.drawing.plot import Plot
from resnext.contracts.formatting import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR = "#9fb4c4"
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
WIDEST_LEVEL = 1000
"""From so many images on the numbers above the bars stand upright, since they are too wide."""


def plot_reliability(
    reliability: pd.DataFrame, calibration: Mapping[str, Any], *, stacked: bool = False
) -> Figure:
    """Plot the share of right answers by confidence, before and after the temperature.

    Below each diagram stands how many images each bin holds, also in numbers: a bin of one beside
    one of hundreds has no bar to be seen. Without a temperature the second panel says why.

    Args:
        reliability: when (before, after), bin_low, bin_high, n, confidence, accuracy, low, high;
            may be empty.
        calibration: temperature and reason, as in calibration.json.
        stacked: Whether the two diagrams stand below each other.
    """
    filled = reliability[reliability["n"] > 0]
    if filled.empty:
        return style.sentence("No reliability diagram: no test image could be evaluated.")
    with style.styled([]):
        figure, panels = _panels(stacked=stacked)
        temperature, reason = calibration["temperature"], calibration.get("reason")
        in_folds = calibration.get("fitted_on") == "folds"
        calibrated = "After the other folds' temperatures" if in_folds else None
        after = calibrated or f"After temperature {temperature:.2f}"
        titles = {"before": "As predicted", "after": after}
        for (upper, lower), (when, title) in zip(panels.T, titles.items(), strict=True):
            rows = filled[filled["when"] == when]
            if rows.empty:
                why = f": {reason}" if reason else ""
                style.say(upper, f"The probabilities are not calibrated{why}.", width=38)
                lower.set_axis_off()
            else:
                _draw_reliability(upper, rows, title, explained=not stacked)
                _draw_counts(lower, rows, int(filled["n"].max()))
        for upper, lower in panels.T[: 2 if stacked else 1]:
            upper.set_ylabel("right answers" if upper.axison and upper.lines else "")
            lower.set_ylabel("images")
        return style.lay_out(figure)


def _panels(*, stacked: bool) -> tuple[Figure, Any]:
    """Make a diagram and a strip below it, twice: an array of panels (diagram and strip, 2)."""
    if not stacked:
        figure = style.new_figure(style.WIDTH, 5.5)
        return figure, figure.subplots(2, 2, gridspec_kw={"height_ratios": [4.6, 1]})
    figure = style.new_figure(style.NARROW, 8.6)
    return figure, figure.subplots(4, 1, height_ratios=[3.4, 1] * 2).reshape(2, 2).T


def calibration_error(rows: pd.DataFrame) -> float:
    """Average the gap between confidence and accuracy over the bins, weighted by images, 0..1.

    NaN without an image. It is the expected calibration error, of the bins that are given.
    """
    if not rows["n"].sum():
        return math.nan
    return float(np.average((rows["accuracy"] - rows["confidence"]).abs(), weights=rows["n"]))


def _draw_reliability(axes: Axes, rows: pd.DataFrame, title: str, *, explained: bool) -> None:
    """Draw the accuracy of each bin with its interval, and the diagonal of perfect calibration."""
    axes.plot([0, 1], [0, 1], **style.DASHED)
    axes.vlines(rows["confidence"], rows["low"], rows["high"], color=style.BLUE, linewidth=1.2)
    axes.plot(
        rows["confidence"], rows["accuracy"], "o-", color=style.BLUE, linewidth=1, markersize=6
    )
    axes.set_title(title, pad=20)
    error = f"calibration error {percent(calibration_error(rows))}"
    style.note(axes, error, (0, 1), (0, 5), ha="left")
    if explained:
        style.note(axes, "dashed: perfect calibration", (1, 1), (0, 5), ha="right")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=TICKS, yticks=TICKS)
    axes.set_xticklabels([])
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.grid()


def _draw_counts(axes: Axes, rows: pd.DataFrame, most: int) -> None:
    """Draw the strip of how many images each bin holds, with the number above each bar."""
    widths = rows["bin_high"] - rows["bin_low"]
    drawn = axes.bar(rows["bin_low"], rows["n"], 0.92 * widths, align="edge", color=BAR)
    upright = most >= WIDEST_LEVEL
    axes.bar_label(
        drawn, [count(n) for n in rows["n"]], padding=2, size=7, color=style.QUIET,
        rotation=90 if upright else 0,
    )  # fmt: skip
    room = 2.1 if upright else 1.3  # above the highest bar, for its number
    axes.set(xlim=(-0.02, 1.02), ylim=(0, room * most), xticks=TICKS, xlabel="confidence")
    axes.xaxis.set_major_formatter(style.percent_tick)
    axes.locator_params("y", nbins=3, integer=True, steps=[1, 2, 5, 10])


PLOT = Plot(
    name="reliability",
    title="Reliability",
    caption="How often the network is right against how sure it says it is: on the diagonal, 80 % "
    "sure means right in 80 of 100.",
    tables=("reliability.csv", "calibration.json"),
    draw=plot_reliability,
    stacks=True,
    position=5,
)
