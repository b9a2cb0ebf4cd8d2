"""Lay out the score of each subgroup, and say which gaps are clearly above 0.

The numbers come from subgroups.csv and subgroup_gaps.csv; none is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reports.evaluation.metrics import FEWEST, Metric
from reports.evaluation.subgroups import ACCURACY, AUROC, BALANCED, RECALL
from reports.sections.score import cell
from resnext.contracts.formatting import decimal, undefined

Found = Mapping[str, Any]
Column = tuple[Metric, str]
"""A figure, and the class of a recall."""
MOST_GAPS = 6
"""So many gaps are said in words."""


def columns(classes: Sequence[str], positive: str | None) -> list[Column]:
    """Choose the figures to show: with the recall of two classes, else of the positive one."""
    shown = list(classes) if len(classes) == 2 else [positive] if positive else []
    return [(ACCURACY, ""), (BALANCED, ""), (AUROC, ""), *((RECALL, name) for name in shown)]


def heading(column: Column) -> str:
    """Name a figure."""
    metric, name = column
    return f"{metric.title} of {name}" if name else metric.title


def tables(found: Found, shown: Sequence[Column]) -> list[dict[str, Any]]:
    """Give a table for each attribute: its rows of subgroups, and the row of the widest gap."""
    figures, gaps = found["figures"], found["gaps"]
    return [
        {
            "name": name,
            "rows": _rows(figures[figures["attribute"] == name], shown),
            "gap": _gaps(gaps[gaps["attribute"] == name], shown),
        }
        for name in figures["attribute"].unique()
    ]


def _rows(figures: pd.DataFrame, shown: Sequence[Column]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "images": mine["images"].iloc[0],
            "groups": mine["groups"].iloc[0],
            "cells": [_cell(row, metric, "value") for metric, row in _of(mine, shown)],
        }
        for name, mine in figures.groupby("subgroup", sort=False)
    ]


def _gaps(gaps: pd.DataFrame, shown: Sequence[Column]) -> list[dict[str, str]]:
    """Give the widest gaps; of shares they are in percentage points, no shares themselves."""
    cells = (_cell(row, metric, "gap") for metric, row in _of(gaps, shown))
    return [
        {name: text.replace("\u00a0%", "\u00a0points") for name, text in each.items()}
        for each in cells
    ]


def _of(table: pd.DataFrame, shown: Sequence[Column]) -> list[tuple[Metric, dict[Any, Any]]]:
    """Give the row of each figure."""
    of = {(row["figure"], row["class"]): row for row in table.to_dict("records")}
    return [(metric, of[metric.name, name]) for metric, name in shown]


def _cell(row: Mapping[str, Any], metric: Metric, name: str) -> dict[str, str]:
    values = {metric.name: row[name]}
    bounds = {f"{metric.name}_low": row["low"], f"{metric.name}_high": row["high"]}
    found = cell(values | bounds, metric)
    return found | {"text": row["note"] or found["text"]} if undefined(row[name]) else found


def verdict(found: Found, shown: Sequence[Column]) -> list[str]:
    """Say which gaps are clearly above 0, the widest first."""
    gaps, names = found["gaps"], {(metric.name, name): (metric, name) for metric, name in shown}
    clear = [
        (row, names[row["figure"], row["class"]])
        for row in gaps[gaps["low"] > 0].sort_values("gap", ascending=False).to_dict("records")
        if (row["figure"], row["class"]) in names
    ]
    return [_in_words(row, column) for row, column in clear[:MOST_GAPS]]


def _in_words(row: Mapping[str, Any], column: Column) -> str:
    numbers = [row[name] for name in ("gap", "low", "high")]
    share, points = column[0].in_percent, " points" if column[0].in_percent else ""
    gap, low, high = (f"{100 * each:.1f}" if share else decimal(each) for each in numbers)
    return (
        f"{heading(column)} by {row['attribute']}: {row['highest']} lies {gap}{points} above "
        f"{row['lowest']} (95\u00a0%: {low} to {high}{points})."
    )


def few() -> int:
    """Give how many groups a figure needs to be shown."""
    return FEWEST
