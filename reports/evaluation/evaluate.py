"""Evaluate predictions: every figure with its interval, calibration, operating point, tables.

All intervals are of 95 % and take the group as the unit of chance: those of shares and AUROC from
the variance over groups (see `intervals`), the others from draws of groups (see `bootstrap`).
Temperature and threshold come from the validation part alone (see `calibration`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.evaluation import curves, intervals, metrics
from reports.evaluation.bootstrap import UNDEFINED, Interval, interval, resample
from reports.evaluation.calibration import Calibration, calibrate, calibrated
from reports.evaluation.resampled import CLASS_SCORES, SCORES, probability_scores, rank_class
from reports.evaluation.sample import (
    BoolArray,
    FloatArray,
    Sample,
    classes_of,
    per_patient,
    read_sample,
)
from reports.evaluation.settings import EvaluationSettings
from reports.evaluation.wilson import share_interval
from resnext.contracts.json_files import write_json
from resnext.contracts.tables import write_confusion, write_table

FEW_GROUPS = 20
"""With fewer groups of a class an interval is itself a rough guess."""


@dataclass(frozen=True)
class Evaluation:
    """Hold the tables and figures of one evaluation, by the files that they are written to."""

    per_class: pd.DataFrame
    confusion: pd.DataFrame
    metrics: dict[str, Any]
    calibration: Calibration
    roc: pd.DataFrame
    precision_recall: pd.DataFrame
    reliability: pd.DataFrame
    confidences: pd.DataFrame


@dataclass(frozen=True)
class Figures:
    """Hold point values and draws of one sample."""

    by_class: pd.DataFrame
    summary: dict[str, float]
    drawn: dict[str, FloatArray]
    """Empty where there is no picture."""


def evaluate(
    predictions: pd.DataFrame, settings: EvaluationSettings = EvaluationSettings()
) -> Evaluation:
    """Evaluate the test part of predictions.csv.

    Raises:
        ValueError: a label, a prediction or the positive class is not among the classes.
    """
    classes = classes_of(predictions)
    test = read_sample(predictions, classes)
    calibration = calibrate(read_sample(predictions, classes, split="val"), settings)
    figures = compute(test)
    temperature = calibration.temperature if calibration.fitted_on else None
    roc, precision_recall = curves.discrimination(test, calibration.positive)
    return Evaluation(
        per_class=per_class(test, figures),
        confusion=metrics.confusion(test),
        metrics={
            **summary(test, figures),
            "per_patient": patients(test),
            "operating_point": operating_point(test, calibration),
        },
        calibration=calibration,
        roc=roc,
        precision_recall=precision_recall,
        reliability=curves.reliability(test, temperature),
        confidences=curves.confidences(test),
    )


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write each table and summary under its fixed name."""
    for name in ("per_class", "roc", "precision_recall", "reliability", "confidences"):
        write_table(getattr(evaluation, name), folder / f"{name}.csv")
    write_confusion(evaluation.confusion, folder / "confusion.csv")
    write_json(evaluation.metrics, folder / "metrics.json")
    write_json(evaluation.calibration.content(), folder / "calibration.json")


def compute(sample: Sample) -> Figures:
    """Compute the point values, and of every draw those figures whose intervals need draws."""
    ranked = {int(place): rank_class(sample, int(place)) for place in np.unique(sample.true)}

    def every(weights: FloatArray) -> dict[str, FloatArray]:
        precisions = np.full((len(weights), len(sample.classes)), np.nan)
        for place, ranking in ranked.items():
            precisions[:, place] = ranking.steps(weights).average_precision()
        return {"average_precision": precisions} | probability_scores(sample, weights)

    drawn = resample(sample, every) if len(sample) else {}
    return Figures(metrics.per_class(sample), metrics.summary(sample), drawn)


def per_class(sample: Sample, figures: Figures) -> pd.DataFrame:
    """Set the interval of each figure beside it: the table per_class.csv.

    NaN where a figure is undefined (see `metrics.per_class`) and where its interval is.
    """
    columns: dict[str, Any] = {name: figures.by_class[name] for name in ("class", "support")}
    found = [_class_intervals(sample, figures, place) for place in range(len(sample.classes))]
    for name in CLASS_SCORES:
        columns[name] = figures.by_class[name].to_numpy()
        columns[f"{name}_low"] = [bounds[name][0] for bounds in found]
        columns[f"{name}_high"] = [bounds[name][1] for bounds in found]
    return pd.DataFrame(columns)


def summary(sample: Sample, figures: Figures) -> dict[str, Any]:
    """Set the interval of each figure beside it, as `<name>_ci95`, None where undefined.

    The interval of `ece_excess` is that of `ece`, moved by what chance alone would show.
    `smallest_class` names the class with the fewest groups and counts them, None without a
    picture; with fewer than 20 of them `few_groups` is true.
    """
    values, found = figures.summary, _intervals(sample, figures)
    content: dict[str, Any] = {name: values[name] for name in ("n", "groups")}
    smallest, groups = sample.smallest_class if len(sample) else (None, 0)
    content["few_groups"] = groups < FEW_GROUPS
    content["smallest_class"] = smallest and {"class": smallest, "groups": groups}
    for name in SCORES:
        content |= {name: values[name], f"{name}_ci95": _pair(found[name])}
    excess, bounds = values["ece_excess"], content["ece_ci95"]
    content["ece_excess"] = excess
    content["ece_excess_ci95"] = bounds and [bound - values["ece"] + excess for bound in bounds]
    content["majority_accuracy"] = values["majority_accuracy"]
    return content


def patients(sample: Sample) -> dict[str, Any]:
    """Evaluate one unit a group and class (see `sample.per_patient`); n counts them."""
    units = per_patient(sample)
    found, values = (UNDEFINED, UNDEFINED), metrics.summary(units)
    if len(units):
        found = (
            share_interval(units.groups, units.right),
            intervals.of_balanced_accuracy(units),
        )
    content: dict[str, Any] = {"n": len(units)}
    for name, bounds in zip(("accuracy", "balanced_accuracy"), found, strict=True):
        content |= {name: values[name], f"{name}_ci95": _pair(bounds)}
    return content


def operating_point(sample: Sample, calibration: Calibration) -> dict[str, Any] | None:
    """Give sensitivity and specificity of the positive class at its threshold.

    A picture counts as positive where the calibrated probability is at least the threshold. None
    without a positive class; NaN where the sample holds none of its pictures, or nothing else.
    """
    if calibration.positive is None or calibration.threshold is None:
        return None
    place = sample.classes.index(calibration.positive)
    shares = calibrated(sample.probabilities, calibration.temperature)[:, place]
    flagged, positive = shares >= calibration.threshold, sample.true == place
    return {
        "positive": calibration.positive,
        "threshold": calibration.threshold,
        "chosen_on": calibration.chosen_on,
        "rule": calibration.rule,
        **_share("sensitivity", sample, flagged, positive),
        **_share("specificity", sample, ~flagged, ~positive),
    }


def _share(name: str, sample: Sample, hits: BoolArray, rows: BoolArray) -> dict[str, Any]:
    """Give the share of hits among these rows with its interval."""
    value = float(hits[rows].mean()) if rows.any() else math.nan
    bounds = share_interval(sample.groups[rows], hits[rows])
    return {name: value, f"{name}_ci95": _pair(bounds)}


def _intervals(sample: Sample, figures: Figures) -> dict[str, Interval]:
    """Give the interval of each figure of the whole sample."""
    if not figures.drawn:
        return dict.fromkeys(SCORES, UNDEFINED)
    values, count = figures.summary, sample.group_count
    drawn = {
        name: interval(figures.drawn[name], values[name], count, pivotal=name == "ece")
        for name in ("log_loss", "brier", "ece")
    }
    return intervals.of_scores(sample, values) | drawn


def _class_intervals(sample: Sample, figures: Figures, place: int) -> dict[str, Interval]:
    """Give the interval of each figure of one class."""
    if not figures.drawn:
        return dict.fromkeys(CLASS_SCORES, UNDEFINED)
    values, groups = figures.by_class.iloc[place], sample.groups_of(sample.true == place)
    drawn = figures.drawn["average_precision"][:, place]
    return {
        **intervals.of_class(sample, place, values["auroc"]),
        "average_precision": interval(drawn, values["average_precision"], groups),
    }


def _pair(found: Interval) -> list[float] | None:
    return None if math.isnan(found[0]) else list(found)
