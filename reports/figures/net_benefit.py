"""Draw whether acting on the answers does more good than acting on every image, or on none.

Source: Vickers & Elkin 2006, https://doi.org/10.1177/0272989X06295361
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing import style
from reports.drawing.fonts import LABEL_WIDTH, NARROW_WIDTH, figure_labels
from reports.drawing.plot import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NONE = (
    "No decision curve: it is about acting on one class, and no class is taken for the positive "
    "one. --positive names it."
)
ROOM = 0.12
"""How far below 0 the figure reaches, in parts of the share of the class."""


def plot_net_benefit(
    net_benefit: pd.DataFrame, per_class: pd.DataFrame, *, stacked: bool = False
) -> Figure:
    """Plot the net benefit of acting on the network's answers, on every image, and on none.

    The curve of acting on every image runs out below: it falls without end.

    Args:
        net_benefit: class, threshold, net_benefit, low, high, treat_all; may be empty.
        per_class: class, all of them.
        stacked: Whether it is drawn for a phone.
    """
    if net_benefit.empty:
        return style.sentence(NONE)
    names = [str(name) for name in per_class["class"]]
    name = figure_labels(names, NARROW_WIDTH if stacked else LABEL_WIDTH)[
        names.index(str(net_benefit["class"].iloc[0]))
    ]
    with style.styled([name]):
        figure, axes = style.one_panel(4.6, stacked=stacked)
        x, value, low, high = (
            net_benefit[each] for each in ("threshold", "net_benefit", "low", "high")
        )
        axes.axhline(0, color=style.INK, linewidth=1.2, label="acting on none")
        every = net_benefit["treat_all"]
        axes.plot(x, every, color=style.VERMILION, linewidth=1.6, label="acting on every image")
        axes.fill_between(
            x, low, high, color=style.BLUE, alpha=0.16, linewidth=0, label="95 % band"
        )
        axes.plot(x, value, color=style.BLUE, label="acting on the network's answers")
        top = max(value.max(), every.max(), 0.05)
        axes.set(xlim=(0, 1), ylim=(-ROOM * top, 1.12 * max(top, min(high.max(), 1.5 * top))))
        end = "\n" if stacked else " "
        axes.set(xlabel=f"threshold: the probability of{end}{name}{end}from which on one acts")
        axes.set_ylabel("net benefit")
        axes.xaxis.set_major_formatter(style.percent_tick)
        axes.grid()
        style.head(axes, stacked=stacked, columns=4)
        return style.lay_out(figure)


PLOT = Plot(
    name="net_benefit",
    title="Decision curve",
    caption="Who acts from a probability of 10 % on takes nine false alarms for one find. The net "
    "benefit is the share of all images that are rightly acted on, less the share of false alarms "
    "at that rate. Where the blue curve lies above both others, acting on the network's answers "
    "does more good than acting on every image, or on none.",
    tables=("net_benefit.csv", "per_class.csv"),
    draw=plot_net_benefit,
    stacks=True,
    position=6,
)
