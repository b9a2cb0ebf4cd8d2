"""List the metrics: a record holds all that is known of one, and what shows metrics reads the list.

Each is a function of a sample and weights (see `sample`): with weights of 1 it gives the value,
with the weights of draws the value of each draw. A new record is computed, written to metrics.json
or per_class.csv, and shown in the report, the model card, the terminal and the Prefect UI.

What is undefined is NaN, never 0: the precision of a class that was never predicted, for instance.
NaN is an empty field in CSV, null in JSON and "n/a" for people. The tests hold the values against
scikit-learn's. SciPy is imported where it computes, since a run that only shows metrics has no need
of it.
Source: https://scikit-learn.org/stable/modules/model_evaluation.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from reports.arrays import UNDEFINED, BoolArray, FloatArray, IntArray, Interval, divide
from reports.evaluation import intervals
from reports.evaluation.bootstrap import interval
from reports.evaluation.intervals import score_interval, share_interval
from reports.evaluation.logistic import FEWEST_GROUPS, CalibrationLine
from reports.evaluation.ranking import Steps
from reports.evaluation.sample import Sample, Weighted
from resnext.contracts.formatting import decimal, percent

ECE_BINS = 15
CHANCE_DRAWS = 1000
CHANCE_ROWS = 50
"""So many of these draws are held at once."""
FEWEST = 5
"""So many groups of each class macro F1 and Matthews' correlation need for an interval."""


@dataclass(frozen=True)
class Estimate:
    """Hold the value of a metric, and what its interval is made from."""

    sample: Sample
    value: float
    draws: FloatArray | None = None
    """(B,), its values in draws of groups, where the interval is made from them."""
    index: int = -1
    """The class, of a metric of one class."""
    found: Mapping[str, Any] = field(default_factory=dict)
    """The metrics before it in the list, with their intervals."""

    @property
    def hits(self) -> BoolArray:
        """Tell which images are of the class, (N,)."""
        return np.asarray(self.sample.true == self.index)

    @property
    def given(self) -> BoolArray:
        """Tell which images were given the class, (N,)."""
        return np.asarray(self.sample.predicted == self.index)

    @property
    def calibration_line(self) -> CalibrationLine:
        """Give the slope and intercept of the class, undefined ones where it is not there."""
        return self.sample.calibration_lines.get(self.index, CalibrationLine())


@dataclass(frozen=True)
class Metric:
    """Hold one metric."""

    name: str
    """Its key in metrics.json, or column in per_class.csv."""
    title: str
    meaning: str
    undefined: str
    """When it is NaN."""
    compute: Callable[[Weighted], FloatArray]
    """Gives (B,), or (B, C) of a metric of one class against the rest."""
    interval: Callable[[Estimate], Interval] | None = None
    """Gives the interval of 95 % of a sample that holds an image."""
    drawn: bool = False
    """Whether the interval is made from draws."""
    fewest_groups: int = 0
    """With fewer groups of a class than this there is no interval."""
    of_image: Callable[[Sample], FloatArray] | None = None
    """Gives what it is the mean of over the images, (N,), where it is such a mean."""
    higher_is_better: bool = True
    in_percent: bool = True
    """Whether it is a share, written in percent; else it has three decimals."""
    shown: Literal["bar", "baseline", "tile", ""] = "tile"
    """How the report shows it, if it does."""
    beside: str = ""
    """A metric that stands in the same tile."""
    below_zero: str = ""
    """What is said there of a value below 0."""

    @property
    def write(self) -> Callable[[float | None], str]:
        """Write a value for a person."""
        return percent if self.in_percent else decimal


def bootstrapped(estimate: Estimate) -> Interval:
    """Give the interval from the draws; n is the number of groups that the metric is about."""
    sample = estimate.sample
    groups = sample.group_count if estimate.index < 0 else sample.groups_of(estimate.hits)
    return interval(np.asarray(estimate.draws), estimate.value, groups)


def moved(estimate: Estimate, name: str) -> Interval:
    """Give the interval of another metric, moved by how far the values are apart."""
    bounds, apart = estimate.found[f"{name}_ci95"], estimate.value - estimate.found[name]
    return (bounds[0] + apart, bounds[1] + apart) if bounds else UNDEFINED


# ---------------------------------------------------------------- of one class against the rest


def precision(counted: Weighted) -> FloatArray:
    """Give the share of right answers among those of each class, (B, C)."""
    return divide(counted.right, counted.given)


def recall(counted: Weighted) -> FloatArray:
    """Give the share of each class that was found, (B, C)."""
    return divide(counted.right, counted.there)


def specificity(counted: Weighted) -> FloatArray:
    """Give the share of the other images that were not given each class, (B, C)."""
    others = counted.total[:, np.newaxis] - counted.there
    return divide(others - (counted.given - counted.right), others)


def f1(counted: Weighted) -> FloatArray:
    """Give the harmonic mean of precision and recall, (B, C)."""
    return divide(2 * counted.right, counted.there + counted.given)


def calibration_slope(counted: Weighted) -> FloatArray:
    """Give by how much the log odds of each class would have to be multiplied, (B, C)."""
    return _of_lines(counted, lambda found: found.slope)


def calibration_intercept(counted: Weighted) -> FloatArray:
    """Give what would have to be added to the log odds of each class, (B, C)."""
    return _of_lines(counted, lambda found: found.intercept)


def _of_lines(counted: Weighted, read: Callable[[CalibrationLine], float]) -> FloatArray:
    """Read slope or intercept off the fits of each row of weights, (B, C)."""
    sample, found = counted.sample, np.full(counted.there.shape, np.nan)
    for row, weights in enumerate(counted.weights):
        alike = bool((weights == 1).all())
        fits = sample.calibration_lines if alike else sample.fit_lines(weights[sample.groups])
        for index, fitted in fits.items():
            found[row, index] = read(fitted)
    return found


UNFITTED = (
    f"fewer than {FEWEST_GROUPS} groups have or lack the class, or its probabilities separate it "
    "from the others without an error"
)
CLASS_METRICS: list[Metric] = [
    Metric(
        "precision",
        "Precision",
        "the share of right answers among the images given this class (positive predictive value)",
        "the class was never predicted",
        precision,
        lambda e: share_interval(e.sample.groups, e.hits & e.given, e.given),
    ),
    Metric(
        "recall",
        "Recall",
        "the share of this class that was found (sensitivity)",
        "no image is of the class",
        recall,
        lambda e: share_interval(e.sample.groups, e.hits & e.given, e.hits),
    ),
    Metric(
        "specificity",
        "Specificity",
        "the share of the other images that were not given this class",
        "every image is of the class",
        specificity,
        lambda e: share_interval(e.sample.groups, ~(e.hits | e.given), ~e.hits),
    ),
    Metric(
        "f1",
        "F1",
        "the harmonic mean of precision and recall",
        "the class is neither there nor predicted",
        f1,
        lambda e: share_interval(e.sample.groups, 2 * (e.hits & e.given), e.hits + 1 * e.given),
    ),
    Metric(
        "auroc",
        "AUROC",
        "how well the class is ranked above all others: 1 is perfect, 0.5 is chance",
        "no image or every image is of the class",
        lambda counted: counted.rank(Steps.auroc),
        lambda e: intervals.of_auroc(e.sample, e.index, e.value),
        in_percent=False,
    ),
    Metric(
        "average_precision",
        "Average precision",
        "the mean precision over all thresholds that find one more image of the class",
        "no image is of the class",
        lambda counted: counted.rank(Steps.average_precision),
        bootstrapped,
        drawn=True,
        in_percent=False,
    ),
    Metric(
        "calibration_slope",
        "Calibration slope",
        "1 where the class's probabilities are as extreme as they should be, below 1 where they "
        "are too extreme",
        UNFITTED,
        calibration_slope,
        lambda e: e.calibration_line.slope_interval,
        in_percent=False,
    ),
    Metric(
        "calibration_intercept",
        "Calibration intercept",
        "0 where the class is as frequent as its probabilities say, below 0 where it is less so",
        UNFITTED,
        calibration_intercept,
        lambda e: e.calibration_line.intercept_interval,
        in_percent=False,
    ),
]


# ---------------------------------------------------------------- of the whole sample


def weighted_f1(counted: Weighted) -> FloatArray:
    """Give the mean F1, weighted by the images of the classes, (B,)."""
    return divide((np.nan_to_num(f1(counted)) * counted.there).sum(axis=1), counted.total)


def mcc(counted: Weighted) -> FloatArray:
    """Give Matthews' correlation, -1..1, (B,).

    Source: Gorodkin 2004, https://doi.org/10.1016/j.compbiolchem.2004.09.006
    """
    right, there, given, total = counted.right, counted.there, counted.given, counted.total
    together = right.sum(axis=1) * total - (there * given).sum(axis=1)
    spread = (total**2 - (there**2).sum(axis=1)) * (total**2 - (given**2).sum(axis=1))
    correlation = divide(together, np.sqrt(np.maximum(spread, 0)))
    return np.where(counted.complete, correlation, np.nan)


def losses(sample: Sample) -> FloatArray:
    """Give the log loss of each image in nats, (N,); scikit-learn clips probabilities alike."""
    tiny = np.finfo(np.float64).eps
    of_truth = sample.probabilities[np.arange(len(sample)), sample.true]
    return np.asarray(-np.log(np.clip(of_truth, tiny, 1 - tiny)))


def brier(counted: Weighted) -> FloatArray:
    """Give the mean squared error of the probabilities, (B,): 0..1 of two classes, else 0..2."""
    sample = counted.sample
    hits = np.arange(len(sample.classes)) == sample.true[:, np.newaxis]
    errors = ((hits - sample.probabilities) ** 2).sum(axis=1)
    return counted.mean(errors / 2 if len(sample.classes) < 3 else errors)


def brier_skill(counted: Weighted) -> FloatArray:
    """Give how much of the Brier score of always answering the class shares is saved, (B,).

    At most 1; 0 is no better than these shares, below 0 is worse. They are those of the sample in
    every draw: a draw's own shares would fit it better than it deserves.
    Source: Murphy 1973, https://doi.org/10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2
    """
    classes = len(counted.sample.classes)
    always = np.bincount(counted.sample.true, minlength=classes) / max(1, len(counted.sample))
    shares = divide(counted.there, counted.total[:, np.newaxis])
    unskilled = 1 - 2 * shares @ always + (always**2).sum()
    return 1 - divide(brier(counted), unskilled / 2 if classes < 3 else unskilled)


def calibration_error(counted: Weighted) -> FloatArray:
    """Give the expected calibration error (0..1), (B,).

    The mean over 15 equally wide bins of confidence, each with its right end and without its
    left one, of how far the share of right answers is from the mean confidence, weighted by the
    images in it. An empty bin counts nothing.
    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599
    """
    from scipy.sparse import csr_array

    sample = counted.sample
    bins = bins_of(sample.confidences, ECE_BINS)
    surplus = csr_array(
        (sample.right - sample.confidences, (sample.groups, bins)),
        shape=(sample.group_count, ECE_BINS),
    )
    return divide(np.abs(counted.weights @ surplus).sum(axis=1), counted.total)


def chance_calibration_error(sample: Sample) -> float:
    """Give the calibration error that a perfectly calibrated network shows on these images.

    It is the mean over draws in which each answer is right with the probability that its
    confidence states: on few images it is far above 0. NaN without images.
    Source: Bröcker and Smith 2007, https://doi.org/10.1175/WAF993.1 (consistency resampling)
    """
    from scipy.sparse import csr_array

    if len(sample) == 0:
        return math.nan
    random = np.random.default_rng(0)
    bins = np.eye(ECE_BINS)[bins_of(sample.confidences, ECE_BINS)]  # (N, 15)
    inside = csr_array(bins)
    errors = []
    for _ in range(CHANCE_DRAWS // CHANCE_ROWS):
        right = random.random((CHANCE_ROWS, len(sample))) < sample.confidences
        errors.append(np.abs((right - sample.confidences) @ inside).sum(axis=1) / len(sample))
    return float(np.mean(errors))


def bins_of(shares: FloatArray, bins: int) -> IntArray:
    """Give the bin of each share 0..1, (N,): equally wide, with the right end, without the left."""
    edges = np.linspace(0, 1, bins + 1)
    found: IntArray = np.clip(np.searchsorted(edges, shares, side="left") - 1, 0, bins - 1)
    return found


NO_IMAGE = "no image was evaluated"
METRICS: list[Metric] = [
    Metric(
        "accuracy",
        "Accuracy",
        "the share of right answers",
        NO_IMAGE,
        lambda counted: divide(counted.right.sum(axis=1), counted.total),
        lambda e: share_interval(e.sample.groups, e.sample.right),
        shown="bar",
    ),
    Metric(
        "balanced_accuracy",
        "Balanced accuracy",
        "the mean recall of the classes, so that a common one does not outweigh a rare one",
        NO_IMAGE,
        lambda counted: counted.over_classes(recall(counted)),
        lambda e: intervals.of_balanced_accuracy(e.sample),
        shown="bar",
    ),
    Metric(
        "auroc",
        "AUROC",
        "1 separates perfectly, 0.5 is chance",
        "all images are of one class",
        lambda counted: counted.over_classes(
            counted.rank(Steps.auroc)[:, counted.sample.auroc_classes]
        ),
        lambda e: intervals.of_mean_auroc(e.sample, e.value),
        in_percent=False,
    ),
    Metric(
        "macro_f1",
        "Macro F1",
        "mean over the classes",
        NO_IMAGE,
        lambda counted: counted.over_classes(f1(counted)),
        lambda e: score_interval(
            e.value, intervals.macro_f1_influence(e.sample), e.sample.groups, e.sample.true
        ),
        fewest_groups=FEWEST,
    ),
    Metric(
        "weighted_f1",
        "Weighted F1",
        "mean over the classes, weighted by their images",
        NO_IMAGE,
        weighted_f1,
        lambda e: score_interval(
            e.value, intervals.weighted_f1_influence(e.sample), e.sample.groups
        ),
        shown="",
    ),
    Metric(
        "mcc",
        "MCC",
        "Matthews correlation: 1 is perfect, 0 is chance",
        "one class alone is there or was predicted",
        mcc,
        lambda e: intervals.of_mcc(e.sample, e.value),
        fewest_groups=FEWEST,
        in_percent=False,
    ),
    Metric(
        "log_loss",
        "Log loss",
        "lower is better; confident mistakes cost most",
        NO_IMAGE,
        lambda counted: counted.mean(losses(counted.sample)),
        bootstrapped,
        drawn=True,
        of_image=losses,
        higher_is_better=False,
        in_percent=False,
    ),
    Metric(
        "brier",
        "Brier score",
        "lower is better; mean squared error of the probabilities",
        NO_IMAGE,
        brier,
        bootstrapped,
        drawn=True,
        higher_is_better=False,
        in_percent=False,
    ),
    Metric(
        "brier_skill",
        "Brier skill score",
        "1 is perfect; 0 is as good as always answering the shares of the classes, below 0 worse",
        "all images are of one class",
        brier_skill,
        bootstrapped,
        drawn=True,
        in_percent=False,
    ),
    Metric(
        "ece",
        "Calibration error",
        "how far confidence and the share of right answers differ",
        NO_IMAGE,
        calibration_error,
        lambda e: interval(np.asarray(e.draws), e.value, e.sample.group_count, pivotal=True),
        drawn=True,
        higher_is_better=False,
        beside="ece_excess",
    ),
    Metric(
        "ece_excess",
        "less what chance alone gives",
        "what the calibration error is above that of a perfectly calibrated network",
        NO_IMAGE,
        lambda counted: calibration_error(counted) - chance_calibration_error(counted.sample),
        lambda e: moved(e, "ece"),
        higher_is_better=False,
        shown="",
        below_zero="no more than chance",
    ),
    Metric(
        "majority_accuracy",
        "Always the commonest class",
        "what the same answer to every image would score, the commonest class of the test part",
        NO_IMAGE,
        lambda counted: divide(counted.there.max(axis=1), counted.total),
        shown="baseline",
    ),
]


def select(names: Collection[str]) -> list[Metric]:
    """Give the metrics of these names, in the order of the list."""
    return [metric for metric in METRICS if metric.name in names]


OF_FOLDS = select(["accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss"])
"""What is given of each fold of a cross-validation."""
