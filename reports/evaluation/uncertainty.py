"""Say when an answer is too uncertain to be given, and which classes an image may be of.

Three things follow from how sure the answers are, by their calibrated probability. An answer is the
one that `flows/predict.py` gives: where there is a positive class, its threshold decides.

The risk-coverage curve says how many of the answers are wrong when the least certain images are
referred to a person. The area under it is the mean, over the images, of the share of wrong answers
among those that are at least as certain as the image: 0 where no answer is wrong.
Source: Geifman et al. 2019, https://arxiv.org/abs/1805.08206. Departure: equal probabilities are
one step.

The promise: from a probability on, at most a wanted share of the answers is wrong, with a
confidence of 95 %. Levels that were fixed beforehand are tried, the strictest first, each by the
one-sided bound of its share of wrong answers; the first one that fails ends it. So all tries
together are wrong in 5 % of cases at most (fixed sequence testing). It begins at the first level
that leaves a quarter of the groups, and as many as a promise needs where no answer is wrong.
Source: Angelopoulos et al. 2021 (Learn then Test), https://arxiv.org/abs/2110.01052. Departure: the
bound is that of shares over groups, see `intervals.share_bound`.

The set of possible classes: those from a probability on, such that the sets of so many new images
as the level says hold the true class. Each group counts once, whatever its number of images, as if
one had been drawn from it, averaged over all such draws: groups are exchangeable, images are not.
The likeliest class is always in the set, so that no set is empty.
Source: Lee, Barber & Willett 2023, https://arxiv.org/abs/2306.06342 (hierarchical conformal
prediction); Sadinle et al. 2019, https://arxiv.org/abs/1609.00451 (the score, 1 - p of the true
class, which gives the smallest sets on average).

All of it is fitted on the validation part, or on other folds than the image's own: never on images
that it is measured on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from reports.arrays import LEVEL, BoolArray, FloatArray, IntArray, Interval
from reports.evaluation.calibration import PARTS, Calibration, calibrated
from reports.evaluation.intervals import UPPER, score_interval, share_bound, share_interval
from reports.evaluation.sample import FOLD, REPEAT, Sample
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.formatting import percent, plural

LEVELS = np.unique(np.round(1 / (1 + np.exp(-np.arange(-7, 10, 0.1))), 5))[::-1]
"""The calibrated probabilities that are tried, the strictest first: a tenth apart in log-odds."""
FIRST = 1 / 4
"""The share of the groups that the first level tried answers at least one image of."""
TIMES = 4
"""So many times the number of groups the effective number of images of the area is at most."""
POINTS = 100
"""The curve has at most so many."""
NONE = "no validation images were kept out of training"
TINY = 1e-9
"""What a sum of shares may lack by rounding."""


@dataclass(frozen=True)
class Limits:
    """Hold from which calibrated probabilities on an answer is given, and a class is possible."""

    max_error: float | None = None
    """The share of wrong answers that is promised at most; None where nothing is."""
    refer_below: float | None = None
    """Images whose answer is less probable are referred."""
    refer_reason: str | None = None
    """Why there is no such probability, though a promise was asked for."""
    set_level: float = 0.9
    set_from: float | None = None
    """Classes that are at least so probable are possible."""
    set_reason: str | None = None
    """Why there are no sets."""

    @property
    def levels(self) -> tuple[float, float]:
        """Give both probabilities, NaN where there is none."""
        refer, sets = (
            math.nan if each is None else each for each in (self.refer_below, self.set_from)
        )
        return refer, sets

    def content(self) -> dict[str, Any]:
        """Give what calibration.json holds of it."""
        return asdict(self)

    def describe(self) -> str:
        """Say in a line from where on answers are given; empty where no promise was asked for."""
        if self.max_error is None:
            return ""
        if self.refer_below is None:
            return f"no answer is referred: {self.refer_reason}"
        wrong = percent(self.max_error, " ", 0 if self.max_error >= 0.01 else 2)
        return f"answers from {percent(self.refer_below, ' ', 2)} on: at most {wrong} of them wrong"


@dataclass(frozen=True)
class Answers:
    """Hold what would be answered for N images, and how sure that is."""

    sample: Sample
    shares: FloatArray
    """(N, C), calibrated."""
    wrong: BoolArray
    """(N,)."""
    certain: FloatArray
    """(N,), the calibrated probability of the answer."""

    @property
    def groups(self) -> IntArray:
        """Give the group of each image, (N,)."""
        return self.sample.groups


def answer(
    sample: Sample, positive: str | None, temperature: float | FloatArray, threshold: FloatArray
) -> Answers:
    """Answer a sample at one or N temperatures and thresholds; see `contracts.threshold`."""
    shares = calibrated(sample.probabilities, temperature)
    rows, chosen = np.arange(len(sample)), sample.predicted
    if positive is not None:
        index = sample.classes.index(positive)
        others = np.where(np.arange(shares.shape[1]) == index, -1, shares).argmax(axis=1)
        chosen = np.where(shares[:, index] >= threshold, index, others)
    return Answers(sample, shares, chosen != sample.true, shares[rows, chosen])


# ---------------------------------------------------------------- fitted


def fit_limits(answers: Answers, settings: EvaluationSettings, on: str = "val") -> Limits:
    """Fit on the validation part, or on folds; `on` says which, see `calibration.PARTS`."""
    groups, verb = answers.sample.group_count, "hold" if PARTS[on].endswith("s") else "holds"
    held = f"{PARTS[on]} {verb} {plural(groups, 'group')}"
    refer, why = None, None
    if settings.max_error is not None:
        needed, most = groups_needed(settings.max_error), percent(settings.max_error, " ")
        refer = referral_level(answers, settings.max_error)
        why = f"no probability leaves at most {most} of the answers wrong on {PARTS[on]}"
        if groups < needed:
            why = f"{held}, fewer than the {needed} that a promise of {most} needs"
        why = why if groups else NONE
    least = set_level(answers, settings.set_level)
    fewest = math.ceil(settings.set_level / (1 - settings.set_level) - TINY)
    sets = percent(settings.set_level, " ")
    too_few = f"{held}, fewer than the {fewest} that sets of {sets} need" if groups else NONE
    return Limits(
        settings.max_error,
        refer,
        why if refer is None else None,
        settings.set_level,
        least,
        too_few if least is None else None,
    )


def groups_needed(max_error: float) -> int:
    """Say how many groups a promise needs where no answer is wrong."""
    return math.ceil(math.log(1 - LEVEL) / math.log1p(-max_error) - TINY)


def referral_level(answers: Answers, max_error: float) -> float | None:
    """Find the lowest probability from which on the promise holds; None where there is none."""
    fewest = max(groups_needed(max_error), math.ceil(FIRST * answers.sample.group_count))
    found = None
    for level in LEVELS:
        given = answers.certain >= level
        if answers.sample.groups_of(given) < fewest:
            continue
        if not share_bound(answers.groups[given], answers.wrong[given]) <= max_error:
            break
        found = float(level)
        if given.all():  # nothing is known of less certain images
            break
    return found


def set_level(answers: Answers, level: float) -> float | None:
    """Find the greatest probability from which on the sets hold the true class; see the module.

    None with too few groups: fewer than level / (1 - level).
    """
    sample = answers.sample
    true = answers.shares[np.arange(len(sample)), sample.true]
    sizes = np.bincount(sample.groups, minlength=sample.group_count)
    order = np.argsort(-true, kind="stable")
    each = 1 / (sizes[sample.groups][order] * (sample.group_count + 1))
    enough = np.flatnonzero(np.cumsum(each) >= level - TINY)
    return float(true[order][enough[0]]) if len(enough) else None


# ---------------------------------------------------------------- measured


@dataclass(frozen=True)
class Uncertainty:
    """Hold what is known of the uncertain answers of a test part."""

    limits: Limits
    """Those that new images get."""
    curve: pd.DataFrame
    metrics: dict[str, Any]


def assess(
    rows: pd.DataFrame,
    test: Sample,
    validation: Sample | None,
    fitted: tuple[Calibration, FloatArray, FloatArray],
    settings: EvaluationSettings,
    limits: Limits | None = None,
) -> Uncertainty:
    """Fit limits, unless they are given, and measure them on the test part.

    Args:
        rows: The rows of the test part; those of folds have the columns `repeat` and `fold`.
        test: The same as a sample, N images.
        validation: What is fitted on; None where that is the other folds.
        fitted: The calibration of new images; temperatures (N,) and thresholds (N,) of the rows.
        settings: What is promised.
        limits: Those of a model that was fitted elsewhere.
    """
    calibration, temperatures, thresholds = fitted
    answers = answer(test, calibration.positive, temperatures, thresholds)
    own_limits = limits is None
    if limits is None:
        on, known = ("val", validation) if validation is not None else ("folds", test)
        limits = fit_limits(_answer_alike(known, calibration), settings, on)
    refer, sets = (np.full(len(test), level) for level in limits.levels)
    if validation is None and own_limits:
        for mine, others in _folds(rows):
            own = replace(
                calibration, temperature=temperatures[mine[0]], threshold=thresholds[mine[0]]
            )
            found = fit_limits(_answer_alike(_rows_of(test, others), own), settings, "folds")
            refer[mine], sets[mine] = found.levels
    area, bounds = area_under(answers)
    metrics = {
        **{"aurc": area, "aurc_ci95": _pair(bounds)},
        "referral": _referral(answers, limits, refer),
        "sets": _sets(answers, limits, sets),
    }
    return Uncertainty(limits, risk_coverage(answers), metrics)


def _answer_alike(sample: Sample, calibration: Calibration) -> Answers:
    """Answer all images by one calibration."""
    threshold = math.nan if calibration.threshold is None else calibration.threshold
    every = np.full(len(sample), threshold)
    return answer(sample, calibration.positive, calibration.temperature, every)


def risk_coverage(answers: Answers) -> pd.DataFrame:
    """Give the share of wrong answers among the most certain: the table risk_coverage.csv.

    Columns: probability (from which on is answered), coverage (0..1, the share answered), n, risk
    (0..1, the share wrong of these), low, high (its interval of 95 %). The most certain first.
    """
    ranked = np.sort(answers.certain)[::-1]
    places = np.ceil(np.arange(1, POINTS + 1) * len(ranked) / POINTS).astype(int) - 1
    found = []
    for least in np.unique(ranked[places] if len(ranked) else ranked)[::-1]:
        given = answers.certain >= least
        wrong = answers.wrong[given]
        bounds = share_interval(answers.groups[given], wrong)
        found.append((least, given.mean(), int(given.sum()), wrong.mean(), *bounds))
    columns = ["probability", "coverage", "n", "risk", "low", "high"]
    return pd.DataFrame(found, columns=columns)


def area_under(answers: Answers) -> tuple[float, Interval]:
    """Give the area under the risk-coverage curve, 0..1, with its interval; NaN without images.

    The interval is that of `intervals.score_interval`, or Student's of the log-odds: on each side
    the wider one. In simulations the first was too narrow for large areas, and the second for
    small ones, which few groups have a part in.
    """
    if not len(answers.sample):
        return math.nan, (math.nan, math.nan)
    order = np.argsort(-answers.certain, kind="stable")
    certain, wrong = answers.certain[order], answers.wrong[order].astype(float)
    starts = np.searchsorted(-certain, -certain, side="left")  # of the images as certain
    given = np.searchsorted(-certain, -certain, side="right")
    risks = np.cumsum(wrong)[given - 1] / given
    area = float(risks.mean())
    # What an image changes for all that are no more certain, were it counted a little more.
    each, together = (_from_here(values)[starts] for values in (1 / given, risks / given))
    moved = (risks - area + wrong * each - together) / len(risks)
    groups = answers.groups[order]
    by_group = np.asarray(np.bincount(groups, weights=moved), dtype=np.float64)
    one = score_interval(area, moved, groups, times=TIMES)
    other = _logit_interval(area, by_group)
    return area, (min(one[0], other[0]), max(one[1], other[1]))


def _logit_interval(value: float, moved: FloatArray) -> Interval:
    """Give Student's interval of a share's log-odds from what each group moves the share, (G,)."""
    from scipy.special import expit, logit, stdtrit

    if not 0 < value < 1 or len(moved) < 2:
        return value, value
    spread = math.sqrt((moved**2).sum() * len(moved) / (len(moved) - 1))
    reach = stdtrit(len(moved) - 1, UPPER) * spread / (value * (1 - value))
    return float(expit(logit(value) - reach)), float(expit(logit(value) + reach))


def _referral(answers: Answers, limits: Limits, levels: FloatArray) -> dict[str, Any] | None:
    """Give how many of the test images are answered at their levels (N,), and how many wrongly.

    An image without a level, since the other folds have none, is referred.
    """
    if limits.max_error is None:
        return None
    given, groups = answers.certain >= levels, answers.groups
    known = limits.refer_below is not None and len(given) > 0
    answered = float(given.mean()) if known else math.nan
    wrong = float(answers.wrong[given].mean()) if known and given.any() else math.nan
    shares = share_interval(groups, given) if known else (math.nan,) * 2
    errors = share_interval(groups[given], answers.wrong[given]) if known else (math.nan,) * 2
    return {
        "max_error": limits.max_error,
        "refer_below": limits.refer_below,
        "reason": limits.refer_reason,
        **{"answered": answered, "answered_ci95": _pair(shares)},
        **{"error": wrong, "error_ci95": _pair(errors)},
    }


def _sets(answers: Answers, limits: Limits, levels: FloatArray) -> dict[str, Any]:
    """Give how many of the test images' sets hold the true class, and how large they are."""
    sample, classes = answers.sample, answers.shares.shape[1]
    found: dict[str, Any] = {
        "level": limits.set_level,
        "set_from": limits.set_from,
        "reason": limits.set_reason,
    }
    inside = answers.shares >= levels[:, np.newaxis]
    rows = np.arange(len(sample))
    inside[rows, sample.predicted] = True
    sizes, alone = inside.sum(axis=1), inside.sum(axis=1) == 1
    held = inside[rows, sample.true]
    known = limits.set_from is not None and len(sample) > 0 and not np.isnan(levels).any()
    shares = {"coverage": held, "single": alone, "size": (sizes - 1) / max(1, classes - 1)}
    for name, values in shares.items():
        share = float(values.mean()) if known else math.nan
        bounds = share_interval(sample.groups, values) if known else (math.nan,) * 2
        scale, least = (classes - 1, 1) if name == "size" else (1, 0)
        found[name] = least + scale * share
        found[f"{name}_ci95"] = _pair((least + scale * bounds[0], least + scale * bounds[1]))
    return found


def _folds(rows: pd.DataFrame) -> Iterator[tuple[IntArray, IntArray]]:
    """Give the places of each fold's rows, and those of the other folds of its repeat."""
    repeats, folds = rows[REPEAT].to_numpy(), rows[FOLD].to_numpy()
    for repeat, fold in rows[[REPEAT, FOLD]].drop_duplicates().itertuples(index=False):
        same, own = repeats == repeat, folds == fold
        yield np.flatnonzero(same & own), np.flatnonzero(same & ~own)


def _rows_of(sample: Sample, rows: IntArray) -> Sample:
    """Take some images of a sample; their groups are numbered anew."""
    groups = np.unique(sample.groups[rows], return_inverse=True)[1]
    return replace(
        sample,
        true=sample.true[rows],
        predicted=sample.predicted[rows],
        probabilities=sample.probabilities[rows],
        groups=groups,
    )


def _from_here(values: FloatArray) -> FloatArray:
    """Sum from each place to the end, (N,)."""
    return np.asarray(np.cumsum(values[::-1])[::-1])


def _pair(found: Interval | tuple[float, ...]) -> list[float] | None:
    return None if math.isnan(found[0]) else list(found)
