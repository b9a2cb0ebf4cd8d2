"""Say what the probabilities and the answers at the threshold are worth.

The numbers come from `operating_point` in metrics.json and from per_class.csv; none is computed
here. What is undefined reads "n/a".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from reports.sections.score import reach
from resnext.contracts.formatting import percent, undefined

Metrics = Mapping[str, Any]
Write = Callable[[float | None], str]


def two_decimals(value: float | None) -> str:
    """Write a ratio, a slope or an intercept."""
    return "n/a" if undefined(value) else f"{float(value or 0):.2f}"


ROWS: tuple[tuple[str, str, Write, str], ...] = (
    ("sensitivity", "Sensitivity", percent, "of the images of {} are taken for it"),
    ("specificity", "Specificity", percent, "of the other images are not taken for it"),
    ("ppv", "Positive predictive value", percent, "of the images taken for {} are of it"),
    ("npv", "Negative predictive value", percent, "of the images not taken for it are others"),
    (
        "lr_positive",
        "Positive likelihood ratio",
        two_decimals,
        "by so much an answer {} multiplies the odds of it",
    ),
    (
        "lr_negative",
        "Negative likelihood ratio",
        two_decimals,
        "by so much any other answer multiplies the odds of {}",
    ),
)


def shown(metrics: Metrics, per_class: pd.DataFrame) -> bool:
    """Tell whether there is anything to say."""
    return bool(rows(metrics) or sentences(metrics, per_class))


def rows(metrics: Metrics) -> list[dict[str, str]]:
    """Give the rows of the table of the threshold: name, value, bounds, meaning.

    None without a positive class, and of files from before predictive values were computed.
    """
    point = metrics.get("operating_point") or {}
    if "ppv" not in point:
        return []
    name = f"“{point['positive']}”"
    found = [_row(point, *row, name) for row in ROWS]
    elsewhere = point.get("at_prevalence")
    if elsewhere:
        at = f", where {percent(elsewhere['prevalence'])} are {name}"
        found += [
            _row(elsewhere, key, title, write, meaning + at, name)
            for key, title, write, meaning in ROWS
            if key in elsewhere
        ]
    return found


def sentences(metrics: Metrics, per_class: pd.DataFrame) -> list[str]:
    """Say how frequent the class must be for the predictive values, and slope and intercept."""
    return [text for text in (_frequency(metrics), _slope(metrics, per_class)) if text]


def _row(
    point: Metrics, key: str, title: str, write: Write, meaning: str, name: str
) -> dict[str, str]:
    return {
        "name": title,
        "value": write(point[key]),
        "bounds": reach(point.get(f"{key}_ci95"), write),
        "meaning": meaning.format(name),
    }


def _frequency(metrics: Metrics) -> str:
    """Say for which frequency of the positive class the predictive values are."""
    point = metrics.get("operating_point") or {}
    if undefined(point.get("prevalence")):
        return ""
    text = (
        f"At the threshold an answer “{point['positive']}” is right in {percent(point['ppv'])} and "
        f"any other answer in {percent(point['npv'])} (predictive values). That holds where the "
        f"class is as frequent as in the test part, {percent(point['prevalence'])}."
    )
    elsewhere = point.get("at_prevalence")
    if not elsewhere:
        return f"{text} Where it is rarer, more of these answers are false alarms."
    return (
        f"{text} Where it is {percent(elsewhere['prevalence'])}, they are right in "
        f"{percent(elsewhere['ppv'])} and in {percent(elsewhere['npv'])}."
    )


def _slope(metrics: Metrics, per_class: pd.DataFrame) -> str:
    """Say slope and intercept of the positive one of two classes, else of the second."""
    if "calibration_slope" not in per_class or len(per_class) != 2:
        return ""
    point = metrics.get("operating_point") or {}
    name = point.get("positive") or sorted(per_class["class"])[-1]
    row = per_class[per_class["class"] == name].iloc[0]
    if undefined(row["calibration_slope"]):
        return ""
    slope, intercept = (
        f"{two_decimals(row[key])}{_within((row[f'{key}_low'], row[f'{key}_high']))}"
        for key in ("calibration_slope", "calibration_intercept")
    )
    return (
        f"The calibration slope of “{name}” is {slope}: 1 is right, below 1 the probabilities are "
        f"too extreme. Its intercept is {intercept}: 0 is right, below 0 they are too high."
    )


def _within(bounds: tuple[float, float]) -> str:
    text = reach(bounds, two_decimals)
    return f" (95\u00a0%: {text})" if text else ""
