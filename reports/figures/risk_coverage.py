"""Draw how many answers are wrong when the least certain images are referred.

Source: El-Yaniv & Wiener 2010, https://www.jmlr.org/papers/v11/el-yaniv10a.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.drawing import style
from reports.drawing.plot import Plot
from resnext.contracts.formatting import defined, percent, undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_HEIGHT = 0.05
"""The axis of errors reaches up to this at least."""


def plot_risk_coverage(
    risk_coverage: pd.DataFrame, metrics: Mapping[str, Any], *, stacked: bool = False
) -> Figure:
    """Plot the share of wrong answers among the most certain ones by how many are answered.

    Args:
        risk_coverage: coverage, risk, low, high (0..1), the most certain first; may be empty.
        metrics: `uncertainty`, as in metrics.json, with the area under the curve and, where a
            promise was asked for, what was answered by it.
        stacked: Whether it is drawn for a phone.
    """
    if risk_coverage.empty:
        return style.sentence("No risk-coverage curve: no test image could be evaluated.")
    found = metrics.get("uncertainty") or {}
    with style.styled([]):
        figure, axes = style.one_panel(4.3, stacked=stacked)
        x, y, low, high = (risk_coverage[name] for name in ("coverage", "risk", "low", "high"))
        axes.fill_between(
            x, low, high, color=style.BLUE, alpha=0.16, linewidth=0, label="95 % band"
        )
        mark = "o-" if len(x) < 3 else "-"
        axes.plot(x, y, mark, color=style.BLUE, label=_area(found), zorder=3)
        axes.axhline(y.iloc[-1], **style.DASHED, label=f"all answered: {percent(y.iloc[-1])} wrong")
        _draw_promise(axes, found.get("referral") or {})
        top = float(np.nanmax([*y, *high, LEAST_HEIGHT]))
        axes.set(xlim=(0, 1.01), ylim=(-0.015 * top, min(1.02, 1.05 * top)))
        end = "\n" if stacked else " "
        axes.set(xlabel=f"share of the images that is answered,{end}the most certain first")
        axes.set_ylabel("wrong answers" if stacked else "wrong answers among these")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(style.percent_tick)
        axes.grid()
        style.head(axes, stacked=stacked)
        return style.lay_out(figure)


def _area(found: Mapping[str, Any]) -> str:
    """Write the area under the curve with its interval."""
    area, bounds = found.get("aurc"), defined(found.get("aurc_ci95"))
    reach = f" ({bounds[0]:.3f}-{bounds[1]:.3f})" if bounds else ""
    return "test part" if undefined(area) else f"test part, area {area:.3f}{reach}"


def _draw_promise(axes: Axes, referral: Mapping[str, Any]) -> None:
    """Mark what was answered where a share of wrong answers is promised, with its interval."""
    if undefined(referral.get("answered")) or undefined(referral.get("error")):
        return
    x, y = float(referral["answered"]), float(referral["error"])
    if bounds := defined(referral.get("error_ci95")):
        axes.vlines(x, *bounds, color=style.VERMILION, linewidth=1.2, zorder=4)
    label = f"promised: at most {percent(referral['max_error'])}"
    look: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white", "zorder": 5}
    axes.plot([x], [y], "o", color=style.VERMILION, label=label, **look)


PLOT = Plot(
    name="risk_coverage",
    title="Risk and coverage",
    caption="How many answers are wrong when only the most certain images are answered and the "
    "others are referred to a person. A useful confidence lets the curve fall to the left.",
    tables=("risk_coverage.csv", "metrics.json"),
    draw=plot_risk_coverage,
    stacks=True,
    position=6,
)
