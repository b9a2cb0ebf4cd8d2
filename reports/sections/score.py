"""Put the score into words and shapes for readers: sentences, bars, tiles, tables.

The numbers come from metrics.json, per_class.csv, confusion.csv and calibration.json as they are;
none is computed here. Every interval is of 95 %. What is undefined (NaN, None) reads "n/a", never
0, and an interval that is undefined is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from reports.evaluation.metrics import CLASS_METRICS, METRICS, Metric
from resnext.contracts.formatting import (
    NOT_AVAILABLE,
    display_width,
    percent,
    plain,
    plural,
    printable,
    undefined,
)

Metrics = Mapping[str, Any]
Bounds = Sequence[float | None] | None


@dataclass(frozen=True)
class Result:
    """Hold a metric of the test part as a reader sees it."""

    metric: Metric
    name: str
    number: float | None
    interval: Bounds
    bounds: str
    """The interval in words, or why there is none."""
    meaning: str

    @property
    def value(self) -> str:
        """Write the number."""
        return self.metric.write(self.number)

    @property
    def width(self) -> float:
        """How much of its bar is filled, in percent."""
        return _clipped(self.number)

    @property
    def reach(self) -> tuple[float, float] | None:
        """Where the interval begins and how wide it is, in percent; None where undefined."""
        if _unknown(self.interval):
            return None
        low, high = (_clipped(bound) for bound in self.interval or ())
        return low, high - low


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


def bars(metrics: Metrics, per_class: pd.DataFrame) -> list[Result]:
    """Give the shares that are set beside each other at the head of the report.

    The baseline is named after the class that is always answered.
    """
    found = _results(metrics, ("bar", "baseline"))
    always = f"Always “{commonest(per_class)}”"
    return [replace(r, name=always) if r.metric.shown == "baseline" else r for r in found]


def tiles(metrics: Metrics) -> list[Result]:
    """Give the further metrics of the whole test part."""
    return _results(metrics, ("tile",))


def score_table(metrics: Metrics, per_class: pd.DataFrame) -> list[str]:
    """Write all metrics of the test part as the lines of a table in Markdown."""
    rows = [*bars(metrics, per_class), *tiles(metrics)]
    lines = [f"| {plain(r.name)} | {r.value} | {r.bounds or NOT_AVAILABLE} |" for r in rows]
    return ["| figure | test part | 95 % interval |", "|---|---|---|", *lines]


def _results(metrics: Metrics, kinds: Collection[str]) -> list[Result]:
    """Give the metrics that are shown in one of these ways, those that metrics.json holds."""
    return [
        Result(
            metric,
            metric.title,
            metrics[metric.name],
            metrics.get(f"{metric.name}_ci95"),
            _reach_or_why(metrics, metric),
            _meaning(metric, metrics),
        )
        for metric in METRICS
        if metric.shown in kinds and metric.name in metrics
    ]


def _meaning(metric: Metric, metrics: Metrics) -> str:
    """Say what a metric means, or when it is undefined, and what stands beside it in its tile."""
    if undefined(metrics[metric.name]):
        return f"undefined: {metric.undefined}"
    beside = [
        f"; {other.title}: {other.write(metrics[other.name])}"
        for other in METRICS
        if other.name == metric.beside and not undefined(metrics.get(other.name))
    ]
    return metric.meaning + "".join(beside)


def sentences(
    metrics: Metrics, calibration: Mapping[str, Any] | None, per_class: pd.DataFrame
) -> list[str]:
    """Say what the score is by patient, at the threshold, and how probabilities are calibrated."""
    at_threshold = _operating_point(metrics) or _both_sensitivities(per_class)
    found = [_few_groups(metrics), _by_patient(metrics), at_threshold]
    return [text for text in (*found, _calibration(calibration)) if text]


def class_metrics(per_class: pd.DataFrame) -> list[Metric]:
    """Give the metrics of the per-class table, those that it holds."""
    return [metric for metric in CLASS_METRICS if metric.name in per_class]


def class_rows(per_class: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of the per-class table: name, support, and cells (text, interval, rank)."""
    metrics = class_metrics(per_class)
    return [
        {
            "name": row["class"],
            "support": row["support"],
            "cells": [_cell(row, metric) for metric in metrics],
        }
        for row in per_class.to_dict("records")
    ]


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
    names = [metric.name for metric in class_metrics(per_class) if metric.in_percent]
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


def reach(bounds: Bounds, write: Callable[[float | None], str]) -> str:
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


def _reach_or_why(metrics: Metrics, metric: Metric) -> str:
    """Write the interval of a metric, or that it has none for want of groups."""
    smallest = metrics.get("smallest_class") or {"groups": metric.fewest_groups}
    if smallest["groups"] < metric.fewest_groups:
        return f"n/a, with under {metric.fewest_groups} groups of “{smallest['class']}”"
    return reach(metrics.get(f"{metric.name}_ci95"), metric.write)


def _by_patient(metrics: Metrics) -> str:
    found = metrics.get("per_patient") or {}
    if not found.get("n") or undefined(found.get("accuracy")):
        return ""
    return (
        f"By group, whose pictures answer together: right on {percent(found['accuracy'])} of "
        f"{found['n']:,}{_reach(found.get('accuracy_ci95'), ' (', ')')}."
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
        f"(sensitivity{_reach(point['sensitivity_ci95'], ', ')}) and leaves "
        f"{percent(point['specificity'])} of the others alone "
        f"(specificity{_reach(point['specificity_ci95'], ', ')})."
    )


def _both_sensitivities(per_class: pd.DataFrame) -> str:
    """Say how many of each of two classes are found, where neither is the positive one."""
    if len(per_class) != 2:
        return ""
    found = [
        f"{percent(row['recall'])} of “{row['class']}”"
        f"{_reach((row.get('recall_low'), row.get('recall_high')), ' (', ')')}"
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


def _reach(bounds: Bounds, before: str, after: str = "") -> str:
    """Write an interval within a sentence; nothing where it is undefined."""
    return "" if _unknown(bounds) else f"{before}95 %: {reach(bounds, percent)}{after}"


def _cell(row: Mapping[Any, Any], metric: Metric) -> dict[str, Any]:
    value = row[metric.name]
    return {
        "text": metric.write(value),
        "bounds": _short((row.get(f"{metric.name}_low"), row.get(f"{metric.name}_high")), metric),
        "rank": "" if undefined(value) else f"{value:.6f}",
    }


def in_one_line(cell: Mapping[str, str]) -> str:
    """Write a cell with its interval."""
    return f"{cell['text']} ({cell['bounds']})" if cell["bounds"] else cell["text"]


def _short(bounds: Bounds, metric: Metric) -> str:
    """Write an interval for a narrow cell: shares in whole percent, others with two decimals."""
    if _unknown(bounds):
        return ""
    low, high = (float(bound or 0) for bound in bounds or ())
    if metric.in_percent:
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
