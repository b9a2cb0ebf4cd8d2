"""Compute the metrics of many weightings of one sample at once, by matrix products.

Each function takes weights (B, G), how often each group counts in each of B draws, and gives the
metrics of all draws. With all weights 1 they are the point values, which scikit-learn computes
elsewhere; the tests hold the two against each other. What is undefined in a draw is NaN there:
the recall of a class that the draw lacks, for instance. Means over classes leave it out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from reports.evaluation.ranking import Ranking, divide, rank
from reports.evaluation.sample import BoolArray, FloatArray, IntArray, Sample

ECE_BINS = 15
CHANCE_DRAWS = 1000
CHANCE_ROWS = 50
"""So many of these draws are held at once."""

SCORES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "mcc",
    "auroc",
    "log_loss",
    "brier",
    "ece",
)
"""The metrics of a whole sample."""
CLASS_SCORES = ("precision", "recall", "specificity", "f1", "auroc", "average_precision")
"""The metrics of one class against the rest."""


@dataclass(frozen=True)
class Tallies:
    """Hold the weights of right, present and predicted pictures by class, and of all."""

    right: FloatArray
    """(B, C), the diagonals of the confusion tables."""
    there: FloatArray
    """(B, C), their row sums."""
    given: FloatArray
    """(B, C), their column sums."""
    everything: FloatArray
    """(B, 1)."""
    held: BoolArray
    """(C,), which classes the sample holds."""

    @property
    def complete(self) -> BoolArray:
        """Tell which draws hold every class that the sample holds, (B,)."""
        return np.asarray((self.there[:, self.held] > 0).all(axis=1))

    @property
    def recall(self) -> FloatArray:
        """Give the share of each class that was found, (B, C)."""
        return divide(self.right, self.there)

    @property
    def precision(self) -> FloatArray:
        """Give the share of right answers among those of each class, (B, C)."""
        return divide(self.right, self.given)

    @property
    def specificity(self) -> FloatArray:
        """Give the share of the other pictures not taken for each class, (B, C)."""
        others = self.everything - self.there
        return divide(others - (self.given - self.right), others)

    @property
    def f1(self) -> FloatArray:
        """Give the harmonic mean of precision and recall, (B, C)."""
        return divide(2 * self.right, self.there + self.given)

    @property
    def mcc(self) -> FloatArray:
        """Give Matthews' correlation, (B,); NaN where one class alone is there or predicted.

        Source: Gorodkin 2004, https://doi.org/10.1016/j.compbiolchem.2004.09.006
        """
        total = self.everything[:, 0]
        together = self.right.sum(axis=1) * total - (self.there * self.given).sum(axis=1)
        spread = (total**2 - (self.there**2).sum(axis=1)) * (total**2 - (self.given**2).sum(axis=1))
        return divide(together, np.sqrt(np.maximum(spread, 0)))


def tally(sample: Sample, weights: FloatArray) -> Tallies:
    """Add up what the per-class metrics are made from; weights are (B, G)."""
    classes = len(sample.classes)
    right = sample.right
    return Tallies(
        right=_by_class(sample.groups[right], sample.true[right], weights, classes),
        there=_by_class(sample.groups, sample.true, weights, classes),
        given=_by_class(sample.groups, sample.predicted, weights, classes),
        everything=sum_by_group(sample, np.ones((len(sample), 1)), weights),
        held=np.bincount(sample.true, minlength=classes) > 0,
    )


def class_scores(sample: Sample, weights: FloatArray) -> dict[str, FloatArray]:
    """Compute all of CLASS_SCORES, (B, C) each, for weights (B, G)."""
    counted = tally(sample, weights)
    areas, precisions = np.full((2, len(weights), len(sample.classes)), np.nan)
    for place in np.unique(sample.true):
        steps = rank_class(sample, int(place)).steps(weights)
        areas[:, place], precisions[:, place] = steps.auroc(), steps.average_precision()
    return {
        "precision": counted.precision,
        "recall": counted.recall,
        "specificity": counted.specificity,
        "f1": counted.f1,
        "auroc": areas,
        "average_precision": precisions,
    }


def scores(sample: Sample, weights: FloatArray, aurocs: FloatArray) -> dict[str, FloatArray]:
    """Compute all of SCORES, (B,) each, for weights (B, G) and the classes' AUROCs (B, C)."""
    counted = tally(sample, weights)
    area = np.where(counted.complete, nan_mean(aurocs[:, auroc_places(sample)]), np.nan)
    return counted_scores(counted) | {"auroc": area} | probability_scores(sample, weights)


def probability_scores(sample: Sample, weights: FloatArray) -> dict[str, FloatArray]:
    """Compute those of SCORES that follow from the probabilities of single pictures, (B,) each."""
    return {
        "log_loss": _mean(sample, log_losses(sample), weights),
        "brier": _mean(sample, brier_scores(sample), weights),
        "ece": calibration_errors(sample, weights),
    }


def counted_scores(counted: Tallies) -> dict[str, FloatArray]:
    """Compute those of SCORES that follow from counts, (B,) each.

    Where a draw lacks a class of the sample, those in which all classes weigh the same are NaN.
    """
    f1, complete = counted.f1, counted.complete
    weighted = np.where(np.isnan(f1), 0, f1) * counted.there
    return {
        "accuracy": divide(counted.right.sum(axis=1), counted.everything[:, 0]),
        "balanced_accuracy": np.where(complete, nan_mean(counted.recall), np.nan),
        "macro_f1": np.where(complete, nan_mean(f1), np.nan),
        "weighted_f1": divide(weighted.sum(axis=1), counted.everything[:, 0]),
        "mcc": np.where(complete, counted.mcc, np.nan),
    }


def auroc_places(sample: Sample) -> list[int]:
    """Say which classes the AUROC is the mean of: with two classes the second in sorted order.

    None where fewer than two classes are there.
    """
    there = [int(place) for place in np.unique(sample.true)]
    if len(there) < 2:
        return []
    if len(sample.classes) == 2:
        return [sample.classes.index(sorted(sample.classes)[1])]
    return there


def rank_class(sample: Sample, place: int) -> Ranking:
    """Rank the pictures by the probability of one class."""
    return rank(sample.probabilities[:, place], sample.true == place, sample.groups)


def log_losses(sample: Sample) -> FloatArray:
    """Give the log loss of each picture in nats, (N,); clipped as scikit-learn clips."""
    tiny = np.finfo(np.float64).eps
    of_truth = sample.probabilities[np.arange(len(sample)), sample.true]
    losses: FloatArray = -np.log(np.clip(of_truth, tiny, 1 - tiny))
    return losses


def brier_scores(sample: Sample) -> FloatArray:
    """Give the squared error of each picture's probabilities, (N,), halved with two classes."""
    hits = np.arange(len(sample.classes)) == sample.true[:, np.newaxis]
    errors: FloatArray = ((hits - sample.probabilities) ** 2).sum(axis=1)
    return errors / 2 if len(sample.classes) < 3 else errors


def calibration_errors(sample: Sample, weights: FloatArray) -> FloatArray:
    """Give the expected calibration error (0..1), (B,), for weights (B, G); NaN without pictures.

    The mean over 15 equally wide bins of confidence, each with its right end and without its
    left one, of how far the share of right answers is from the mean confidence, weighted by the
    pictures in it. An empty bin counts nothing.
    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599
    """
    bins = bins_of(sample.confidences, ECE_BINS)
    surplus = csr_array(
        (sample.right - sample.confidences, (sample.groups, bins)),
        shape=(sample.group_count, ECE_BINS),
    )
    everything = sum_by_group(sample, np.ones((len(sample), 1)), weights)
    return divide(np.abs(weights @ surplus).sum(axis=1), everything[:, 0])


def chance_calibration_error(sample: Sample) -> float:
    """Give the calibration error that a perfectly calibrated network shows on these pictures.

    It is the mean over draws in which each answer is right with the probability that its
    confidence states: on few pictures it is far above 0. NaN without pictures.
    Source: Bröcker and Smith 2007, https://doi.org/10.1175/WAF993.1 (consistency resampling)
    """
    if len(sample) == 0:
        return math.nan
    random = np.random.default_rng(0)
    inside = csr_array(np.eye(ECE_BINS)[bins_of(sample.confidences, ECE_BINS)])  # (N, 15)
    errors = []
    for _ in range(CHANCE_DRAWS // CHANCE_ROWS):
        right = random.random((CHANCE_ROWS, len(sample))) < sample.confidences
        errors.append(np.abs((right - sample.confidences) @ inside).sum(axis=1) / len(sample))
    return float(np.mean(errors))


def bins_of(shares: FloatArray, bins: int) -> IntArray:
    """Give the bin of each share 0..1, (N,): equally wide, with the right end, without the left."""
    edges = np.linspace(0, 1, bins + 1)
    places: IntArray = np.clip(np.searchsorted(edges, shares, side="left") - 1, 0, bins - 1)
    return places


def sum_by_group(sample: Sample, values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weigh values (N, M) by their pictures' groups and add them up, (B, M)."""
    sums = np.zeros((sample.group_count, values.shape[1]))
    np.add.at(sums, sample.groups, values)
    return weights @ sums


def share_of(sample: Sample, hits: BoolArray, rows: BoolArray, weights: FloatArray) -> FloatArray:
    """Give the share of hits (N,) among these rows (N,), (B,); NaN where a draw has none."""
    sums = sum_by_group(sample, np.stack([hits & rows, rows], axis=1).astype(float), weights)
    return divide(sums[:, 0], sums[:, 1])


def nan_mean(values: FloatArray) -> FloatArray:
    """Average the defined values of each row, (B, C) to (B,); NaN where there is none."""
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0).sum(axis=1), known.sum(axis=1))


def _by_class(groups: IntArray, classes: IntArray, weights: FloatArray, count: int) -> FloatArray:
    """Count pictures by class, each by its group's weight, (B, C); sparse, as groups have few."""
    ones = np.ones(len(groups))
    table = csr_array((ones, (groups, classes)), shape=(weights.shape[1], count))
    sums: FloatArray = np.asarray(weights @ table)
    return sums


def _mean(sample: Sample, values: FloatArray, weights: FloatArray) -> FloatArray:
    """Average values (N,) over the pictures, (B,)."""
    columns = np.stack([values, np.ones(len(sample))], axis=1)
    sums = sum_by_group(sample, columns, weights)
    return divide(sums[:, 0], sums[:, 1])
