"""Put the score into words and shapes for readers: sentences, bars, tiles, tables.

The numbers come from metrics.json, per_class.csv, confusion.csv and calibration.json as they are;
none is computed here. Every interval is of 95 %. What is undefined (NaN, None) reads "n/a", never
0, and an interval that is undefined is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from reports.evaluation.metrics import CLASS_METRICS, METRICS, Metric
from resnext.contracts.formatting import (
    NOT_AVAILABLE,
    Bounds,
    defined,
    percent,
    plain,
    plural,
    undefined,
)

Metrics = Mapping[str, Any]
FAR = 0.1
"""A calibration error that is surely larger makes a probability useless: 0.9 may stand for 0.8."""


@dataclass(frozen=True)
class Result:
    """Hold a metric of the test part as a reader sees it."""

    metric: Metric
    name: str
    value: str
    bounds: str
    """The interval in words, or why there is none."""
    meaning: str
    width: float
    """How much of its bar is filled, in percent."""
    reach: tuple[float, float] | None
    """Where the interval begins and how wide it is, in percent; None where undefined."""

    @property
    def is_baseline(self) -> bool:
        """Tell whether it is what others are compared with."""
        return self.metric.shown == "baseline"


def verdict(metrics: Metrics, per_class: pd.DataFrame) -> str:
    """Say how the score compares with always answering the commonest class, if it is not that."""
    accuracy, baseline = metrics.get("accuracy"), metrics.get("majority_accuracy")
    if undefined(accuracy) or undefined(baseline) or accuracy is None or baseline is None:
        return "No test image could be evaluated, so there is no score."
    if same := only_answer(per_class):
        return same
    answer = f"always answering “{commonest(per_class)}” ({percent(baseline)})"
    points = round(100 * accuracy, 1) - round(100 * baseline, 1)  # as they are shown
    if round(points, 1) == 0:
        return f"Just as often right as {answer}."
    text = f"{abs(points):.1f} percentage points {'above' if points > 0 else 'below'} {answer}."
    bounds = defined(metrics.get("accuracy_ci95"))
    if bounds is None or not bounds[0] <= baseline <= bounds[1]:
        return text
    if metrics.get("few_groups"):
        return f"{text} With so few groups that may be chance."
    return f"{text} That may be chance: the interval of the accuracy holds it."


def only_answer(per_class: pd.DataFrame) -> str:
    """Say that images of several classes all got one answer; empty if they did not."""
    given = per_class.loc[
        per_class["precision"].notna(), "class"
    ]  # the others were never predicted
    if len(given) != 1 or (per_class["support"] > 0).sum() < 2:
        return ""
    return (
        f"The network answered “{given.iloc[0]}” for every test image: it has not learned to tell "
        "the classes apart."
    )


def commonest(per_class: pd.DataFrame) -> str:
    """Name the class with the most images, the first one of equals."""
    return str(per_class["class"].iloc[int(per_class["support"].to_numpy().argmax())])


def bars(metrics: Metrics, per_class: pd.DataFrame) -> list[Result]:
    """Give the shares that are compared with each other at the head of the report.

    The baseline is named after the class that is always answered.
    """
    always = f"Always “{commonest(per_class)}”"
    found = _results(metrics, ("bar", "baseline"))
    return [replace(r, name=always) if r.metric.shown == "baseline" else r for r in found]


def tiles(metrics: Metrics) -> list[Result]:
    """Give the further metrics of the whole test part."""
    return _results(metrics, ("tile",))


def score_table(metrics: Metrics, per_class: pd.DataFrame) -> list[str]:
    """Write all metrics of the test part as the lines of a table in Markdown."""
    rows = [*bars(metrics, per_class), *tiles(metrics)]
    lines = [f"| {plain(r.name)} | {r.value} | {plain(r.bounds) or NOT_AVAILABLE} |" for r in rows]
    return ["| figure | test part | 95 % interval |", "|---|---|---|", *lines]


def class_metrics(per_class: pd.DataFrame) -> list[Metric]:
    """Give the metrics of the per-class table, those that it holds."""
    return [metric for metric in CLASS_METRICS if metric.name in per_class]


def class_rows(per_class: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of the per-class table: name, support, and cells (text, bounds, rank, line)."""
    metrics = class_metrics(per_class)
    return [
        {
            "name": row["class"],
            "support": row["support"],
            "cells": [cell(row, metric) for metric in metrics],
        }
        for row in per_class.to_dict("records")
    ]


def terminal_rows(per_class: pd.DataFrame) -> list[dict[str, str]]:
    """Give the rows of the per-class table for a terminal, with the shares in percent alone."""
    names = [metric.name for metric in class_metrics(per_class) if metric.in_percent]
    return [
        {"class": row["class"], "support": f"{row['support']:.0f}"}
        | {name: percent(row[name], " ") for name in names}
        for row in per_class.to_dict("records")
    ]


def mistakes(confusion: pd.DataFrame, most: int = 5) -> list[dict[str, Any]]:
    """List the pairs of classes that are confused most often: true, predicted, count, share."""
    counts = confusion.to_numpy()
    pairs = [
        {
            "true": str(confusion.index[row]),
            "predicted": str(confusion.index[column]),
            "count": int(counts[row, column]),
            "share": counts[row, column] / counts[row].sum(),
        }
        for row, column in zip(*counts.nonzero(), strict=True)
        if row != column
    ]
    return sorted(pairs, key=lambda pair: -pair["count"])[:most]


def reach(bounds: Bounds, write: Callable[[float | None], str] = percent) -> str:
    """Write an interval, as in "58.1 % to 83.0 %"; nothing where it is undefined."""
    return " to ".join(map(write, defined(bounds) or ()))


def sentences(
    metrics: Metrics, calibration: Mapping[str, Any] | None, per_class: pd.DataFrame
) -> list[str]:
    """Say what the score is by group, at the threshold, and how probabilities are calibrated."""
    at_threshold = _operating_point(metrics, calibration) or _both_sensitivities(per_class)
    size = [_few_groups(metrics), _more_groups(metrics), _by_group(metrics)]
    return [text for text in (*size, at_threshold, _calibration(calibration)) if text]


def _few_groups(metrics: Metrics) -> str:
    """Say where groups are few: those of the smallest class, in old files those of all classes."""
    if not metrics.get("few_groups"):
        return ""
    smallest = metrics.get("smallest_class")
    number = plural(smallest["groups"] if smallest else metrics["groups"], "group")
    of = f" of “{smallest['class']}”" if smallest else ""
    return (
        f"The test part holds {number}{of}, too few for a firm score: even the intervals are rough "
        "guesses."
    )


def _more_groups(metrics: Metrics) -> str:
    """Say how many more groups a narrower interval takes, where it is wide."""
    found = metrics.get("more_groups")
    if not found:
        return ""
    return (
        f"About {plural(found['groups'], 'more group')} of the same kind in the test part would "
        f"give an interval of the accuracy of ±{100 * found['half_width']:.0f} points."
    )


def _by_group(metrics: Metrics) -> str:
    found = metrics.get("per_patient") or {}
    if not found.get("n") or undefined(found.get("accuracy")):
        return ""
    return (
        f"With one answer per group: right on {percent(found['accuracy'])} of "
        f"{plural(found['n'], 'group')}{_within(found.get('accuracy_ci95'), ' (', ')')}."
    )


def probability_word(calibration: Mapping[str, Any] | None) -> str:
    """Call a probability calibrated where a temperature was fitted, and there alone."""
    fitted = (calibration or {}).get("fitted_on") is not None
    return "calibrated probability" if fitted else "probability"


def _operating_point(metrics: Metrics, calibration: Mapping[str, Any] | None) -> str:
    point = metrics.get("operating_point")
    if not point:
        return ""
    return (
        f"“{point['positive']}” is the positive class. With a threshold it would be said from a "
        f"{probability_word(calibration)} of {point['threshold']:.3f} on ({point['rule']}; never "
        f"chosen on the test part). On the test part that finds {percent(point['sensitivity'])} of "
        f"“{point['positive']}” "
        f"(sensitivity{_within(point['sensitivity_ci95'], ', ')}) and leaves "
        f"{percent(point['specificity'])} of the others alone "
        f"(specificity{_within(point['specificity_ci95'], ', ')})."
    )


def _both_sensitivities(per_class: pd.DataFrame) -> str:
    """Say how many of each of two classes are found, where neither is the positive one."""
    if len(per_class) != 2:
        return ""
    found = [
        f"{percent(row['recall'])} of “{row['class']}”"
        f"{_within((row.get('recall_low'), row.get('recall_high')), ' (', ')')}"
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
    in_folds = calibration["fitted_on"] == "folds"
    noun, part = ("answer", "held-out folds") if in_folds else ("image", "validation part")
    own = (
        " The operating point and the calibrated reliability diagram take, for each answer, one "
        "that was fitted on the other folds. All other figures take the answers as they are."
    )
    return (
        f"Probabilities of new images are calibrated by the temperature "
        f"{calibration['temperature']:.2f}, fitted on {plural(calibration['n'], noun)} of the "
        f"{part}.{own if in_folds else ''}"
    )


def unusable(metrics: Metrics, calibration: Mapping[str, Any] | None) -> str:
    """Say that probabilities are far off where nothing calibrates them; empty where they are not.

    They are where all of the error's interval lies above `FAR`: less may be chance.
    """
    bounds = defined(metrics.get("ece_ci95"))
    fitted = (calibration or {}).get("fitted_on") is not None
    if fitted or bounds is None or bounds[0] <= FAR:
        return ""
    return (
        "The probabilities can't be taken at their word: they are not calibrated, and the "
        f"calibration error is {percent(metrics['ece'])} (95\u00a0%: {reach(bounds)})."
    )


def _within(bounds: Bounds, before: str, after: str = "") -> str:
    """Write an interval within a sentence; nothing where it is undefined."""
    text = reach(bounds)
    return f"{before}95\u00a0%: {text}{after}" if text else ""


def _results(metrics: Metrics, kinds: Collection[str]) -> list[Result]:
    """Give the metrics that are shown in one of these ways, those that metrics.json holds."""
    shown = [metric for metric in METRICS if metric.shown in kinds and metric.name in metrics]
    return [_result(metric, metrics) for metric in shown]


def _result(metric: Metric, metrics: Metrics) -> Result:
    number, bounds = metrics[metric.name], defined(metrics.get(f"{metric.name}_ci95"))
    shares = (0.0 if undefined(number) else number, *(bounds or (0.0, 0.0)))
    filled, low, high = (100 * min(1.0, max(0.0, share)) for share in shares)
    return Result(
        metric,
        metric.title,
        metric.write(number),
        _reach_or_why(metrics, metric),
        _meaning(metric, metrics),
        filled,
        None if bounds is None else (low, high - low),
    )


def _reach_or_why(metrics: Metrics, metric: Metric) -> str:
    """Write the interval of a metric, or that it has none for want of groups."""
    smallest = metrics.get("smallest_class") or {"groups": metric.fewest_groups}
    if smallest["groups"] < metric.fewest_groups:
        few = f"n/a, with under {metric.fewest_groups} groups of a class"
        return f"{few}, such as “{smallest['class']}”"
    return reach(metrics.get(f"{metric.name}_ci95"), metric.write)


def _meaning(metric: Metric, metrics: Metrics) -> str:
    """Say what a metric means, or when it is undefined, and what stands beside it in its tile."""
    if undefined(metrics[metric.name]):
        return f"undefined: {metric.undefined}"
    beside = [
        f"; {other.below_zero}"
        if other.below_zero and metrics[other.name] < 0
        else f"; {other.title}: {other.write(metrics[other.name])}"
        for other in METRICS
        if other.name == metric.beside and not undefined(metrics.get(other.name))
    ]
    return metric.meaning + "".join(beside)


def cell(row: Mapping[Any, Any], metric: Metric) -> dict[str, str]:
    """Write a cell: its interval in whole percent, or with two decimals; both in one line too."""
    value, text, short = row[metric.name], metric.write(row[metric.name]), ""
    bounds = defined((row.get(f"{metric.name}_low"), row.get(f"{metric.name}_high")))
    if bounds is not None and metric.in_percent:
        short = f"{100 * bounds[0]:.0f} to {percent(bounds[1], decimals=0)}"
    elif bounds is not None:
        short = f"{bounds[0]:.2f} to {bounds[1]:.2f}"
    return {
        "text": text,
        "bounds": short,
        "rank": "" if undefined(value) else f"{value:.6f}",
        "line": f"{text} ({short})" if short else text,
    }
