"""Draw every figure of a run from its tables; `reports/figures` holds a file a figure.

Nothing that draws is imported before a figure is drawn, so that a stage can read the records.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import figures
from reports.drawing.plot import Plot
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_confusion, read_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CARRIED_FILES = ("figures/*.py",)  # which are found by their folder, not imported by name


def find_plots() -> tuple[Plot, ...]:
    """Read the records of all figures, in the order of the report."""
    modules = pkgutil.iter_modules(figures.__path__, f"{figures.__name__}.")
    plots: list[Plot] = [import_module(module.name).PLOT for module in modules]
    return tuple(sorted(plots, key=lambda plot: plot.position))


def narrow(name: str) -> str:
    """Name the variant of a figure whose panels stand below each other."""
    return f"{name}_narrow"


PLOTS = find_plots()
NAMES = tuple(each for plot in PLOTS for each in (plot.name, narrow(plot.name))[: 1 + plot.stacks])
"""The stems of all figures' files, in the order of the report."""
TABLES = frozenset(name for plot in PLOTS for name in plot.tables)
"""The files that the figures are drawn from."""


def plots_of(files: Collection[str]) -> tuple[Plot, ...]:
    """Give the figures that can be drawn from these files alone."""
    return tuple(plot for plot in PLOTS if {*plot.tables} <= {*files} and not plot.options)


def plot_all(find: Callable[[str], Path], /, **options: Any) -> Iterator[tuple[str, Figure]]:
    """Draw each figure in all its variants, with its name, asking where each table's file is.

    Raises:
        OSError: one of them is not there.
        ValueError: one of them is no such table.
    """
    return plot_some(PLOTS, find, **options)


def plot_some(
    plots: Sequence[Plot], find: Callable[[str], Path], /, **options: Any
) -> Iterator[tuple[str, Figure]]:
    """Draw some figures, as `plot_all` draws each.

    Raises:
        OSError: a table is not there.
        ValueError: one of them is no such table.
    """
    needed = {name for plot in plots for name in plot.tables}
    tables = {name: _read(find(name)) for name in sorted(needed)}
    for plot in plots:
        chosen, given = {name: options[name] for name in plot.options}, map(tables.get, plot.tables)
        yield plot.name, plot.draw(*(contents := tuple(given)), **chosen)
        if plot.stacks:
            yield narrow(plot.name), plot.draw(*contents, **chosen, stacked=True)


def _read(path: Path) -> Any:
    if path.suffix == ".json":
        return read_json(path)
    return read_confusion(path) if path.name == "confusion.csv" else read_table(path)
