"""Give figures their look, place what they hold, and save them.

A plot function takes tables and returns a Figure; save_figure alone writes files. Colours are
those of Okabe and Ito, which colour-blind readers can tell apart; shares run from light to dark in
one hue. The ground is white, in a page with a dark mode too.

Each function imports what it needs of matplotlib, so that the colours and a figure's record cost
nothing where nothing is drawn. Matplotlib's settings are left as they were.

Source: M. Okabe, K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing.fonts import families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

BLUE, VERMILION = "#0072B2", "#D55E00"
INK, QUIET, HAIRLINE = "#1f2328", "#59636e", "#d9dee3"
SHARES = ("#f1f5f9", "#7fb8d8", BLUE, "#00304d")
DASHED: dict[str, Any] = {"color": QUIET, "linewidth": 1, "linestyle": (0, (4, 3))}
WIDTH = 9.6
"""How wide a figure is in inches where it may fill the page of the report."""
NARROW = 3.6
"""How wide it is for a phone."""
PAD = 0.15
"""The margin around what is drawn, in inches."""
DOTS = 150
"""Dots an inch of a PNG."""
SCREEN_DOTS = 96
"""Those of one that is not kept."""

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
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
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.7,
    "legend.fontsize": 10,
    "legend.frameon": False,
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


@contextmanager
def styled(texts: Iterable[str]) -> Iterator[None]:
    """Set matplotlib's defaults and the style of this module, with fonts for the texts."""
    import matplotlib.style

    fonts = {"font.family": families("".join(texts))}
    with (
        matplotlib.style.context(["default", _STYLE | fonts]),
        matplotlib.rc_context({"svg.hashsalt": SVG_SALT, "svg.fonttype": "path"}),
    ):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make a figure (inches) that draws without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def two_panels(height: float, *, stacked: bool, **options: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure of two panels side by side, or stacked, each so many inches high."""
    figure = new_figure(NARROW if stacked else WIDTH, 2 * height if stacked else height)
    panels = figure.subplots(*((2, 1) if stacked else (1, 2)), **options)
    return figure, list(panels)


def one_panel(height: float, *, stacked: bool) -> tuple[Figure, Axes]:
    """Make a figure of one panel so many inches high; for a phone narrow and somewhat lower."""
    figure = new_figure(NARROW if stacked else WIDTH, 0.85 * height if stacked else height)
    return figure, figure.subplots()


def lay_out(figure: Figure, w_pad: float = 0.1, h_pad: float = 0.1) -> Figure:
    """Place everything once, with so much room around each panel (inches), and leave it there.

    Saving a figure would otherwise place it anew for each file.
    """
    figure.set_layout_engine("constrained", w_pad=w_pad, h_pad=h_pad)
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    return figure


def save_figure(figure: Figure, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write stem.png (150 dots an inch) and stem.svg, cropped; equal figures give equal bytes."""
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    with styled(()):
        crop = figure.get_tightbbox().padded(PAD)
        figure.savefig(png, format="png", dpi=DOTS, metadata={"Software": None}, bbox_inches=crop)
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(svg, format="svg", metadata=metadata, bbox_inches=crop)
    return png, svg


def screen_png(figure: Figure) -> bytes:
    """Give a figure as a PNG for a page that shows it for a while: no file keeps it."""
    with styled(()), BytesIO() as image:
        figure.savefig(image, format="png", dpi=SCREEN_DOTS, bbox_inches="tight", pad_inches=PAD)
        return image.getvalue()


def sentence(text: str) -> Figure:
    """Make a figure that says in words why there is nothing to draw."""
    with styled([text]):
        figure = new_figure(WIDTH, 1.6)
        axes = figure.subplots()
        say(axes, text)
        return lay_out(figure)


def say(axes: Axes, text: str, width: int = 90) -> None:
    """Write a sentence into the middle of an empty panel, in lines of so many characters."""
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    axes.spines[:].set_visible(False)
    lines = textwrap.fill(text, width)
    axes.text(0.5, 0.5, lines, ha="center", va="center", color=QUIET, size=11, linespacing=1.5)


def head(axes: Axes, *, stacked: bool, columns: int = 2) -> None:
    """Write the legend above a panel, in so many columns; for a phone in one."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.02), "borderaxespad": 0}
    narrow = {"ncols": 1, "fontsize": 8.5, "handlelength": 1.5}
    axes.legend(**place, **narrow if stacked else {"ncols": columns})


def note(
    axes: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **look: Any
) -> Annotation:
    """Write a small text so many points beside a place, by default in parts of the panel."""
    usual: dict[str, Any] = {"xycoords": "axes fraction", "color": QUIET, "size": 9.5}
    return axes.annotate(text, at, xytext=offset, textcoords="offset points", **usual | look)


def percent_tick(share: float, _place: object = None) -> str:
    """Write a share as a tick label."""
    return f"{round(100 * share, 6):g} %"
