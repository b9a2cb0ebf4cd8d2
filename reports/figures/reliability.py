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
from reports.drawing.fonts import figure_labels
from reports.drawing.plot import Plot
from resnext.contracts.formatting import count, defined, percent, undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR = "#9fb4c4"
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
CORNER = ((1, 0), (-4, 5), "right", "bottom")
"""Where slope and intercept stand, if no bin does: place, offset in points, alignment."""
WIDEST_LEVEL = 1000
"""From so many images on the numbers above the bars stand upright, since they are too wide."""


def plot_reliability(
    reliability: pd.DataFrame,
    calibration: Mapping[str, Any],
    of_class: pd.DataFrame | None = None,
    curve: pd.DataFrame | None = None,
    per_class: pd.DataFrame | None = None,
    *,
    stacked: bool = False,
) -> Figure:
    """Plot how often what the probabilities say is so, before and after the temperature.

    Of two classes it is the probability of one of them, of more the confidence of the answers.
    Dots with their intervals are the bins, the line with its band is the smooth curve. Below each
    diagram stands how many images each bin holds: of confidences also in numbers, as a bin of one
    beside one of hundreds has no bar to be seen; of a class those of it upwards, the others
    downwards. Without a temperature the second panel says why.

    Args:
        reliability: when (before, after), bin_low, bin_high, n, confidence, accuracy, low, high;
            may be empty.
        calibration: temperature and reason, as in calibration.json.
        of_class: class, then the columns of reliability; of more than two classes without rows.
        curve: when, class, probability, observed, low, high; without rows where there is none.
        per_class: class, calibration_slope and calibration_intercept, each with _low and _high.
        stacked: Whether the two diagrams stand below each other.
    """
    filled = reliability[reliability["n"] > 0]
    if filled.empty:
        return style.sentence("No reliability diagram: no test image could be evaluated.")
    shown = filled if of_class is None or of_class.empty else of_class[of_class["n"] > 0]
    name = _name(shown, per_class)
    with style.styled([name]):
        both = "after" in set(shown["when"])
        figure, panels = _panels(1.4 if name else 1, stacked=stacked, both=both)
        for (upper, lower), (when, title) in zip(panels.T, _titles(calibration), strict=True):
            rows, confident = (table[table["when"] == when] for table in (shown, filled))
            if rows.empty:
                _say_why(upper, lower, calibration.get("reason"))
                continue
            error = percent(calibration_error(confident))
            style.note(upper, f"calibration error {error}", (0, 1), (0, 5), ha="left")
            if not stacked:
                style.note(upper, "dashed: perfect calibration", (1, 1), (0, 5), ha="right")
            _draw_reliability(upper, rows, title, _of(curve, when))
            if name:
                _draw_outcomes(lower, rows, name)
            else:
                _draw_counts(lower, rows, int(filled["n"].max()))
        _write_slope(panels[0, 0], per_class, shown)
        for upper, lower in panels.T[: 2 if stacked else 1]:
            drawn = upper.axison and upper.lines
            upper.set_ylabel((f"share of {name}" if name else "right answers") if drawn else "")
            lower.set_ylabel("images")
        return style.lay_out(figure)


def _panels(strip: float, *, stacked: bool, both: bool) -> tuple[Figure, Any]:
    """Make a diagram and a strip (inches high) below it, twice: an array of panels (2, 2).

    The second ones have room for a sentence alone where there are not both.
    """
    if not stacked:
        figure = style.new_figure(style.WIDTH if both else 0.8 * style.WIDTH, 4.8 + 0.7 * strip)
        ratios = {"height_ratios": [4.6, strip], "width_ratios": [1, 1 if both else 0.6]}
        return figure, figure.subplots(2, 2, gridspec_kw=ratios)
    heights = [3.4, strip, *([3.4, strip] if both else [0.9, 0.05])]
    figure = style.new_figure(style.NARROW, sum(heights) - 0.1 * strip)
    return figure, figure.subplots(4, 1, height_ratios=heights).reshape(2, 2).T


def calibration_error(rows: pd.DataFrame) -> float:
    """Average the gap between confidence and accuracy over the bins, weighted by images, 0..1.

    NaN without an image. It is the expected calibration error, of the bins that are given.
    """
    if not rows["n"].sum():
        return math.nan
    return float(np.average((rows["accuracy"] - rows["confidence"]).abs(), weights=rows["n"]))


def _say_why(upper: Axes, lower: Axes, reason: str | None) -> None:
    """Say instead of a diagram why the probabilities are not calibrated."""
    why = f": {reason}" if reason else ""
    style.say(upper, f"The probabilities are not calibrated{why}.", width=32)
    lower.set_axis_off()


def _name(rows: pd.DataFrame, per_class: pd.DataFrame | None) -> str:
    """Say how the class of these rows is called in figures; empty where they are of no class."""
    if "class" not in rows:
        return ""
    name = str(rows["class"].iloc[0])
    names = [name] if per_class is None else [str(each) for each in per_class["class"]]
    return figure_labels(names)[names.index(name)]


def _titles(calibration: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give `when` and the title of either panel."""
    in_folds = calibration.get("fitted_on") == "folds"
    by = "the other folds' temperatures" if in_folds else ""
    after = f"After {by or 'temperature {:.2f}'.format(calibration['temperature'])}"
    return [("before", "As predicted"), ("after", after)]


def _of(curve: pd.DataFrame | None, when: str) -> pd.DataFrame | None:
    """Give the smooth curve of a panel; None where there is none."""
    return None if curve is None or curve.empty else curve[curve["when"] == when]


def _draw_reliability(
    axes: Axes, rows: pd.DataFrame, title: str, curve: pd.DataFrame | None
) -> None:
    """Draw the bins with their intervals, the curve, and the diagonal of perfect calibration."""
    color, line, size = (style.BLUE, "o-", 6) if curve is None else (BAR, "o", 4)
    axes.plot([0, 1], [0, 1], **style.DASHED)
    axes.vlines(rows["confidence"], rows["low"], rows["high"], color=color, linewidth=1.2)
    axes.plot(rows["confidence"], rows["accuracy"], line, color=color, linewidth=1, markersize=size)
    if curve is not None:
        x, low, high = (curve[each] for each in ("probability", "low", "high"))
        axes.fill_between(x, low, high, color=style.BLUE, alpha=0.16, linewidth=0)
        axes.plot(x, curve["observed"], color=style.BLUE)
    axes.set_title(title, pad=20)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=TICKS, yticks=TICKS)
    axes.set_xticklabels([])
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.grid()


def _write_slope(axes: Axes, per_class: pd.DataFrame | None, shown: pd.DataFrame) -> None:
    """Write slope and intercept of the class that is drawn into a corner that holds no bin."""
    if per_class is None or "class" not in shown or "calibration_slope" not in per_class:
        return
    row = per_class[per_class["class"] == shown["class"].iloc[0]].iloc[0]
    lines = []
    for name in ("slope", "intercept"):
        value, *bounds = (row[f"calibration_{name}{end}"] for end in ("", "_low", "_high"))
        reach = defined(bounds)
        within = f" ({reach[0]:.2f} to {reach[1]:.2f})" if reach else ""
        lines += [] if undefined(value) else [f"{name} {value:.2f}{within}"]
    if lines:
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}
        taken = ((shown["confidence"] > 0.4) & (shown["accuracy"] < 0.25)).any()
        at, offset, ha, va = ((0, 1), (4, -5), "left", "top") if taken else CORNER
        style.note(axes, "\n".join(lines), at, offset, ha=ha, va=va, bbox=ground)


def _draw_outcomes(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    """Draw how many images of the class (upwards) and others (downwards) each bin holds."""
    widths = rows["bin_high"] - rows["bin_low"]
    hits = (rows["n"] * rows["accuracy"]).round()
    for heights, color in ((hits, style.BLUE), (hits - rows["n"], style.VERMILION)):
        axes.bar(rows["bin_low"], heights, 0.92 * widths, align="edge", color=color)
    axes.axhline(0, color=style.INK, linewidth=0.8)
    axes.set(xlim=(-0.02, 1.02), xticks=TICKS, xlabel=f"probability of {name}")
    axes.xaxis.set_major_formatter(style.percent_tick)
    axes.locator_params("y", nbins=4, integer=True, steps=[1, 2, 5, 10])
    axes.yaxis.set_major_formatter(lambda value, _: count(abs(value)))
    style.note(axes, f"up: images of {name}; down: the others", (0, 1), (0, 2), size=8.5)


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
    caption="How often what the probabilities say is so: on the diagonal, 80 % means 80 of 100. Of "
    "two classes it is about one of them, of more about the class that is answered. Dots are bins; "
    "the line is a smooth curve with its 95 % band.",
    tables=(
        "reliability.csv",
        "calibration.json",
        "class_reliability.csv",
        "calibration_curve.csv",
        "per_class.csv",
    ),
    draw=plot_reliability,
    stacks=True,
    position=5,
)
