"""Put compared recipes into a table for readers: what each scores and costs, and how they differ.

The numbers come from comparison.csv as they are; none is computed here. What is undefined (NaN)
reads "n/a", or is left empty where there is nothing to say, as of the first recipe's difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from reports.evaluation.comparison import (
    COMPARED,
    DIFFERENCE,
    FOLD_AUROC,
    LOG_LOSS,
    chance,
)
from reports.sections.score import cell
from resnext.contracts.formatting import percent, percent_interval, undefined

Cell = Mapping[str, str]
"""text, bounds and rank."""


class Column(NamedTuple):
    """Hold a column of the table."""

    title: str
    meaning: str
    cells: list[Cell]


def columns(table: pd.DataFrame) -> list[Column]:
    """Give the columns after the recipe's name."""
    rows = table.to_dict("records")
    score, accuracy, *others = [
        Column(each.title, each.meaning, [cell(row, each) for row in rows]) for each in COMPARED
    ]
    found = [score, Column("Difference", DIFFERS, [_difference(row) for row in rows])]
    found.append(Column("Adjusted p", CHANCE, [_number(row["p_holm"], chance) for row in rows]))
    if (table["seeds"] > 1).any():
        spread = [_number(row["seed_spread"], _points) for row in rows]
        found.append(Column("Spread of seeds", SPREAD, spread))
    found.append(accuracy)
    if "random_accuracy" in table:
        said = [_number(row["random_accuracy"], percent) for row in rows]
        found.append(Column("A random split says", RANDOM, said))
    return found + others + [_cost(rows, *each) for each in COSTS]


def short_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Give the rows of a short table: for a terminal and for the Prefect UI."""
    return [
        {
            "recipe": row["recipe"],
            "balanced accuracy": percent_interval(row[DIFFERENCE.name], _bounds(row)),
            "difference": " ".join(filter(None, (_difference(row)["text"], _adjusted(row)))),
            "accuracy": percent(row["accuracy"], " "),
            "AUROC": cell(row, FOLD_AUROC)["text"],
            "log loss": cell(row, LOG_LOSS)["text"],
            "multiply-adds": _giga(row["multiply_adds"]),
            "minutes": f"{row['minutes']:.1f}",
        }
        for row in table.to_dict("records")
    ]


def differing(recipes: Mapping[str, Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """List the settings that differ, each with the recipes' values."""
    return [each for each in _settings(recipes) if len(set(each[1])) > 1]


def common(recipes: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Give the settings that are the same for all recipes."""
    return {name: values[0] for name, values in _settings(recipes) if len(set(values)) == 1}


def describe(table: pd.DataFrame) -> str:
    """Say in words what the figure shows."""
    return "Balanced accuracy against cost: " + "; ".join(
        f"{row['recipe']} {percent_interval(row[DIFFERENCE.name], _bounds(row))}, "
        f"{_giga(row['multiply_adds'])} multiply-adds, {row['minutes']:.1f} minutes"
        for row in table.to_dict("records")
    )


DIFFERS = "points of balanced accuracy above the first recipe, on the same images"
CHANCE = "how often luck alone gives such a difference, adjusted for the number of recipes"
SPREAD = "the standard deviation of the balanced accuracy over the seeds, in points"
RANDOM = "the accuracy of the same network on a random split of all images, copies too"


def _settings(recipes: Mapping[str, Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    first = next(iter(recipes.values()))
    return [(name, [recipe[name] for recipe in recipes.values()]) for name in first]


def _cost(
    rows: list[dict[Any, Any]], title: str, name: str, meaning: str, write: Callable[[float], str]
) -> Column:
    return Column(title, meaning, [_number(row[name], write) for row in rows])


def _number(value: float, write: Callable[[float], str]) -> Cell:
    """Write a number; nothing where it is undefined."""
    if undefined(value):
        return {"text": "", "bounds": "", "rank": ""}
    return {"text": write(value), "bounds": "", "rank": f"{value:.9g}"}


def _difference(row: Mapping[Any, Any]) -> Cell:
    """Write a difference in points, with its interval."""
    low, high = row["difference_low"], row["difference_high"]
    bounds = "" if undefined(low) else f"{100 * low:+.1f} to {100 * high:+.1f}"
    return {**_number(row["difference"], lambda value: f"{100 * value:+.1f}"), "bounds": bounds}


def _adjusted(row: Mapping[Any, Any]) -> str:
    return "" if undefined(row["p_holm"]) else f"(p {chance(row['p_holm'])})"


def _bounds(row: Mapping[Any, Any]) -> tuple[float, float]:
    return row[f"{DIFFERENCE.name}_low"], row[f"{DIFFERENCE.name}_high"]


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _giga(number: float) -> str:
    return f"{number / 1e9:.2f} G"


COSTS: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("Parameters", "parameters", "of the network", lambda number: f"{number / 1e6:.1f} M"),
    ("Multiply-adds", "multiply_adds", "of one image; of a probe, of all its views", _giga),
    (
        "Minutes",
        "minutes",
        "of all trainings; of a probe, of making its features once too",
        lambda number: f"{number:.1f}",
    ),
    ("Images/s", "images_per_second", "in prediction", lambda number: f"{number:.0f}"),
)
"""Title, column and meaning of what a recipe costs, and how it is written."""
