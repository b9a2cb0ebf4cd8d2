"""Draw the figures of a report from tables: learning curves and the confusion matrix.

A plot function takes a table and returns a Figure; save_figure alone writes files. Colours are
those of Okabe and Ito, which colour-blind readers can tell apart; shares run from light to dark in
one hue.

Text is drawn as it stands (no formulas). Where no installed font holds a character of a class
name, the figure shows the class's number instead, and font_note says so.
This module computes no metrics and leaves matplotlib's settings as it found them.

Source: M. Okabe, K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

FloatArray = npt.NDArray[np.float64]


BLUE, VERMILION = "#0072B2", "#D55E00"
INK, QUIET, HAIRLINE = "#1f2328", "#59636e", "#d9dee3"
SHARES = LinearSegmentedColormap.from_list("shares", ["#f1f5f9", "#7fb8d8", BLUE, "#00304d"])
LATIN_FONT = "DejaVu Sans"
WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "SimHei",
    "SimSun",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
"""Fonts with Chinese characters, by choice: free ones, then those of Windows and macOS."""

NUMBERED_CLASSES = 20
"""Up to so many classes the cells of a confusion matrix hold numbers."""
LABEL_WIDTH = 22
"""Longer class names are shortened in the middle, in characters."""

_STYLE: dict[str, Any] = {
    "axes.edgecolor": HAIRLINE,
    "axes.grid": False,
    "axes.labelcolor": QUIET,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.size": 10.5,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": HAIRLINE,
    "xtick.labelcolor": QUIET,
    "ytick.color": HAIRLINE,
    "ytick.labelcolor": QUIET,
}
SVG_SALT = "resnext-pipeline"
"""What the identifiers within an SVG are made from; without it they are random."""


def plot_curves(
    history: pd.DataFrame, *, validation_name: str, caption: str | None = None
) -> Figure:
    """Plot accuracy and loss by epoch, for the training part and for the one that is named.

    Columns that are empty are not drawn, and without them no best epoch is marked.
    """
    with _style([validation_name, caption or ""]):
        figure = _figure(9.6, 3.9)
        best = best_epoch(history)
        panels = figure.subplots(1, 2)
        for axes, measure in zip(panels, ("accuracy", "loss"), strict=True):
            _draw_measure(axes, history, measure, _drawable(validation_name, "validation"))
            if best is not None:
                _mark_best(axes, history, measure, best)
        if caption:
            text = _drawable(caption, "")
            figure.supxlabel(text, x=0.01, ha="left", color=QUIET, size=9)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    return figure


def best_epoch(history: pd.DataFrame) -> int | None:
    """Find the epoch with the highest val_accuracy, of equals with the lowest val_loss, first.

    None where none was measured.
    """
    measured = history.dropna(subset=["val_accuracy", "val_loss"])
    if measured.empty:
        return None
    order = ["val_accuracy", "val_loss", "epoch"]
    return int(measured.sort_values(order, ascending=[False, True, True])["epoch"].iloc[0])


def plot_confusion(confusion: pd.DataFrame) -> Figure:
    """Plot a confusion table (rows = true, columns = predicted), coloured by share of the row.

    Up to NUMBERED_CLASSES the cells hold the count and the share; above, a colour scale stands
    beside them. A row without pictures has no shares and stays blank.
    """
    names = [str(name) for name in confusion.index]
    counts = confusion.to_numpy(dtype=np.float64)  # (C, C)
    totals = counts.sum(axis=1, keepdims=True)  # (C, 1)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    numbered = len(names) <= NUMBERED_CLASSES
    with _style(names):
        labels = figure_labels(names)
        edge = _cell_edge(len(names)) * len(names)
        figure = _figure(edge + 0.1 * _width(labels) + 1, edge + 0.08 * _width(labels) + 1)
        axes = figure.subplots()
        norm = PowerNorm(1 if numbered else 0.5, vmin=0, vmax=1)
        image = axes.imshow(shares, cmap=SHARES, norm=norm, interpolation="nearest")
        _label_classes(axes, labels)
        if numbered:
            _write_cells(axes, counts, shares)
        else:
            _draw_scale(figure, axes, image)
        figure.set_layout_engine("constrained")
    return figure


def save_figure(figure: Figure, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write stem.png (150 dots an inch) and stem.svg, cropped; equal figures give equal bytes."""
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    crop: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.15}
    with _style(()):
        figure.savefig(png, format="png", dpi=150, metadata={"Software": None}, **crop)
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(svg, format="svg", metadata=metadata, **crop)
    return png, svg


def font_note(names: Iterable[str]) -> str | None:
    """Say which names no installed font can draw and what is drawn; None where all can be."""
    names = list(names)
    labels = figure_labels(names)
    changed = [
        f"'{name}' as '{label}'"
        for name, label in zip(names, labels, strict=True)
        if _missing(name)
    ]
    if not changed:
        return None
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    return (
        f"No installed font holds all characters of some class names; the figures show "
        f"{', '.join(changed[:5])}{more}. Install a font such as Noto Sans CJK to see them."
    )


def figure_labels(names: Sequence[str]) -> list[str]:
    """Give class names as a figure shows them: one line, shortened, numbered if not drawable."""
    return [_drawable(_shorten(name), f"#{place}") for place, name in enumerate(names, start=1)]


def _figure(width: float, height: float) -> Figure:
    """Make a figure (inches) that draws without a display."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def _style(texts: Iterable[str]) -> Iterator[None]:
    """Set matplotlib's defaults and the style of this module, with fonts for the texts."""
    fonts = {"font.family": _families("".join(texts))}
    with (
        matplotlib.style.context(["default", _STYLE | fonts]),
        matplotlib.rc_context({"svg.hashsalt": SVG_SALT, "svg.fonttype": "path"}),
    ):
        yield


def _draw_measure(axes: Axes, history: pd.DataFrame, measure: str, validation_name: str) -> None:
    """Draw one panel: its title, its lines, and their names at the right end."""
    series = [
        ("train", history[f"train_{measure}"].astype(float), QUIET),
        (validation_name, history[f"val_{measure}"].astype(float), BLUE),
    ]
    drawn = [(name, values, color) for name, values, color in series if values.notna().any()]
    epochs = history["epoch"]
    for _, values, color in drawn:
        axes.plot(epochs, values, color=color, marker="o" if len(epochs) < 3 else None)
    axes.set_title(measure.capitalize(), pad=20, family=LATIN_FONT)
    axes.set_xlabel("epoch")
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.02, y=0.08)
    _set_ticks(axes, [int(epoch) for epoch in epochs], measure)
    _name_lines(axes, float(epochs.iloc[-1]), drawn)


def _set_ticks(axes: Axes, epochs: Sequence[int], measure: str) -> None:
    """Put ticks on whole epochs and even shares, also where there is one point."""
    if len(epochs) <= 8:
        axes.set_xticks(epochs)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
    low, high = axes.get_ylim()
    narrow = 0.05 - (high - low)
    if narrow > 0:
        axes.set_ylim(low - narrow / 2, high + narrow / 2)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))


def _percent(share: float, _place: object = None) -> str:
    """Write a share as a tick label."""
    return f"{round(100 * share, 6):g} %"


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
        axes.annotate(
            name,
            (end, height),
            xytext=(9, 0),
            textcoords="offset points",
            color=color,
            size=11,
            va="center",
            annotation_clip=False,
        )


def _mark_best(axes: Axes, history: pd.DataFrame, measure: str, best: int) -> None:
    """Mark the best epoch by a thin line, a point on the validation line and its value."""
    epochs = history["epoch"].astype(float)
    value = float(history.loc[epochs == best, f"val_{measure}"].iloc[0])
    axes.axvline(best, color=VERMILION, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    if np.isnan(value):
        return
    axes.plot([best], [value], "o", color=VERMILION, markersize=7, zorder=5)
    text = f"{100 * value:.1f} % at epoch {best}"
    late = best > epochs.mean()
    axes.annotate(
        f"best: {text}" if measure == "accuracy" else f"{value:.3f} at epoch {best}",
        (best, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4 if late else -4, 3),
        textcoords="offset points",
        ha="right" if late else "left",
        va="bottom",
        color=VERMILION,
        size=9.5,
    )


def _cell_edge(classes: int) -> float:
    """Choose the edge of a cell in inches, so that numbers and names can be read."""
    if classes <= NUMBERED_CLASSES:
        return 1.2 if classes <= 3 else 0.66 if classes <= 8 else 0.5
    return max(0.13, 8 / classes)


def _width(labels: Sequence[str]) -> int:
    """Measure the widest label in Latin characters; a wide character counts as two."""
    return max(sum(2 if ord(character) > 0x2E7F else 1 for character in label) for label in labels)


def _label_classes(axes: Axes, labels: Sequence[str]) -> None:
    """Name rows and columns and draw white lines between the cells."""
    places, many = np.arange(len(labels)), len(labels) > NUMBERED_CLASSES
    size = 10.5 if not many else max(5.5, 10.5 - 0.06 * len(labels))
    axes.set_xticks(places, labels, size=size)
    axes.set_yticks(places, labels, size=size)
    if many:
        axes.tick_params(axis="x", rotation=90)
    elif 0.1 * _width(labels) > _cell_edge(len(labels)):
        for tick in axes.get_xticklabels():
            tick.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlabel("predicted", labelpad=8)
    axes.set_ylabel("true", labelpad=8)
    axes.spines[:].set_visible(False)
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.4 if many else 2)
    axes.tick_params(which="minor", length=0)


def _write_cells(axes: Axes, counts: FloatArray, shares: FloatArray) -> None:
    """Write count and share into each cell, dark on light and light on dark; a bare 0 if empty."""
    large = len(counts) <= 8
    for row, column in np.ndindex(*counts.shape):
        count, share, place = counts[row, column], shares[row, column], (column, row)
        if count == 0:
            _write(axes, "0", place, 0, color=QUIET, size=9.5)
            continue
        color = "white" if share > 0.57 else INK
        _write(
            axes, f"{count:.0f}", place, 7, color=color, size=12 if large else 9.5, weight="bold"
        )
        _write(axes, f"{100 * share:.0f} %", place, -7, color=color, size=9.5 if large else 8)


def _write(axes: Axes, text: str, place: tuple[int, int], above: float, **look: Any) -> None:
    """Write a text at the middle of a cell, so many points above it."""
    axes.annotate(
        text,
        place,
        xytext=(0, above),
        textcoords="offset points",
        ha="center",
        va="center_baseline",
        family=LATIN_FONT,
        **look,
    )


def _draw_scale(figure: Figure, axes: Axes, image: AxesImage) -> None:
    """Draw the colour scale beside the matrix."""
    place = axes.inset_axes((1.02, 0, 0.025, 1))
    scale = figure.colorbar(image, cax=place, ticks=[0, 0.05, 0.2, 0.4, 0.6, 0.8, 1])
    scale.ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    scale.ax.tick_params(length=0)
    scale.outline.set_visible(False)
    scale.set_label("share of the true class", color=QUIET)


def _shorten(text: str) -> str:
    """Put a text on one line of at most LABEL_WIDTH characters, shortened in the middle."""
    line = " ".join(text.split())
    if len(line) <= LABEL_WIDTH:
        return line
    return f"{line[: LABEL_WIDTH // 2]}…{line[-(LABEL_WIDTH // 2 - 1) :]}"


def _drawable(text: str, instead: str) -> str:
    """Give the text, or without the characters that no font holds after what stands instead."""
    missing = _missing(text)
    if not missing:
        return text
    rest = "".join(" " if character in missing else character for character in text).split()
    return " ".join([instead, *rest]).strip()


def _missing(text: str) -> frozenset[str]:
    """Find the characters of a text that no chosen font holds; spaces are never missing."""
    held = frozenset[int]().union(*(_characters(name) for name in _families(text)))
    return frozenset(
        character for character in text if ord(character) not in held and not character.isspace()
    )


def _families(text: str) -> list[str]:
    """Choose fonts for a text: the Latin one, then the first wide one that holds most of it."""
    wanted = {ord(character) for character in text if not _is_simple(character)}
    wanted -= _characters(LATIN_FONT)
    if not wanted:
        return [LATIN_FONT]
    installed = set(font_manager.get_font_names())
    wide = [name for name in WIDE_FONTS if name in installed]
    best = max(wide, key=lambda name: len(wanted & _characters(name)), default=None)
    return [LATIN_FONT] if best is None else [LATIN_FONT, best]


def _is_simple(character: str) -> bool:
    """Tell whether any font at all can draw a character: printable ASCII or a blank."""
    return character.isspace() or (character.isascii() and character.isprintable())


@lru_cache(maxsize=32)
def _characters(family: str) -> frozenset[int]:
    """Read the code points that an installed font holds."""
    path = font_manager.findfont(family, fallback_to_default=False)
    return frozenset(font_manager.get_font(path).get_charmap())
