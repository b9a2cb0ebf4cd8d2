"""Count a sample with weights: how often each group counts, in many draws at once.

Weights are (B, G), a row a draw; with weights of 1 the sample counts as it is. What is undefined
in a draw is NaN there, such as the recall of a class that the draw lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reports.arrays import BoolArray, FloatArray, IntArray, Numbers, divide, nan_mean
from reports.evaluation.ranking import Steps
from reports.evaluation.sample import Sample


@dataclass(frozen=True)
class Weighted:
    """Hold a sample of C classes with B rows of weights, and what they count by class."""

    sample: Sample
    weights: FloatArray
    """(B, G), how often each group counts."""
    right: FloatArray
    """(B, C), the diagonals of the confusion tables."""
    there: FloatArray
    """(B, C), their row sums: the images of each class."""
    given: FloatArray
    """(B, C), their column sums: the answers of each class."""

    @property
    def total(self) -> FloatArray:
        """Count all images, (B,)."""
        return np.asarray(self.there.sum(axis=1))

    @property
    def complete(self) -> BoolArray:
        """Tell which draws hold every class that the sample holds, (B,)."""
        return np.asarray((self.there[:, self.sample.held] > 0).all(axis=1))

    def over_classes(self, values: FloatArray) -> FloatArray:
        """Average (B, K) over classes, (B,); NaN in draws that lack a class of the sample."""
        return np.where(self.complete, nan_mean(values), np.nan)

    def mean(self, values: FloatArray) -> FloatArray:
        """Average values (N,) over the images, (B,)."""
        sums = np.bincount(self.sample.groups, weights=values, minlength=self.weights.shape[1])
        return divide(self.weights @ sums, self.total)

    def rank(self, measure: Callable[[Steps], FloatArray]) -> FloatArray:
        """Measure the ranking of each class, (B, C); NaN of a class that the sample lacks."""
        found = np.full(self.there.shape, np.nan)
        for index, ranking in self.sample.rankings.items():
            found[:, index] = measure(ranking.steps(self.weights))
        return found


def weigh(sample: Sample, weights: FloatArray | None = None) -> Weighted:
    """Count a sample with these weights (B, G), or as it is (B = 1)."""
    from scipy.sparse import csr_array

    if weights is None:
        weights = np.ones((1, sample.group_count))
    shape = weights.shape[1], len(sample.classes)

    def count(rows: Numbers, classes: IntArray) -> FloatArray:
        table = csr_array((rows.astype(float), (sample.groups, classes)), shape=shape)
        return np.asarray(weights @ table)  # sparse, as a group holds few classes

    every = np.ones(len(sample))
    return Weighted(
        sample,
        weights,
        right=count(sample.right, sample.true),
        there=count(every, sample.true),
        given=count(every, sample.predicted),
    )
