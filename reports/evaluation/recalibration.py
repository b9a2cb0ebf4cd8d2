"""Say whether probabilities would be better with an intercept, and a slope, of their own.

A model is recalibrated for another place by adding to the log-probability of each class a number,
the intercept, and by multiplying all log-probabilities with one number, the slope. The intercepts
make good that classes are more or less common there, the slope that the model is too sure or not
sure enough. Of two classes that is logistic recalibration, of more the same with one slope.

What is fitted on images fits these too well. So the images are measured by cross-fitting: the
groups are dealt out to five parts, and each part is recalibrated by what was fitted on the others.
Nothing of the model is changed here.
Source: Cox 1958, https://doi.org/10.1093/biomet/45.3-4.562
Source: Steyerberg et al. 2004, https://doi.org/10.1002/sim.1844 (intercept alone, then slope too)
Source: Alexandari et al. 2020, https://proceedings.mlr.press/v119/alexandari20a.html (of more
classes: one temperature and an intercept a class)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reports.arrays import FloatArray, IntArray
from reports.evaluation.bootstrap import SEED, resample
from reports.evaluation.calibration import HIGHEST, LOWEST
from reports.evaluation.evaluate import FEW_GROUPS, Draws, summarise
from reports.evaluation.logistic import SMALLEST
from reports.evaluation.metrics import FEWEST, select
from reports.evaluation.paired import difference
from reports.evaluation.sample import Sample, weigh
from resnext.contracts.formatting import plural

PARTS = 5
"""So many parts the groups are dealt out to."""
MOST = 20.0
"""The greatest intercept, either way; it stands for a class that was never right."""
SCORES = select(["log_loss", "brier", "ece", "accuracy"])
(LOG_LOSS,) = select(["log_loss"])
METHODS = {"intercept": "intercept alone", "both": "intercept and slope"}


class Recalibration(NamedTuple):
    """Hold what log-probabilities are multiplied with, and what is added then."""

    slope: float
    intercepts: FloatArray
    """(C,), 0 for the first class that is there, and for those that are not."""


def recalibrate(probabilities: FloatArray, by: Recalibration) -> FloatArray:
    """Recalibrate probabilities (N, C)."""
    from scipy.special import softmax

    logs = _logs(probabilities)
    return np.asarray(softmax(by.slope * logs + by.intercepts, axis=1))


def fit(probabilities: FloatArray, true: IntArray, *, with_slope: bool) -> Recalibration | None:
    """Find the intercepts, and the slope, that make the true classes (N,) likeliest.

    None where there is no best one within bounds, as for images without a mistake.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    logs, rows = _logs(probabilities), np.arange(len(true))
    held = np.unique(true)
    hits = np.zeros_like(logs)
    hits[rows, true] = 1

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        """Give the mean negative log-likelihood and its slopes in intercepts and slope."""
        by = _unpacked(values, held, logs.shape[1])
        shares = log_softmax(by.slope * logs + by.intercepts, axis=1)
        apart = (np.exp(shares) - hits) / len(true)
        return -float(shares[rows, true].mean()), np.array(
            [(apart * logs).sum(), *apart.sum(axis=0)[held[1:]]]
        )

    bounds = [(LOWEST, HIGHEST) if with_slope else (1.0, 1.0), *[(-MOST, MOST)] * (len(held) - 1)]
    start = np.array([1.0, *np.zeros(len(held) - 1)])
    how = {"method": "L-BFGS-B", "options": {"ftol": 1e-14, "gtol": 1e-9}}
    found = minimize(loss, start, jac=True, bounds=bounds, **how).x
    at_bound = [min(x - low, high - x) < 0.01 for x, (low, high) in zip(found, bounds, strict=True)]
    if any(at_bound[0 if with_slope else 1 :]):
        return None
    return _unpacked(found, held, logs.shape[1])


def cross_fitted(sample: Sample, *, with_slope: bool) -> Sample | None:
    """Recalibrate each part of the groups by what was fitted on the others; None if one can't be.

    Of equal probabilities the first class wins.
    """
    part = parts_of(sample)[sample.groups]
    found = np.empty_like(sample.probabilities)
    for number in np.unique(part):
        mine, others = part == number, part != number
        by = fit(sample.probabilities[others], sample.true[others], with_slope=with_slope)
        if by is None:
            return None
        found[mine] = recalibrate(sample.probabilities[mine], by)
    return replace(sample, probabilities=found, predicted=found.argmax(axis=1).astype(np.int64))


def parts_of(sample: Sample) -> IntArray:
    """Deal the groups out to parts, class by class in random order: the part of each, (G,).

    A group that holds several classes is dealt with the first one.
    """
    classes = np.full(sample.group_count, len(sample.classes))
    np.minimum.at(classes, sample.groups, sample.true)
    shuffled = np.random.default_rng(SEED).permutation(sample.group_count)
    order = shuffled[np.argsort(classes[shuffled], kind="stable")]
    parts = np.empty(sample.group_count, dtype=np.int64)
    parts[order] = np.arange(sample.group_count) % PARTS
    return parts


def measure(sample: Sample, known: Mapping[str, Any]) -> dict[str, Any]:
    """Give the scores of calibrated probabilities as they are, and recalibrated.

    `known` is what the model's calibration.json holds. `methods` has a row each: name, the scores
    with their intervals, `gain`, the log loss as it is less that after recalibration, with its
    interval, and of all images `slope`, `intercepts` by class and `would_be`, what calibration.json
    would hold. Where nothing can be fitted, `reason` says why.
    """
    reason = _too_few(sample)
    rows = [{"name": "as it is", **_scores(sample)}]
    rows += [] if reason else [_row(sample, name, known) for name in METHODS]
    return {"groups": sample.group_count, "parts": PARTS, "reason": reason, "methods": rows}


def would_be(
    by: Recalibration, classes: tuple[str, ...], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Give temperature and threshold that calibration.json would hold.

    It holds no intercept. Of two classes a moved threshold answers as one would; of more the
    threshold is None.
    """
    temperature = float(known.get("temperature", 1.0)) / by.slope
    positive, threshold = known.get("positive"), known.get("threshold")
    if len(classes) != 2 or positive is None or threshold is None:
        return {"temperature": temperature, "threshold": None}
    index = classes.index(positive)
    shift = float(by.intercepts[index] - by.intercepts[1 - index])
    odds = math.log(threshold / (1 - threshold)) - shift
    return {"temperature": temperature, "threshold": 1 / (1 + math.exp(-odds))}


def _row(sample: Sample, method: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Give the row of one way to recalibrate; its scores are None where it can't be fitted."""
    with_slope = method == "both"
    by = fit(sample.probabilities, sample.true, with_slope=with_slope)
    after = cross_fitted(sample, with_slope=with_slope)
    if by is None or after is None:
        return {"name": METHODS[method], "reason": "no intercept and slope within bounds fits best"}
    gain = difference(after, sample, LOG_LOSS)
    return {
        "name": METHODS[method],
        **_scores(after),
        "gain": gain.value,
        "gain_ci95": [gain.low, gain.high],
        "slope": by.slope,
        "intercepts": dict(zip(sample.classes, by.intercepts.tolist(), strict=True)),
        "would_be": would_be(by, sample.classes, known),
    }


def _scores(sample: Sample) -> dict[str, Any]:
    """Compute the scores of a sample, each with its interval."""
    drawn = [metric for metric in SCORES if metric.drawn]

    def compute(weights: FloatArray) -> Draws:
        counted = weigh(sample, weights)
        return {metric: metric.compute(counted) for metric in drawn}

    return summarise(sample, SCORES, resample(sample, compute))


def _too_few(sample: Sample) -> str | None:
    """Say why nothing can be fitted on so few."""
    if sample.group_count < FEW_GROUPS:
        return f"there are {plural(sample.group_count, 'group')}, fewer than {FEW_GROUPS}"
    if len(sample.held) < 2:
        return "there is one class alone"
    name, groups = sample.smallest_class
    if groups < FEWEST:
        return f"there are {plural(groups, 'group')} of {name}, fewer than {FEWEST}"
    return None


def _unpacked(values: FloatArray, held: IntArray, classes: int) -> Recalibration:
    intercepts = np.zeros(classes)
    intercepts[held[1:]] = values[1:]
    return Recalibration(float(values[0]), intercepts)


def _logs(probabilities: FloatArray) -> FloatArray:
    """Take logarithms (N, C), which are the logits up to a constant a row."""
    return np.asarray(np.log(np.maximum(probabilities, SMALLEST)))
