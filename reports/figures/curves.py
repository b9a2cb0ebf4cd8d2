"""Draw the learning curves: accuracy and loss by epoch.

The best epoch is the one whose weights were kept, by the metric that chose it. It is marked without
its values: they were chosen, and would be read as a score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.drawing import style
from reports.drawing.fonts import LATIN_FONT
from reports.drawing.plot import Plot
from reports.parts import PARTS, is_measured, validation_name
from resnext.contracts.formatting import percent, plural, undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_training(
    history: pd.DataFrame,
    split: pd.DataFrame,
    timing: pd.DataFrame,
    *,
    metric: str,
    keep: str,
    show_time: bool,
    stacked: bool = False,
) -> Figure:
    """Plot accuracy and loss by epoch, for the training part and the validation part, or else test.

    Columns that are empty are not drawn. No epoch is marked where none was chosen: where the last
    epoch's weights were kept, and without a validation part.

    Args:
        history: history.csv, a row an epoch; losses and accuracies (shares 0..1) may be NaN.
        split: split.csv.
        timing: timing.csv; its last finished_at is when the training ended.
        metric: What makes an epoch the best: val_accuracy or val_loss.
        keep: Which weights were kept: best or last.
        show_time: Whether to say when the training ended.
        stacked: Whether the panels stand below each other.
    """
    if history.empty:
        return style.sentence("No learning curves: the network was not trained for a single epoch.")
    name = validation_name(split)
    chosen = keep == "best" and name == PARTS["val"]
    best = best_epoch(history, metric) if chosen else None
    with style.styled([]):
        figure, panels = style.two_panels(3.0 if stacked else 3.9, stacked=stacked)
        for axes, measure in zip(panels, ("accuracy", "loss"), strict=True):
            _draw_measure(axes, history, measure, name.lower())
            if best is not None:
                _mark_best(axes, history, measure, best, chosen=f"val_{measure}" == metric)
        if show_time and len(timing):
            ended = f"Training ended {timing['finished_at'].iloc[-1]}"
            figure.supxlabel(ended, x=0.01, ha="left", color=style.QUIET, size=9)
        return style.lay_out(figure, w_pad=0.12)


def best_epoch(history: pd.DataFrame, best_by: str = "val_accuracy") -> int | None:
    """Find the epoch with the highest val_accuracy, of equals with the lowest val_loss, first.

    By val_loss it is the first with the lowest. None where none was measured.
    """
    measured = history.dropna(subset=["val_accuracy", "val_loss"])
    if measured.empty:
        return None
    order = {"val_accuracy": False} if best_by == "val_accuracy" else {}
    order |= {"val_loss": True, "epoch": True}
    ranked = measured.sort_values(list(order), ascending=list(order.values()))
    return int(ranked["epoch"].iloc[0])


def _draw_measure(axes: Axes, history: pd.DataFrame, measure: str, validation_name: str) -> None:
    """Draw one panel: its title, its lines, and their names at the right end."""
    series = [
        ("train", history[f"train_{measure}"].astype(float), style.QUIET),
        (validation_name, history[f"val_{measure}"].astype(float), style.BLUE),
    ]
    drawn = [(name, values, color) for name, values, color in series if values.notna().any()]
    epochs = history["epoch"]
    for _, values, color in drawn:
        axes.plot(epochs, values, color=color, marker="o" if len(epochs) < 3 else None)
    axes.set_title(measure.capitalize(), pad=20, family=LATIN_FONT)
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
    axes.margins(x=0.02, y=0.08)
    _set_ticks(axes, [int(epoch) for epoch in epochs], measure)
    _name_lines(axes, float(epochs.iloc[-1]), drawn)


def _set_ticks(axes: Axes, epochs: Sequence[int], measure: str) -> None:
    """Put ticks on whole epochs and even shares, also where there is one point."""
    if len(epochs) <= 8:
        axes.set_xticks(epochs)
    else:
        axes.locator_params("x", integer=True, nbins=8)
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
    low, high = axes.get_ylim()
    narrow = 0.05 - (high - low)
    if narrow > 0:
        axes.set_ylim(low - narrow / 2, high + narrow / 2)
    axes.locator_params("y", nbins=7, steps=[1, 2, 5, 10])
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(style.percent_tick)


def _name_lines(axes: Axes, end: float, drawn: Sequence[tuple[str, pd.Series[Any], str]]) -> None:
    """Write each line's name beside its last point, at least a line of text apart."""
    low, high = axes.get_ylim()
    apart = 0.075 * (high - low)
    ends = sorted((float(values.dropna().iloc[-1]), name, color) for name, values, color in drawn)
    heights = [value for value, _, _ in ends]
    if len(ends) == 2 and heights[1] - heights[0] < apart:
        middle = sum(heights) / 2
        heights = [middle - apart / 2, middle + apart / 2]
    for height, (_, name, color) in zip(heights, ends, strict=True):
        look = {"xycoords": "data", "color": color, "size": 11, "va": "center"}
        style.note(axes, name, (end, height), (9, 0), annotation_clip=False, **look)


def _mark_best(axes: Axes, history: pd.DataFrame, measure: str, best: int, *, chosen: bool) -> None:
    """Mark the best epoch by a thin line and a point on the validation line.

    The panel of the measure that chose it says why.
    """
    epochs = history["epoch"].astype(float)
    value = float(history.loc[epochs == best, f"val_{measure}"].iloc[0])
    axes.axvline(best, color=style.VERMILION, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    if np.isnan(value):
        return
    axes.plot([best], [value], "o", color=style.VERMILION, markersize=7, zorder=5)
    why = f": {'highest' if measure == 'accuracy' else 'lowest'} {measure}" if chosen else ""
    late = best > epochs.mean()
    look = {"xycoords": ("data", "axes fraction"), "color": style.VERMILION, "va": "bottom"}
    text, offset = f"epoch {best} kept{why}", (4 if late else -4, 3)
    style.note(axes, text, (best, 1), offset, ha="right" if late else "left", **look)


def describe(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say in words where the learning curves end."""
    history = tables["history.csv"]
    if history.empty:
        return "Learning curves without an epoch."
    last, name = history.iloc[-1], validation_name(tables["split.csv"]).lower()
    ends = f"train accuracy {percent(last['train_accuracy'])}"
    if not undefined(last["val_accuracy"]):
        ends += f", {name} accuracy {percent(last['val_accuracy'])}"
    return f"Learning curves over {plural(len(history), 'epoch')}. At the end: {ends}."


def explain(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say what the lines mean, and how the weights that were kept were chosen, if they were."""
    if not is_measured(tables["history.csv"]):
        return (
            "Accuracy and loss on the training images after each epoch. Nothing was measured on "
            "others in the meantime, and no epoch was chosen: the last one's weights were kept."
        )
    return (
        "Accuracy and loss after each epoch. Where the training line goes on improving and the "
        "other does not, the network may be learning the training images by heart, or was trained "
        "for too few steps. A marked epoch is the one whose weights were kept. The validation part "
        "chose it, which makes its figures there too good: they are no score. Where no epoch is "
        "marked, none was chosen: the last one's weights were kept."
    )


PLOT = Plot(
    name="curves",
    title="Learning curves",
    caption=explain,
    tables=("history.csv", "split.csv", "timing.csv"),
    draw=plot_training,
    position=7,
    options=("metric", "keep", "show_time"),
    stacks=True,
    alternative=describe,
)
