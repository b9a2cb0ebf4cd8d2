"""Hold the evaluated rows of a table of predictions as arrays, and count them with weights.

Only the rows of one part of the split whose status is "ok" count. Classes and groups are numbers.
An image without a group is a group of its own.

Weights say how often each group counts, (B, G): a row a draw. With weights of 1 the sample counts
as it is. What is undefined in a draw is NaN there, such as the recall of a class that it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from reports.arrays import BoolArray, FloatArray, IntArray, divide, nan_mean
from reports.evaluation.logistic import CalibrationLine, fit_line, log_odds
from reports.evaluation.ranking import Ranking, Steps, rank
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few

FOLD, REPEAT = "fold", "repeat"
"""Columns of predictions.csv, both counted from 1; a table of one split has neither."""


@dataclass(frozen=True)
class Sample:
    """Hold N images of G groups with their true, predicted and possible classes (C)."""

    classes: tuple[str, ...]
    true: IntArray
    """(N,), positions in classes."""
    predicted: IntArray
    """(N,), positions in classes."""
    probabilities: FloatArray
    """(N, C), each row scaled to the sum 1."""
    groups: IntArray
    """(N,), 0..G-1."""

    def __len__(self) -> int:
        """Count the images."""
        return len(self.true)

    @cached_property
    def group_count(self) -> int:
        """Count the groups, G."""
        return int(self.groups.max()) + 1 if len(self) else 0

    @cached_property
    def right(self) -> BoolArray:
        """Tell which images were given their class, (N,)."""
        return np.asarray(self.true == self.predicted)

    @cached_property
    def confidences(self) -> FloatArray:
        """Give the greatest probability of each image, (N,)."""
        return np.asarray(self.probabilities.max(axis=1, initial=0.0))

    @cached_property
    def held(self) -> list[int]:
        """Say which classes the sample holds."""
        return [int(index) for index in np.unique(self.true)]

    @cached_property
    def smallest_class(self) -> tuple[str, int]:
        """Name the held class with the fewest groups, the first of equals, and count them.

        The sample must hold an image.
        """
        groups, index = min((self.groups_of(self.true == index), index) for index in self.held)
        return self.classes[index], groups

    @cached_property
    def rankings(self) -> dict[int, Ranking]:
        """Rank the images by the probability of each class that the sample holds."""
        return {
            index: rank(self.probabilities[:, index], self.true == index, self.groups)
            for index in self.held
        }

    @cached_property
    def calibration_lines(self) -> dict[int, CalibrationLine]:
        """Fit the log odds of each class that the sample holds to the truth."""
        return self.fit_lines(np.ones(len(self)))

    @cached_property
    def auroc_classes(self) -> list[int]:
        """Say which classes the AUROC is the mean of: of two the second one in sorted order.

        None where fewer than two classes are there.
        """
        if len(self.held) < 2:
            return []
        if len(self.classes) == 2:
            return [self.classes.index(sorted(self.classes)[1])]
        return self.held

    def fit_lines(self, counted: FloatArray) -> dict[int, CalibrationLine]:
        """Fit them where each image counts so many times, (N,)."""
        return {
            index: fit_line(
                log_odds(self.probabilities, index), self.true == index, self.groups, counted
            )
            for index in self.held
        }

    def groups_of(self, rows: BoolArray) -> int:
        """Count the groups that hold at least one of these images (N,)."""
        return len(np.unique(self.groups[rows]))


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
    classes, every = len(sample.classes), np.ones(len(sample))
    counted = np.concatenate([sample.right, every, every])
    columns = np.concatenate([sample.true, sample.true + classes, sample.predicted + 2 * classes])
    table = csr_array(  # sparse, as a group holds few classes
        (counted, (np.tile(sample.groups, 3), columns)), shape=(weights.shape[1], 3 * classes)
    )
    right, there, given = np.split(np.asarray(weights @ table), 3, axis=1)
    return Weighted(sample, weights, right, there, given)


# ---------------------------------------------------------------- from a table


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """Read the classes off the columns p_<class>, in their order."""
    names = [str(name) for name in predictions.columns]
    return [name.removeprefix("p_") for name in names if name.startswith("p_")]


def evaluated(predictions: pd.DataFrame, *, split: str = "test") -> pd.DataFrame:
    """Select the rows that count: those of one part of the split whose status is "ok"."""
    rows = (predictions["split"] == split) & (predictions["status"] == "ok")
    return predictions.loc[rows].reset_index(drop=True)


def read_sample(
    predictions: pd.DataFrame, classes: Sequence[str], *, split: str = "test"
) -> Sample:
    """Take the rows of one part that count; probabilities are scaled to the sum 1.

    Raises:
        InputError: a label or a prediction is not among the classes.
    """
    rows = evaluated(predictions, split=split)
    true, predicted = (_codes(rows, column, classes) for column in ("label", "predicted"))
    shares = rows[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return Sample(
        classes=tuple(classes),
        true=true,
        predicted=predicted,
        probabilities=shares / shares.sum(axis=1, keepdims=True),
        groups=group_codes(rows),
    )


def per_group(sample: Sample, repeats: IntArray | None = None) -> Sample:
    """Make one image of each group: its probabilities are the mean of its images'.

    In several repeats (N,) of a cross-validation it is one for each of them. A group that holds two
    classes gives one a class, each from the images of that class: both stay in one group. Of equal
    probabilities the first class wins.
    """
    again = np.zeros(len(sample), dtype=np.int64) if repeats is None else repeats
    pairs = np.stack([sample.groups, sample.true, again], axis=1)
    units, of, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    sums = np.zeros((len(units), len(sample.classes)))
    np.add.at(sums, of.reshape(-1), sample.probabilities)
    means = sums / sizes[:, np.newaxis]
    predicted = means.argmax(axis=1).astype(np.int64)
    return Sample(sample.classes, units[:, 1], predicted, means, units[:, 0])


def group_codes(rows: pd.DataFrame) -> IntArray:
    """Number the groups, (N,); a path and a group of the same name are not the same group."""
    named = rows["group"] != ""
    names = rows["group"].where(named, rows["path"])
    codes: IntArray = pd.factorize(pd.MultiIndex.from_arrays([named, names]))[0].astype(np.int64)
    return codes


def _codes(rows: pd.DataFrame, column: str, classes: Sequence[str]) -> IntArray:
    """Give the position of each row's class in classes, (N,)."""
    codes = {name: code for code, name in enumerate(classes)}
    unknown = [name for name in rows[column].unique() if name not in codes]
    if unknown:
        raise InputError(
            f"Column '{column}'",
            f"hold only the {len(classes)} classes",
            first_few(f"'{name}'" for name in unknown),
            "Evaluate with the classes that the model was trained on.",
        )
    return np.array([codes[name] for name in rows[column]], dtype=np.int64)
