"""Evaluate predictions: every figure with its interval, calibration, operating point, tables.

All intervals are of 95 %, by the group bootstrap (see `bootstrap`) on the test part.
Temperature and threshold come from the validation part alone (see `calibration`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports import tables
from reports.evaluation import curves, metrics
from reports.evaluation.bootstrap import Interval, interval, resample
from reports.evaluation.calibration import Calibration, calibrate, calibrated
from reports.evaluation.resampled import (
    CLASS_SCORES,
    SCORES,
    auroc_places,
    class_scores,
    counted_scores,
    scores,
    share_of,
    tally,
)
from reports.evaluation.sample import (
    BoolArray,
    FloatArray,
    Sample,
    classes_of,
    per_patient,
    read_sample,
)
from reports.evaluation.settings import EvaluationSettings

FEW_GROUPS = 20
"""With fewer groups an interval is itself a rough guess."""
BY_ALL = ("accuracy", "weighted_f1")
BY_CLASS = ("balanced_accuracy", "macro_f1", "auroc")


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
        tables.write_table(getattr(evaluation, name), folder / f"{name}.csv")
    tables.write_confusion(evaluation.confusion, folder / "confusion.csv")
    tables.write_json(evaluation.metrics, folder / "metrics.json")
    tables.write_json(evaluation.calibration.content(), folder / "calibration.json")


def compute(sample: Sample) -> Figures:
    """Compute the point values, and the same figures of every draw."""

    def every(weights: FloatArray) -> dict[str, FloatArray]:
        by_class = class_scores(sample, weights)
        overall = scores(sample, weights, by_class["auroc"])
        return {f"class {name}": values for name, values in by_class.items()} | overall

    drawn = resample(sample, every) if len(sample) else {}
    return Figures(metrics.per_class(sample), metrics.summary(sample), drawn)


def per_class(sample: Sample, figures: Figures) -> pd.DataFrame:
    """Set the interval of each figure beside it: the table per_class.csv.

    NaN where a figure is undefined (see `metrics.per_class`) and where its interval is
    (see `bootstrap.interval`).
    """
    columns: dict[str, Any] = {name: figures.by_class[name] for name in ("class", "support")}
    about = [_groups_about(sample, place) for place in range(len(sample.classes))]
    for name in CLASS_SCORES:
        values = figures.by_class[name].to_numpy()
        found = [
            _class_interval(figures, name, place, float(values[place]), about[place][name])
            for place in range(len(sample.classes))
        ]
        columns[name] = values
        columns[f"{name}_low"] = [low for low, _ in found]
        columns[f"{name}_high"] = [high for _, high in found]
    return pd.DataFrame(columns)


def summary(sample: Sample, figures: Figures) -> dict[str, Any]:
    """Set the interval of each figure beside it, as `<name>_ci95`, None where undefined.

    With two classes the AUROC is that of one, and has its interval. The interval of `ece_excess`
    is that of `ece`, moved by what chance alone would show.
    """
    values, fewest = figures.summary, _fewest_groups(sample)
    of_one_class = {"auroc"} if len(auroc_places(sample)) == 1 else set()
    content: dict[str, Any] = {name: values[name] for name in ("n", "groups")}
    content["few_groups"] = values["groups"] < FEW_GROUPS
    for name in SCORES:
        trials = sample.group_count if name in BY_ALL else fewest if name in BY_CLASS else None
        about = fewest if name in of_one_class else sample.group_count
        content[name] = values[name]
        content[f"{name}_ci95"] = _interval(figures, name, about, trials)
    excess, bounds = values["ece_excess"], content["ece_ci95"]
    content["ece_excess"] = excess
    content["ece_excess_ci95"] = bounds and [bound - values["ece"] + excess for bound in bounds]
    content["majority_accuracy"] = values["majority_accuracy"]
    return content


def patients(sample: Sample) -> dict[str, Any]:
    """Evaluate one unit a group and class (see `sample.per_patient`); n counts them."""
    units = per_patient(sample)
    names = ("accuracy", "balanced_accuracy")
    if not len(units):
        undefined = dict.fromkeys(names, math.nan)
        return {"n": 0, **undefined, **{f"{name}_ci95": None for name in names}}

    def counted(weights: FloatArray) -> dict[str, FloatArray]:
        return counted_scores(tally(units, weights))

    values, drawn = metrics.summary(units), resample(units, counted)
    content: dict[str, Any] = {"n": len(units)}
    for name, trials in zip(names, (units.group_count, _fewest_groups(units)), strict=True):
        found = interval(drawn[name], values[name], units.group_count, trials=trials)
        content |= {name: values[name], f"{name}_ci95": _pair(found)}
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
    if not rows.any():
        return {name: math.nan, f"{name}_ci95": None}
    value, groups = float(hits[rows].mean()), sample.groups_of(rows)
    drawn = resample(sample, lambda weights: {name: share_of(sample, hits, rows, weights)})[name]
    return {name: value, f"{name}_ci95": _pair(interval(drawn, value, groups, trials=groups))}


def _interval(figures: Figures, name: str, groups: int, trials: int | None) -> list[float] | None:
    """Give the interval of one figure of the whole sample; None where it is undefined."""
    if not figures.drawn:
        return None
    drawn, value = figures.drawn[name], figures.summary[name]
    return _pair(interval(drawn, value, groups, trials=trials, pivotal=name == "ece"))


def _class_interval(figures: Figures, name: str, place: int, value: float, groups: int) -> Interval:
    """Give the interval of one figure of one class, which is about so many groups."""
    if not figures.drawn:
        return math.nan, math.nan
    trials = None if name == "average_precision" else groups
    return interval(figures.drawn[f"class {name}"][:, place], value, groups, trials=trials)


def _groups_about(sample: Sample, place: int) -> dict[str, int]:
    """Count the groups that each figure of a class is about.

    The AUROC is the share of pairs in order; of these, as many share no group as the smaller
    side has groups. F1 = 1 says that no group which holds or was given the class has a mistake.
    """
    hits, given = sample.true == place, sample.predicted == place
    holding, others = sample.groups_of(hits), sample.groups_of(~hits)
    return {
        "precision": sample.groups_of(given),
        "recall": holding,
        "specificity": others,
        "f1": sample.groups_of(hits | given),
        "auroc": min(holding, others),
        "average_precision": holding,
    }


def _fewest_groups(sample: Sample) -> int:
    """Count the groups of the class with the fewest, among those that are there.

    So many trials a mean over the classes has where it is exactly 0 or 1, on the safe side.
    """
    return min(
        (sample.groups_of(sample.true == place) for place in np.unique(sample.true)), default=0
    )


def _pair(found: Interval) -> list[float] | None:
    return None if math.isnan(found[0]) else list(found)
