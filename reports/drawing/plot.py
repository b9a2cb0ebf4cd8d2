"""Describe a figure: a record holds all that is known of it, in the figure's own file.

Each file of `reports/figures` is one figure and holds its record as PLOT. The stage that draws, the
files that it reads, and the report follow from the records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

if TYPE_CHECKING:  # a record is read where nothing is drawn
    from matplotlib.figure import Figure

Tables: TypeAlias = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Plot:
    """Hold one figure."""

    name: str
    """The stem of its files."""
    title: str
    caption: str | Callable[[Tables], str]
    """What to know of it; a function where that follows from the tables of the report."""
    tables: tuple[str, ...]
    """The files whose contents it is drawn from, in the order of the arguments of `draw`."""
    draw: Callable[..., Figure]
    position: int
    """Where it stands in the report, the lowest first."""
    options: tuple[str, ...] = ()
    """The options of the plot stage that `draw` takes by name besides."""
    stacks: bool = False
    """Whether `draw` takes `stacked`, to draw it for a phone: narrow, its panels stacked."""
    alternative: Callable[[Tables], str] | None = None
    """Says in words what it shows, from the tables of the report; else its caption does."""

    def explain(self, tables: Tables) -> str:
        """Give its caption."""
        return self.caption if isinstance(self.caption, str) else self.caption(tables)

    def describe(self, tables: Tables) -> str:
        """Say in words what it shows, for those who can't see it."""
        if self.alternative:
            return self.alternative(tables)
        return f"{self.title}. {self.explain(tables)}"
