"""Hold the evaluated rows of a table of predictions as arrays, classes and groups by number.

Only the rows of one part of the split whose status is "ok" count. A picture without a group is
a group of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from reports.arrays import BoolArray, FloatArray, IntArray
from reports.evaluation.ranking import Ranking, rank
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few


@dataclass(frozen=True)
class Sample:
    """Hold N pictures of G groups with their true, predicted and possible classes (C)."""

    classes: tuple[str, ...]
    true: IntArray
    """(N,), places in classes."""
    predicted: IntArray
    """(N,), places in classes."""
    probabilities: FloatArray
    """(N, C), each row scaled to the sum 1."""
    groups: IntArray
    """(N,), 0..G-1."""

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.true)

    @cached_property
    def group_count(self) -> int:
        """Count the groups, G."""
        return int(self.groups.max()) + 1 if len(self) else 0

    @cached_property
    def right(self) -> BoolArray:
        """Tell which pictures were given their class, (N,)."""
        right: BoolArray = self.true == self.predicted
        return right

    @cached_property
    def confidences(self) -> FloatArray:
        """Give the greatest probability of each picture, (N,)."""
        greatest: FloatArray = self.probabilities.max(axis=1, initial=0.0)
        return greatest

    @cached_property
    def smallest_class(self) -> tuple[str, int]:
        """Name the class with the fewest groups, the first of equals, and count them.

        Of the classes that the sample holds; it must hold a picture.
        """
        counts = [(self.groups_of(self.true == place), place) for place in self.held]
        groups, place = min(counts)
        return self.classes[place], groups

    @cached_property
    def held(self) -> list[int]:
        """Say which classes the sample holds."""
        return [int(index) for index in np.unique(self.true)]

    @cached_property
    def rankings(self) -> dict[int, Ranking]:
        """Rank the images by the probability of each class that the sample holds."""
        return {
            index: rank(self.probabilities[:, index], self.true == index, self.groups)
            for index in self.held
        }

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

    def groups_of(self, rows: BoolArray) -> int:
        """Count the groups that hold at least one of these pictures (N,)."""
        return len(np.unique(self.groups[rows]))


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
    """Take the rows of one part that count.

    Raises:
        InputError: a label or a prediction is not among the classes.
    """
    rows = evaluated(predictions, split=split)
    return Sample(
        classes=tuple(classes),
        true=_codes(rows, "label", classes),
        predicted=_codes(rows, "predicted", classes),
        probabilities=_probabilities(rows, classes),
        groups=group_codes(rows),
    )


def per_patient(sample: Sample) -> Sample:
    """Make one unit of each group: its probabilities are the mean of its pictures'.

    A group that holds two classes gives one unit a class, each from the pictures of that class:
    both stay in one group, and are drawn together. Of equal probabilities the first class wins.
    """
    pairs = np.stack([sample.groups, sample.true], axis=1)
    units, place, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    sums = np.zeros((len(units), len(sample.classes)))
    np.add.at(sums, place.reshape(-1), sample.probabilities)
    means = sums / sizes[:, np.newaxis]
    predicted = means.argmax(axis=1).astype(np.int64)
    return Sample(sample.classes, units[:, 1], predicted, means, units[:, 0])


def _codes(rows: pd.DataFrame, column: str, classes: Sequence[str]) -> IntArray:
    """Give the position of each row's class in classes, (N,)."""
    places = {name: place for place, name in enumerate(classes)}
    unknown = [name for name in rows[column].unique() if name not in places]
    if unknown:
        raise InputError(
            f"Column '{column}'",
            f"hold only the {len(places)} classes",
            first_few(f"'{name}'" for name in unknown),
            "Evaluate with the classes that the model was trained on.",
        )
    return np.array([places[name] for name in rows[column]], dtype=np.int64)


def group_codes(rows: pd.DataFrame) -> IntArray:
    """Number the groups, (N,); a path and a group of the same name are not the same group."""
    named = rows["group"] != ""
    names = rows["group"].where(named, rows["path"])
    codes: IntArray = pd.factorize(pd.MultiIndex.from_arrays([named, names]))[0].astype(np.int64)
    return codes


def _probabilities(rows: pd.DataFrame, classes: Sequence[str]) -> FloatArray:
    """Read the probabilities in the order of classes, scaled to the sum 1, (N, C)."""
    values = rows[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    scaled: FloatArray = values / values.sum(axis=1, keepdims=True)
    return scaled
