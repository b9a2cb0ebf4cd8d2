"""Draw how sure the network was of its right and wrong answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing import style
from reports.drawing.plot import Plot
from resnext.contracts.formatting import count, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST_SHOWN = 0.8
"""The confidence axis begins here at the latest, so that a lone bin doesn't fill the figure."""


def plot_confidences(confidences: pd.DataFrame, *, stacked: bool = False) -> Figure:
    """Plot how many answers were right (upwards) and wrong (downwards) by their confidence.

    A bin whose bounds are NaN is not drawn.

    Args:
        confidences: bin_low, bin_high, right, wrong (counts); may be empty.
        stacked: Whether it is drawn for a phone.
    """
    confidences = confidences.dropna(subset=["bin_low", "bin_high"])
    filled = confidences[(confidences["right"] > 0) | (confidences["wrong"] > 0)]
    if filled.empty:
        return style.sentence("No histogram of confidences: no test image could be evaluated.")
    with style.styled([]):
        figure, axes = style.one_panel(3.9, stacked=stacked)
        lows, widths = confidences["bin_low"], confidences["bin_high"] - confidences["bin_low"]
        for name, sign, color in (("right", 1, style.BLUE), ("wrong", -1, style.VERMILION)):
            heights = sign * confidences[name]
            label = f"{name}: {plural(confidences[name].sum(), 'image')}"
            axes.bar(lows, heights, 0.96 * widths, align="edge", color=color, label=label)
        axes.axhline(0, color=style.INK, linewidth=0.8)
        axes.set_xlim(min(float(filled["bin_low"].min()), FEWEST_SHOWN), 1)
        axes.set(xlabel="confidence", ylabel="images")
        axes.xaxis.set_major_formatter(style.percent_tick)
        axes.locator_params("x", nbins=5 if stacked else 10)
        axes.locator_params("y", nbins=7, integer=True, steps=[1, 2, 5, 10])
        axes.yaxis.set_major_formatter(lambda value, _: count(abs(value)))
        axes.grid(axis="y")
        axes.margins(y=0.08)
        style.head(axes, stacked=stacked)
        return style.lay_out(figure)


PLOT = Plot(
    name="confidences",
    title="Confidence",
    caption="How sure the network was of its answers, right ones and wrong ones.",
    tables=("confidences.csv",),
    draw=plot_confidences,
    stacks=True,
    position=6,
)
