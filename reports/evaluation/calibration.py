"""Fit a temperature and choose a threshold on the validation part, never on the images tested.

The temperature T divides the log-probabilities before they are turned into probabilities again:
above 1 it makes a network that is too sure of itself less so. It changes no answer, since the
order of the classes stays. The threshold is one on the calibrated probability of the positive
class: an image counts as positive where that is at least the threshold. It is 0.5 unless another
one is asked for: chosen on few images it is worse outside.

Without enough to fit on, the temperature is 1 and the threshold 0.5, and the reason is said. So
are images that any sharper (or flatter) network would explain better still, such as a validation
part without a mistake: the best temperature would be 0, and every answer a certainty. On fewer
than 60 groups a fitted temperature costs more than it gives (docs/calibration.md).
Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599; Youden 1950,
https://doi.org/10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from reports.arrays import BoolArray, FloatArray
from reports.evaluation.logistic import SMALLEST
from reports.evaluation.sample import Sample
from reports.evaluation.settings import HALF, EvaluationSettings, positive_class
from resnext.contracts.formatting import plural

FEWEST_OF_A_SIDE = 5
"""So many images of the positive class, and of the others, a threshold is chosen on at least."""
FEWEST = 20
"""A threshold is chosen on at least so many images."""
FEWEST_GROUPS = 60
"""A temperature is fitted on at least so many groups."""
LOWEST, HIGHEST = 0.1, 10.0
"""The temperatures between which one is looked for."""
NEITHER = (
    "no class is taken for the positive one, since neither '{}' nor '{}' is called normal, other "
    "or the like: sensitivity is shown for both"
)
YOUDEN = "greatest Youden's J (sensitivity + specificity - 1)"
PARTS = {"val": "the validation part", "folds": "the held-out folds"}
"""What is fitted on, and what a reader calls it."""


@dataclass(frozen=True)
class Calibration:
    """Hold what was fitted on the validation part, and why what was not."""

    temperature: float = 1.0
    fitted_on: str | None = None
    """What the temperature was fitted on: val, folds, or None."""
    n: int | None = None
    """How many images it was fitted on."""
    reason: str | None = None
    """Why the temperature, or else the threshold, was not fitted."""
    positive: str | None = None
    threshold: float | None = None
    chosen_on: str = "default"
    """What the threshold was chosen on: val, folds, or default."""
    rule: str | None = None
    """How the threshold was chosen, or why there is none, in words."""

    def describe(self) -> str:
        """Say in a line what was fitted."""
        text = f"temperature {self.temperature:.2f}"
        if self.fitted_on is None:
            text += f", not fitted: {self.reason}"
        if self.positive is not None and self.threshold is not None:
            place = f"positive class '{self.positive}' from {self.threshold:.3f} on"
            return f"{text}; {place} ({self.rule})"
        return f"{text}; {self.rule}" if self.rule else text

    def content(self) -> dict[str, Any]:
        """Give what calibration.json holds."""
        names = ("temperature", "positive", "threshold", "fitted_on", "n", "reason")
        return {name: getattr(self, name) for name in names}


def calibrate(validation: Sample, settings: EvaluationSettings, on: str = "val") -> Calibration:
    """Fit the temperature, then choose the threshold of the positive class, if there is one.

    `on` says what the sample is, see `PARTS`.

    Raises:
        ValueError: the positive class asked for is not among the classes.
    """
    positive = positive_class(list(validation.classes), settings.positive)
    fitted = fit_temperature(validation, on=on)
    if positive is None:
        names = validation.classes
        return replace(fitted, rule=NEITHER.format(*names)) if len(names) == 2 else fitted
    index = validation.classes.index(positive)
    shares = calibrated(validation.probabilities, fitted.temperature)[:, index]
    chosen = choose_threshold(shares, validation.true == index, settings, on)
    return replace(
        fitted,
        reason=fitted.reason or chosen.reason,
        positive=positive,
        threshold=chosen.threshold,
        chosen_on=chosen.chosen_on,
        rule=chosen.rule,
    )


def fit_temperature(
    validation: Sample, fewest: int = FEWEST_GROUPS, on: str = "val"
) -> Calibration:
    """Find the temperature that makes the true classes likeliest; 1, with the reason, if none.

    `fewest` is the number of groups that it is fitted on at least.
    """
    reason = _too_few(validation.group_count, "group", fewest, on)
    if reason is None and len(validation.held) < 2:
        reason = f"{_holds(on)} one class only"
    if reason is not None:
        return Calibration(reason=reason)
    logs = _logs(validation.probabilities)
    rows = np.arange(len(validation))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logs / math.exp(log_temperature), axis=1)
        return -float(scaled[rows, validation.true].mean())

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    best = float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    if min(best - bounds[0], bounds[1] - best) < 0.01:
        return Calibration(
            reason=f"no temperature from {LOWEST:g} to {HIGHEST:g} fits {PARTS[on]} best: "
            f"it would run {'below' if best < 0 else 'above'}"
        )
    return Calibration(math.exp(best), fitted_on=on, n=len(validation))


def choose_threshold(
    scores: FloatArray, positive: BoolArray, settings: EvaluationSettings, on: str = "val"
) -> Calibration:
    """Choose a threshold from calibrated probabilities (N,) of the positive class.

    It is the one that the settings name. With a wanted sensitivity, it is the highest threshold
    that reaches it. By Youden's rule it is the one with the greatest J, the most sensitive of
    equals, half-way to the next lower probability. Either stays 0.5 where there are too few
    images, in all or of one side, or no threshold is better than chance.
    """
    if settings.sensitivity is None and settings.threshold != "youden":
        return Calibration(threshold=settings.threshold, rule="fixed beforehand")
    reason = _too_few(len(positive), "image", FEWEST, on) or _one_sided(positive, on)
    if reason is not None:
        return _half_since(reason)
    if settings.sensitivity is not None:
        ranked = np.sort(scores[positive])[::-1]
        threshold = float(ranked[math.ceil(settings.sensitivity * len(ranked) - 1e-9) - 1])
        wanted = f"a sensitivity of at least {settings.sensitivity:g}"
        rule = f"highest threshold with {wanted} on {PARTS[on]}"
        return Calibration(threshold=threshold, chosen_on=on, rule=rule)
    best = _youden(scores, positive)
    if best is None:
        return _half_since(f"no threshold is better than chance on {PARTS[on]}")
    return Calibration(threshold=best, chosen_on=on, rule=f"{YOUDEN} on {PARTS[on]}")


def calibrated(probabilities: FloatArray, temperature: float | FloatArray) -> FloatArray:
    """Divide the log-probabilities (N, C) by one or N temperatures; give probabilities again."""
    divisor = np.reshape(temperature, (-1, 1))
    return np.asarray(np.exp(log_softmax(_logs(probabilities) / divisor, axis=1)))


def _youden(scores: FloatArray, positive: BoolArray) -> float | None:
    """Find the threshold with the greatest J; None where none is above 0."""
    levels = np.unique(scores)  # each is a threshold, in rising order
    missed, left = (
        np.searchsorted(np.sort(scores[side]), levels) / side.sum()
        for side in (positive, ~positive)
    )
    gains = np.round(left - missed, 12)  # J: the others left alone, less the positive ones missed
    if gains.max() <= 0:
        return None
    best = int(gains.argmax())
    below = levels[best - 1] if best else 0.0
    return float((levels[best] + below) / 2)


def _holds(on: str) -> str:
    return f"{PARTS[on]} hold{'' if PARTS[on].endswith('s') else 's'}"


def _too_few(number: int, noun: str, fewest: int, on: str) -> str | None:
    """Say why nothing can be chosen on so few."""
    if number >= fewest:
        return None
    if number == 0:
        return "no validation images were kept out of training"
    return f"{_holds(on)} {plural(number, noun)}, fewer than {fewest}"


def _one_sided(positive: BoolArray, on: str) -> str | None:
    """Say why no threshold can be chosen on these images (N,)."""
    sides = {"the positive class": int(positive.sum()), "the others": int((~positive).sum())}
    side = min(sides, key=sides.__getitem__)
    if sides[side] >= FEWEST_OF_A_SIDE:
        return None
    return f"{_holds(on)} {sides[side]} of {side}, fewer than {FEWEST_OF_A_SIDE}"


def _half_since(reason: str) -> Calibration:
    return Calibration(threshold=HALF, rule=f"0.5, since {reason}", reason=reason)


def _logs(probabilities: FloatArray) -> FloatArray:
    """Take logarithms (N, C), which are the logits up to a constant a row."""
    return np.asarray(np.log(np.maximum(probabilities, SMALLEST)))
