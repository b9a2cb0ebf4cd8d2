"""Rank the images by the probability of one class, and weigh the ranking in many ways at once.

The images are sorted once; each row of weights then costs one running sum. Images of equal
probability form one step, as in scikit-learn. Where all weight is on one side (no positive or no
other image) a score is NaN.
Source: https://scikit-learn.org/stable/modules/model_evaluation.html#roc-metrics
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.arrays import BoolArray, FloatArray, IntArray, divide


@dataclass(frozen=True)
class Steps:
    """Hold the weight at or above each step with a positive image, a row each weighting.

    M steps, in the order of falling probability; B weightings.
    """

    found: FloatArray
    """(B, M), weight of the positive images down to this step."""
    found_before: FloatArray
    """(B, M), the same without the step itself."""
    false: FloatArray
    """(B, M), weight of the other images down to this step."""
    false_before: FloatArray
    """(B, M), the same without the step itself."""
    positives: FloatArray
    """(B, 1), weight of all positive images."""
    others: FloatArray
    """(B, 1), weight of all other images."""

    def auroc(self) -> FloatArray:
        """Give the area under the ROC curve, (B,); NaN without positive or other images."""
        below = self.others - 0.5 * (self.false + self.false_before)  # ties count half
        ordered = ((self.found - self.found_before) * below).sum(axis=1, keepdims=True)
        return divide(ordered, self.positives * self.others)[:, 0]

    def average_precision(self) -> FloatArray:
        """Give the mean precision over the steps of recall, (B,); NaN without positive images."""
        gained = self.found - self.found_before
        precision = divide(self.found, self.found + self.false)
        return divide(np.nansum(gained * precision, axis=1, keepdims=True), self.positives)[:, 0]

    def roc(self, grid: FloatArray) -> FloatArray:
        """Give the true-positive rate at these false-positive rates, (B, len(grid)).

        Between two steps the curve is a line; at a vertical step its upper end counts. NaN
        without positive or other images.
        """
        false = _framed(divide(_pairs(self.false_before, self.false), self.others))
        found = _framed(divide(_pairs(self.found_before, self.found), self.positives))
        rows = [np.interp(grid, f, t) for f, t in zip(false, found, strict=True)]
        defined = (self.positives > 0) & (self.others > 0)  # np.interp makes numbers of NaN
        return np.where(defined, np.array(rows).reshape(len(false), len(grid)), np.nan)

    def precision(self, grid: FloatArray) -> FloatArray:
        """Give the precision at the first step that reaches these recalls, (B, len(grid)).

        At recall 0 it is that of the first step which finds anything. NaN without positive
        images.
        """
        recall = divide(self.found, self.positives)
        precision = divide(self.found, self.found + self.false)
        if not precision.shape[1]:
            return np.full((len(recall), len(grid)), np.nan)
        wanted = np.maximum(grid, np.finfo(np.float64).tiny) - 1e-12 * (grid > 0)  # sums round
        steps = np.array([np.searchsorted(row, wanted) for row in recall])
        return np.take_along_axis(precision, np.minimum(steps, precision.shape[1] - 1), axis=1)


@dataclass(frozen=True)
class Ranking:
    """Hold images (N) in the order of falling probability of a class, with their groups."""

    groups: IntArray
    """(N,), in the order of the ranking."""
    positive: IntArray
    """(P,), the places of the positive images in the ranking."""
    starts: IntArray
    """(M,), where each step with a positive image begins in the ranking."""
    ends: IntArray
    """(M,), where it ends, exclusive."""
    counted: IntArray
    """(M,), how many positive images stand down to this step."""

    def steps(self, weights: FloatArray) -> Steps:
        """Weigh the images by their groups: (B, G) in, steps of (B, M) out."""
        each = weights[:, self.groups]  # (B, N)
        everything = _running(each)  # (B, N + 1)
        found = _running(each[:, self.positive])  # (B, P + 1)
        down_to = found[:, self.counted]
        before = found[:, np.concatenate([[0], self.counted])[:-1]]
        positives = found[:, -1:]
        return Steps(
            found=down_to,
            found_before=before,
            false=everything[:, self.ends] - down_to,
            false_before=everything[:, self.starts] - before,
            positives=positives,
            others=everything[:, -1:] - positives,
        )


def rank(scores: FloatArray, positive: BoolArray, groups: IntArray) -> Ranking:
    """Sort images by their score for a class, the greatest first; all arguments are (N,)."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], positive[order]
    new = np.flatnonzero(np.diff(sorted_scores)) + 1
    bounds = np.concatenate([[0], new, [len(order)]]) if len(order) else np.zeros(1, dtype=int)
    counted = np.concatenate([[0], np.cumsum(hits)])[bounds]
    holds = np.diff(counted) > 0
    return Ranking(
        groups=groups[order],
        positive=np.flatnonzero(hits),
        starts=bounds[:-1][holds],
        ends=bounds[1:][holds],
        counted=counted[1:][holds],
    )


def placements(scores: FloatArray, positive: BoolArray) -> FloatArray:
    """Give the share of the other side that is ranked as it should be beside each image, (N,).

    Of a positive image: the others with a lower score; of another image: the positive ones with a
    higher score. Equal scores count half. Both sides must hold an image.
    """
    from scipy.stats import rankdata

    ranks, placed = rankdata(scores), np.empty(len(scores))
    for side in (positive, ~positive):
        lower = ranks[side] - rankdata(scores[side])  # of the other side; equal ones count half
        share = lower / (len(scores) - side.sum())
        placed[side] = share if side is positive else 1 - share
    return placed


def placements_by_class(scores: FloatArray, true: IntArray) -> tuple[FloatArray, IntArray]:
    """Give what `placements` gives of each class against the rest, (N, C), all at once.

    `scores` (N, C) holds those of each class, `true` (N,) the class of each image. Also counts the
    pairs of each class, (C,). Where a side is empty there are 0, and the shares are NaN.
    """
    order = np.argsort(scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=0)
    hits = true[order] == np.arange(scores.shape[1])
    new = np.diff(ranked, axis=0, prepend=np.nan) != 0  # where a step of equal scores begins
    last = np.roll(new, -1, axis=0)[::-1]
    steps = np.arange(len(scores))[:, np.newaxis]
    first = np.maximum.accumulate(np.where(new, steps, 0), axis=0)
    ends = np.minimum.accumulate(np.where(last, steps[::-1], len(scores)), axis=0)[::-1] + 1
    counted = np.vstack([np.zeros((1, scores.shape[1])), hits.cumsum(axis=0)])
    one, other = (np.take_along_axis(counted, place, axis=0) for place in (first, ends))
    lower = (one + other) / 2
    ours, others = hits.sum(axis=0), (~hits).sum(axis=0)
    share = np.where(hits, divide((first + ends) / 2 - lower, others), 1 - divide(lower, ours))
    placed = np.empty_like(share)
    np.put_along_axis(placed, order, np.where(ours * others > 0, share, np.nan), axis=0)
    return placed, ours * others


def _running(values: FloatArray) -> FloatArray:
    """Sum along the rows, beginning with 0: (B, N) in, (B, N + 1) out."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _pairs(before: FloatArray, after: FloatArray) -> FloatArray:
    """Put the two ends of each step side by side: (B, 2 M)."""
    return np.stack([before, after], axis=2).reshape(before.shape[0], -1)


def _framed(values: FloatArray) -> FloatArray:
    """Let curves begin at 0 and end at 1: (B, M) in, (B, M + 2) out."""
    return np.pad(values, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
