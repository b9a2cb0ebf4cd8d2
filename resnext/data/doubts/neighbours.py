"""Find what lies near and far from each image among the features of a frozen network.

Images of one group are no neighbours: that they are alike is known. Nearness is the cosine between
standardised features, in the best of the views that were embedded. How far an image lies from all
others is measured by features that were scaled and not centred, since the direction from the mean
says nothing of an image that lies near it: a blank one would be near everything.

Source: Kuan and Mueller 2022, arXiv:2207.03061 (the mean distance to the k nearest finds images of
another kind). Departure: neighbours of the same group do not count, since a group may be of another
kind as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Features = npt.NDArray[np.float32]  # (N, V, F)
Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

K = 10
FLAT = 1e-6  # a deviation below this is that of a feature which is the same for all images
AT_ONCE = 512  # images compared with all others at once


class Neighbours(NamedTuple):
    """Hold the nearest images of other groups: numbers and likeness (N, K), the nearest first."""

    nearest: Numbers
    likeness: Floats


def find_neighbours(features: Features, groups: Sequence[str], k: int = K) -> Neighbours:
    """Find the K images of other groups that are most like each image, in any view.

    K is less where fewer are there; a place that no image takes has the likeness -inf.
    """
    mean, deviation = _moments(features)
    views = [_units((features[:, view] - mean) / deviation) for view in range(features.shape[1])]
    return _nearest(views, groups, k)


def distances(features: Features, groups: Sequence[str], k: int = K) -> Floats:
    """Give how far each image (N,) lies from its K nearest of other groups, in the mean.

    It is NaN where there is no other group.
    """
    _, deviation = _moments(features)
    likeness = _nearest([_units(features[:, 0] / deviation)], groups, k).likeness
    there = np.isfinite(likeness)
    total, count = np.where(there, 1 - likeness, 0).sum(axis=1), there.sum(axis=1)
    far: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return far


def _moments(features: Features) -> tuple[Floats, Floats]:
    """Give mean and deviation (F,) over all views of all images."""
    deviation = features.std(axis=(0, 1))
    return features.mean(axis=(0, 1)), np.where(deviation > FLAT, deviation, 1).astype(np.float32)


def _units(values: Floats) -> Floats:
    """Scale vectors (N, F) to length 1; a zero stays zero."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    scaled: Floats = (values / np.maximum(length, FLAT)).astype(np.float32)
    return scaled


def _nearest(views: Sequence[Floats], groups: Sequence[str], k: int) -> Neighbours:
    """Compare the first view of each image with all views of all others, some rows at a time."""
    count, numbers = len(views[0]), pd.factorize(np.asarray(groups, dtype=object))[0]
    k = min(k, count)
    nearest, likeness = np.zeros((count, k), np.int64), np.zeros((count, k), np.float32)
    for start in range(0, count, AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        alike = np.max([views[0][rows] @ view.T for view in views], axis=0)  # (n, N)
        alike[numbers[rows, None] == numbers] = -np.inf
        order = np.argsort(-alike, axis=1, kind="stable")[:, :k]
        nearest[rows], likeness[rows] = order, np.take_along_axis(alike, order, axis=1)
    return Neighbours(nearest, likeness)
