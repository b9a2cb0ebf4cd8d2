"""Evaluate predictions: every score with its interval, calibration, operating point, tables.

All intervals are of 95 % and take the group as the unit of chance: those of shares and AUROC from
the variance over groups (see `intervals`), the others from draws of groups (see `bootstrap`).
Temperature and threshold come from the validation part alone (see `calibration`), or from other
folds where the predictions are those of several (see `folds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.arrays import UNDEFINED, FloatArray, Interval
from reports.evaluation import curves, folds, uncertainty
from reports.evaluation.bootstrap import resample
from reports.evaluation.calibration import Calibration, calibrate, calibrated
from reports.evaluation.calibration_curve import calibration_curve, class_reliability
from reports.evaluation.decision_curve import net_benefit
from reports.evaluation.metrics import CLASS_METRICS, METRICS, Estimate, Metric, select
from reports.evaluation.predictive import predictive_values
from reports.evaluation.sample import (
    FOLD,
    REPEAT,
    Sample,
    classes_of,
    evaluated,
    per_group,
    read_sample,
    weigh,
)
from reports.evaluation.sample_size import more_groups
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.json_files import write_json
from resnext.contracts.tables import confusion_table, write_confusion, write_table

Draws = dict[Metric, FloatArray]
"""(B,), or (B, C) of metrics of one class."""
Fitted = tuple[Calibration, FloatArray, FloatArray]
"""A calibration, and temperatures (N,) and thresholds (N,) of the images tested."""
Fit = Callable[[pd.DataFrame, EvaluationSettings], Fitted]
BY_GROUP = ("accuracy", "balanced_accuracy")
FEW_GROUPS = 20
"""With fewer groups of a class an interval is itself a rough guess."""


@dataclass(frozen=True)
class Evaluation:
    """Hold the tables and scores of one evaluation, by the files that they are written to."""

    confusion: pd.DataFrame
    metrics: dict[str, Any]
    calibration: Calibration
    limits: uncertainty.Limits
    per_class: pd.DataFrame
    roc: pd.DataFrame
    precision_recall: pd.DataFrame
    reliability: pd.DataFrame
    confidences: pd.DataFrame
    class_reliability: pd.DataFrame
    calibration_curve: pd.DataFrame
    net_benefit: pd.DataFrame
    risk_coverage: pd.DataFrame


def evaluate(
    predictions: pd.DataFrame,
    settings: EvaluationSettings = EvaluationSettings(),
    fit: Fit | None = None,
    limits: uncertainty.Limits | None = None,
) -> Evaluation:
    """Evaluate the test part of predictions.csv.

    `fit` gives the calibration, `limits` from where on answers are given; by default both are
    fitted on the validation part, or on other folds.

    Raises:
        InputError: a label, a prediction or the positive class is not among the classes.
    """
    rows, classes = evaluated(predictions), classes_of(predictions)
    test = read_sample(rows, classes)
    in_folds = FOLD in predictions
    fit = fit or (folds.cross_fit if in_folds else _fit)
    calibration, temperatures, thresholds = fit(predictions, settings)
    repeats = rows[REPEAT].to_numpy() if in_folds else None
    units, draws = per_group(test, repeats), draw(test)
    fitted = temperatures if calibration.fitted_on else None
    positive, scores = calibration.positive, summarise(test, METRICS, draws)
    validation = None if in_folds else read_sample(predictions, classes, split="val")
    certain = uncertainty.assess(
        rows, test, validation, (calibration, temperatures, thresholds), settings, limits
    )
    roc, precision_recall = curves.discrimination(test, positive)
    return Evaluation(
        confusion=confusion(test),
        metrics={
            **counts(test),
            "n": rows["path"].nunique(),
            **scores,
            "more_groups": more_groups(
                scores["accuracy"], scores["accuracy_ci95"], test.group_count
            ),
            "per_patient": {"n": len(per_group(test)), **summarise(units, select(BY_GROUP), {})},
            "operating_point": operating_point(
                test, calibration, temperatures, thresholds, settings.prevalence
            ),
            **({"folds": folds.summarise_folds(predictions)} if in_folds else {}),
            "uncertainty": certain.metrics,
        },
        calibration=calibration,
        limits=certain.limits,
        per_class=per_class(test, draws),
        roc=roc,
        precision_recall=precision_recall,
        reliability=curves.reliability(test, fitted),
        confidences=curves.confidences(test),
        class_reliability=class_reliability(test, positive, fitted),
        calibration_curve=calibration_curve(test, positive, fitted),
        net_benefit=net_benefit(test, positive, temperatures),
        risk_coverage=certain.curve,
    )


def _fit(predictions: pd.DataFrame, settings: EvaluationSettings) -> Fitted:
    """Fit on the validation part: all images tested have one temperature and threshold."""
    validation = read_sample(predictions, classes_of(predictions), split="val")
    return spread(calibrate(validation, settings), predictions)


def spread(found: Calibration, predictions: pd.DataFrame) -> Fitted:
    """Give a calibration with the temperature and threshold of each image tested."""
    count = len(evaluated(predictions))
    threshold = math.nan if found.threshold is None else found.threshold
    return found, np.full(count, found.temperature), np.full(count, threshold)


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write each table and summary under its fixed name."""
    write_confusion(evaluation.confusion, folder / "confusion.csv")
    write_json(evaluation.metrics, folder / "metrics.json")
    calibration = evaluation.calibration.content() | evaluation.limits.content()
    write_json(calibration, folder / "calibration.json")
    for name, found in vars(evaluation).items():
        if isinstance(found, pd.DataFrame) and name != "confusion":
            write_table(found, folder / f"{name}.csv")


def draw(sample: Sample) -> Draws:
    """Compute in draws of groups those metrics whose intervals are made from them."""
    drawn = [metric for metric in (*METRICS, *CLASS_METRICS) if metric.drawn]

    def compute(weights: FloatArray) -> Draws:
        counted = weigh(sample, weights)
        return {metric: metric.compute(counted) for metric in drawn}

    return resample(sample, compute) if len(sample) else {}


def confusion(sample: Sample) -> pd.DataFrame:
    """Count the images by true (rows) and predicted class (columns), in the order of classes."""
    table = np.zeros((len(sample.classes), len(sample.classes)), dtype=np.int64)
    np.add.at(table, (sample.true, sample.predicted), 1)
    return confusion_table(table, sample.classes, sample.classes)


def per_class(sample: Sample, draws: Draws) -> pd.DataFrame:
    """Give the metrics of each class, with their intervals: the table per_class.csv.

    Columns: class, support, then each of CLASS_METRICS with `_low` and `_high`. A class that the
    sample does not hold has its row too.
    """
    counted = weigh(sample)
    columns: dict[str, Any] = {"class": sample.classes, "support": counted.there[0].astype(int)}
    for metric in CLASS_METRICS:
        values = metric.compute(counted)[0]
        drawn = draws[metric].T if metric in draws else [None] * len(values)
        bounds = [
            _interval(metric, Estimate(sample, value, drawn[index], index))
            for index, value in enumerate(values)
        ]
        columns[metric.name] = values
        columns[f"{metric.name}_low"] = [low for low, _ in bounds]
        columns[f"{metric.name}_high"] = [high for _, high in bounds]
    return pd.DataFrame(columns)


def counts(sample: Sample) -> dict[str, Any]:
    """Count the images and groups; an image without a group is one of its own.

    `smallest_class` names the class with the fewest groups and counts them, None without an
    image; with fewer than 20 of them `few_groups` is true.
    """
    smallest, groups = sample.smallest_class if len(sample) else (None, 0)
    return {
        "n": len(sample),
        "groups": sample.group_count,
        "few_groups": groups < FEW_GROUPS,
        "smallest_class": smallest and {"class": smallest, "groups": groups},
    }


def summarise(sample: Sample, metrics: Sequence[Metric], draws: Draws) -> dict[str, Any]:
    """Compute metrics of the whole sample, each with its interval as `<name>_ci95` if it has one.

    An interval is None where it is undefined.
    """
    counted = weigh(sample)
    found: dict[str, Any] = {}
    for metric in metrics:
        value = float(metric.compute(counted)[0])
        found[metric.name] = value
        if metric.interval is not None:
            estimate = Estimate(sample, value, draws.get(metric), found=found)
            found[f"{metric.name}_ci95"] = _pair(_interval(metric, estimate))
    return found


def operating_point(
    sample: Sample,
    calibration: Calibration,
    temperatures: FloatArray,
    thresholds: FloatArray,
    prevalence: float | None = None,
) -> dict[str, Any] | None:
    """Give what the answers at the threshold of the positive class are worth (see `predictive`).

    Temperatures (N,) and thresholds (N,) are those of each image. An image counts as positive
    where the calibrated probability is at least the threshold. None without a positive class; NaN
    where the sample holds none of its images, or nothing else.
    """
    if calibration.positive is None or calibration.threshold is None:
        return None
    index = sample.classes.index(calibration.positive)
    shares = calibrated(sample.probabilities, temperatures)[:, index]
    flagged, positive = shares >= thresholds, sample.true == index
    return {
        "positive": calibration.positive,
        "threshold": calibration.threshold,
        "chosen_on": calibration.chosen_on,
        "rule": calibration.rule,
        **predictive_values(sample, flagged, positive, prevalence),
    }


def _interval(metric: Metric, estimate: Estimate) -> Interval:
    """Give the interval of an estimate; NaN without an image, groups enough, or draws."""
    sample = estimate.sample
    if metric.interval is None or not len(sample) or (metric.drawn and estimate.draws is None):
        return UNDEFINED
    if metric.fewest_groups and sample.smallest_class[1] < metric.fewest_groups:
        return UNDEFINED
    return metric.interval(estimate)


def _pair(found: Interval) -> list[float] | None:
    return None if math.isnan(found[0]) else list(found)
