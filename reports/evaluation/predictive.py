"""Compute what a positive and a negative answer at the threshold are worth.

Sensitivity and specificity say how the positive class and the others are answered. The predictive
values say what an answer means, and depend on how frequent the class is: where it is rare, most
alarms are false. A likelihood ratio says by how much an answer multiplies the odds of the class.
With it the predictive values follow at any other frequency, by Bayes' rule.

The interval of a ratio comes from those of its two shares (MOVER-R), which are taken to be
independent. Groups that hold both classes make it wider than it need be.
Source: Altman & Bland 1994, https://doi.org/10.1136/bmj.309.6947.102 (predictive values)
Source: Deeks & Altman 2004, https://doi.org/10.1136/bmj.329.7458.168 (likelihood ratios)
Source: Donner & Zou 2012, https://doi.org/10.1177/0962280210383082 (MOVER-R)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from reports.arrays import UNDEFINED, BoolArray, Interval
from reports.evaluation.intervals import COMBINED, share_interval
from reports.evaluation.sample import Sample


class Share(NamedTuple):
    """Hold a value with its interval; NaN where undefined."""

    value: float
    interval: Interval

    @property
    def rest(self) -> Share:
        """Give 1 less the share."""
        low, high = self.interval
        return Share(1 - self.value, (1 - high, 1 - low))

    def named(self, name: str) -> dict[str, Any]:
        """Write it as metrics.json has it, None for an interval that is undefined."""
        bounds = None if math.isnan(self.interval[0]) else list(self.interval)
        return {name: self.value, f"{name}_ci95": bounds}


def share(sample: Sample, hits: BoolArray, rows: BoolArray, *, times: float = 1) -> Share:
    """Give the share of hits (N,) among some rows (N,); for `times` see `score_interval`."""
    value = float(hits[rows].mean()) if rows.any() else math.nan
    return Share(value, share_interval(sample.groups[rows], hits[rows], times=times))


def predictive_values(
    sample: Sample, flagged: BoolArray, positive: BoolArray, prevalence: float | None
) -> dict[str, Any]:
    """Give sensitivity, specificity, likelihood ratios and predictive values, each with interval.

    `at_prevalence` holds the predictive values where the class has another frequency; None unless
    one is given.

    Args:
        sample: N images.
        flagged: (N,), those that are taken for the positive class.
        positive: (N,), those that are of it.
        prevalence: The share of the class where the answers are to be used, 0..1.
    """
    asked = (flagged, positive), (~flagged, ~positive)  # sensitivity, specificity
    sensitivity, specificity = (share(sample, *each) for each in asked)
    two = [share(sample, *each, times=COMBINED) for each in asked]
    return {
        **sensitivity.named("sensitivity"),
        **specificity.named("specificity"),
        "prevalence": float(positive.mean()) if len(sample) else math.nan,
        **share(sample, positive, flagged).named("ppv"),
        **share(sample, ~positive, ~flagged).named("npv"),
        **ratio(two[0], two[1].rest).named("lr_positive"),
        **ratio(two[0].rest, two[1]).named("lr_negative"),
        "at_prevalence": prevalence and _at(prevalence, *two),
    }


def ratio(above: Share, below: Share) -> Share:
    """Divide two shares, 0..infinity; NaN where both are 0."""
    (a, (a_low, a_high)), (b, (b_low, b_high)) = above, below
    if math.isnan(a + b) or a == b == 0:
        return Share(math.nan, UNDEFINED)
    value = a / b if b else math.inf
    if math.isnan(a_low + b_low):
        return Share(value, UNDEFINED)
    least, most = a_low * (2 * a - a_low), a_high * (2 * a - a_high)
    lower, upper = b_low * (2 * b - b_low), b_high * (2 * b - b_high)
    low = least / (a * b + math.sqrt((a * b) ** 2 - least * upper)) if least else 0.0
    high = (a * b + math.sqrt((a * b) ** 2 - most * lower)) / lower if lower else math.inf
    return Share(value, (low, high))


def _at(prevalence: float, sensitivity: Share, specificity: Share) -> dict[str, Any]:
    """Give the predictive values where the positive class has this share."""
    odds = prevalence / (1 - prevalence)
    return {
        "prevalence": prevalence,
        **_posterior(ratio(specificity.rest, sensitivity), 1 / odds).named("ppv"),
        **_posterior(ratio(sensitivity.rest, specificity), odds).named("npv"),
    }


def _posterior(against: Share, odds: float) -> Share:
    """Give the chance that an answer is right from its likelihood ratio and prior odds against."""
    value, low, high = (
        1 / (1 + odds * each) for each in (against.value, *reversed(against.interval))
    )
    return Share(value, (low, high))
