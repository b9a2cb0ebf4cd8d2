"""Put the score into words and shapes for readers: sentences, bars, tiles, tables.

The numbers come from metrics.json, per_class.csv, confusion.csv and calibration.json as they are;
none is computed here. Every interval is of 95 %. What is undefined (NaN, None) reads "n/a", never
0, and an interval that is undefined is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.evaluation.sample import FEWEST
from resnext.contracts.formatting import (
    decimal,
    display_width,
    percent,
    plural,
    printable,
    undefined,
)

Metrics = Mapping[str, Any]
Bounds = Sequence[float | None] | None
Writer = Callable[[float | None], str]

PERCENT_COLUMNS = {
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "f1": "F1",
}
"""Columns of the per-class table that hold shares, with their headings."""
AREA_COLUMNS = {"auroc": "AUROC", "average_precision": "Average precision"}
"""Columns of the per-class table that hold areas from 0 to 1."""
TILES: Sequence[tuple[str, str, Writer, str]] = (
    ("auroc", "AUROC", decimal, "1 separates perfectly, 0.5 is chance"),
    ("macro_f1", "Macro F1", percent, "mean over the classes"),
    ("mcc", "MCC", decimal, "Matthews correlation: 1 is perfect, 0 is chance"),
    ("log_loss", "Log loss", decimal, "lower is better; confident mistakes cost most"),
    ("brier", "Brier score", decimal, "lower is better; mean squared error of the probabilities"),
    (
        "ece",
        "Calibration error",
        percent,
        "how far confidence and the share of right answers differ",
    ),
)


@dataclass(frozen=True)
class Bar:
    """Hold one share as a bar with the reach of its interval."""

    name: str
    share: float | None
    bounds: Bounds
    baseline: bool = False

    @property
    def value(self) -> str:
        """Write the share."""
        return percent(self.share)

    @property
    def width(self) -> float:
        """How much of the bar is filled, in percent."""
        return _clipped(self.share)

    @property
    def reach(self) -> tuple[float, float] | None:
        """Where the interval begins and how wide it is, in percent; None where undefined."""
        if _unknown(self.bounds):
            return None
        low, high = (_clipped(bound) for bound in self.bounds or ())
        return low, high - low

    @property
    def words(self) -> str:
        """Write the interval; nothing where undefined."""
        return reach(self.bounds, percent)


@dataclass(frozen=True)
class Tile:
    """Hold one figure with its name, its interval in words and its meaning."""

    name: str
    value: str
    bounds: str
    meaning: str


@dataclass(frozen=True)
class Mistake:
    """Hold one pair of classes that is confused, with count and share of the true class."""

    true: str
    predicted: str
    count: int
    share: float


def verdict(metrics: Metrics, per_class: pd.DataFrame) -> str:
    """Say in a sentence how the score compares with always answering the commonest class."""
    accuracy, baseline = metrics.get("accuracy"), metrics.get("majority_accuracy")
    if accuracy is None or baseline is None or undefined(accuracy) or undefined(baseline):
        return "No test picture could be evaluated, so there is no score."
    answer = f"always answering “{commonest(per_class)}” ({percent(baseline)})"
    points = round(100 * accuracy, 1) - round(100 * baseline, 1)  # as they are shown
    if round(points, 1) == 0:
        return f"Just as often right as {answer}."
    side = "above" if points > 0 else "below"
    return f"{abs(points):.1f} percentage points {side} {answer}.{_doubt(metrics, baseline)}"


def _doubt(metrics: Metrics, baseline: float) -> str:
    """Say where the interval of the accuracy holds the baseline, and whether groups are few."""
    bounds = metrics.get("accuracy_ci95")
    if _unknown(bounds):
        return ""
    low, high = bounds or (0, 0)
    inside = float(low or 0) <= baseline <= float(high or 0)
    if not inside:
        return ""
    if metrics.get("few_groups"):
        return " With so few groups that may be chance."
    return " That may be chance: the interval of the accuracy holds it."


def commonest(per_class: pd.DataFrame) -> str:
    """Name the class with the most pictures, the first one of equals."""
    return str(per_class["class"].iloc[int(per_class["support"].to_numpy().argmax())])


def bars(metrics: Metrics, per_class: pd.DataFrame) -> list[Bar]:
    """Give the shares that are set beside each other at the head of the report."""
    return [
        Bar("Accuracy", metrics.get("accuracy"), metrics.get("accuracy_ci95")),
        Bar(
            "Balanced accuracy",
            metrics.get("balanced_accuracy"),
            metrics.get("balanced_accuracy_ci95"),
        ),
        Bar(f"Always “{commonest(per_class)}”", metrics.get("majority_accuracy"), None, True),
    ]


def tiles(metrics: Metrics) -> list[Tile]:
    """Give the further figures of the whole test part, those that metrics.json holds."""
    return [
        Tile(
            name,
            write(metrics[key]),
            _reach_or_why(metrics, key, write),
            f"{meaning}{_beyond(key, metrics)}",
        )
        for key, name, write, meaning in TILES
        if key in metrics
    ]


def _beyond(key: str, metrics: Metrics) -> str:
    """Say of the calibration error what is left without what chance alone would show."""
    excess = metrics.get("ece_excess")
    return f"; beyond chance: {percent(excess)}" if key == "ece" and not undefined(excess) else ""


def sentences(
    metrics: Metrics, calibration: Mapping[str, Any] | None, per_class: pd.DataFrame
) -> list[str]:
    """Say what the score is by patient, at the threshold, and how probabilities are calibrated."""
    at_threshold = _operating_point(metrics) or _both_sensitivities(per_class)
    found = [_few_groups(metrics), _by_patient(metrics), at_threshold]
    return [text for text in (*found, _calibration(calibration)) if text]


def class_rows(per_class: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of the per-class table: name, support, and cells (text, interval, rank)."""
    writers: dict[str, Writer] = dict.fromkeys(PERCENT_COLUMNS, percent)
    writers |= dict.fromkeys(AREA_COLUMNS, decimal)
    return [
        {
            "name": row["class"],
            "support": row["support"],
            "cells": [
                _cell(row, column, write) for column, write in writers.items() if column in row
            ],
        }
        for row in per_class.to_dict("records")
    ]


def headings(per_class: pd.DataFrame) -> list[str]:
    """Give the headings of the cells of `class_rows`."""
    named = PERCENT_COLUMNS | AREA_COLUMNS
    return [heading for column, heading in named.items() if column in per_class]


def mistakes(confusion: pd.DataFrame, most: int = 5) -> list[Mistake]:
    """List the pairs of classes that are confused most often."""
    counts, totals = confusion.to_numpy(), confusion.to_numpy().sum(axis=1)
    pairs = [
        (int(counts[row, column]), row, column)
        for row, column in zip(*counts.nonzero(), strict=True)
        if row != column
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    names = [str(name) for name in confusion.index]
    return [
        Mistake(names[row], names[column], number, number / totals[row])
        for number, row, column in pairs[:most]
    ]


def format_per_class(per_class: pd.DataFrame) -> str:
    """Lay out the per-class table for a terminal: shares in percent, "n/a" where undefined."""
    names = [name for name in PERCENT_COLUMNS if name in per_class]
    header = ["class", "support", *names]
    rows = [
        [
            printable(str(row["class"])),
            f"{row['support']:.0f}",
            *(percent(row[n], " ") for n in names),
        ]
        for row in per_class.to_dict("records")
    ]
    widths = [max(map(display_width, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(_line(row, widths) for row in [header, *rows])


def reach(bounds: Bounds, write: Writer) -> str:
    """Write an interval, as in "58.1 % to 83.0 %"; nothing where it is undefined."""
    return "" if _unknown(bounds) else " to ".join(write(bound) for bound in bounds or ())


def _few_groups(metrics: Metrics) -> str:
    """Say where groups are few: those of the smallest class, in old files those of all classes."""
    if not metrics.get("few_groups"):
        return ""
    smallest = metrics.get("smallest_class")
    held = (
        f"The test part holds {plural(smallest['groups'], 'group')} of “{smallest['class']}”"
        if smallest
        else f"The test part holds {plural(metrics['groups'], 'group')}"
    )
    return f"{held}, too few for a firm score: even the intervals are rough guesses."


def _reach_or_why(metrics: Metrics, key: str, write: Writer) -> str:
    """Write the interval of a figure, or that it has none for want of groups."""
    smallest = metrics.get("smallest_class") or {"groups": FEWEST}
    if key in ("macro_f1", "mcc") and smallest["groups"] < FEWEST:
        return f"n/a, with under {FEWEST} groups of “{smallest['class']}”"
    return reach(metrics.get(f"{key}_ci95"), write)


def _by_patient(metrics: Metrics) -> str:
    found = metrics.get("per_patient") or {}
    if not found.get("n") or undefined(found.get("accuracy")):
        return ""
    return (
        f"By group, whose pictures answer together: right on {percent(found['accuracy'])} of "
        f"{found['n']:,}{_in_brackets(found.get('accuracy_ci95'))}."
    )


def _operating_point(metrics: Metrics) -> str:
    point = metrics.get("operating_point")
    if not point:
        return ""
    return (
        f"“{point['positive']}” is the positive class. With a threshold it would be said from a "
        f"calibrated probability of {point['threshold']:.3f} on ({point['rule']}; never chosen on "
        "the test part). On the "
        f"test part that finds {percent(point['sensitivity'])} of “{point['positive']}” "
        f"(sensitivity{_further(point['sensitivity_ci95'])}) and leaves "
        f"{percent(point['specificity'])} of the others alone "
        f"(specificity{_further(point['specificity_ci95'])})."
    )


def _both_sensitivities(per_class: pd.DataFrame) -> str:
    """Say how many of each of two classes are found, where neither is the positive one."""
    if len(per_class) != 2:
        return ""
    found = [
        f"{percent(row['recall'])} of “{row['class']}”"
        f"{_in_brackets((row.get('recall_low'), row.get('recall_high')))}"
        for row in per_class.to_dict("records")
    ]
    return (
        f"Sensitivity: the likeliest class finds {' and '.join(found)}. Neither name says which "
        "class is the positive one; --positive does."
    )


def _calibration(calibration: Mapping[str, Any] | None) -> str:
    if not calibration:
        return ""
    if calibration.get("fitted_on") is None:
        return (
            f"Probabilities are not calibrated: {calibration.get('reason') or 'no reason known'}."
        )
    return (
        f"Probabilities of new pictures are calibrated by the temperature "
        f"{calibration['temperature']:.2f}, fitted on {plural(calibration['n'], 'picture')} of the "
        "validation part."
    )


def _in_brackets(bounds: Bounds) -> str:
    return f" (95 %: {reach(bounds, percent)})" if not _unknown(bounds) else ""


def _further(bounds: Bounds) -> str:
    return f", 95 %: {reach(bounds, percent)}" if not _unknown(bounds) else ""


def _cell(row: Mapping[Any, Any], column: str, write: Writer) -> dict[str, Any]:
    bounds = (row.get(f"{column}_low"), row.get(f"{column}_high"))
    value = row[column]
    return {
        "text": write(value),
        "bounds": _short(bounds, column),
        "rank": "" if undefined(value) else f"{value:.6f}",
    }


def _short(bounds: Bounds, column: str) -> str:
    """Write an interval for a narrow cell: shares in whole percent, areas with two decimals."""
    if _unknown(bounds):
        return ""
    low, high = (float(bound or 0) for bound in bounds or ())
    if column in PERCENT_COLUMNS:
        return f"{100 * low:.0f} to {100 * high:.0f}\u00a0%"
    return f"{low:.2f} to {high:.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Align one line of a terminal table: the name to the left, numbers to the right."""
    pads = [" " * (width - display_width(cell)) for cell, width in zip(cells, widths, strict=True)]
    first = cells[0] + pads[0]
    rest = (pad + cell for cell, pad in zip(cells[1:], pads[1:], strict=True))
    return "  ".join([first, *rest])


def _unknown(bounds: Bounds) -> bool:
    return not bounds or any(undefined(bound) for bound in bounds)


def _clipped(share: float | None) -> float:
    """Turn a share into percent of a bar's length; 0 where undefined."""
    return 0.0 if undefined(share) else 100 * min(1.0, max(0.0, float(share or 0)))
