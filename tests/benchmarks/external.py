"""Simulate how often the interval of a difference of two independent scores holds the truth.

Two test parts are drawn from the same groups of images, so that the true difference is 0. One
interval is that of `reports.evaluation.external`, made from the intervals of both scores. The other
is made from draws of groups on both sides.

$ python -m tests.benchmarks.external    # prints the shares, in about a minute
"""

import math

import numpy as np

from reports.arrays import FloatArray, Interval
from reports.evaluation.bootstrap import interval, resample
from reports.evaluation.evaluate import summarise
from reports.evaluation.external import difference_interval
from reports.evaluation.metrics import Metric, select
from reports.evaluation.sample import Sample, read_sample, weigh
from tests.reports.evaluation.samples import clustered

SCORES = select(["accuracy", "balanced_accuracy", "auroc"])
SIDES = ((20, 20), (20, 60), (40, 40))
"""Groups of the two test parts."""
SIMULATIONS = 400
DRAWS = 500


def drawn(sample: Sample, seed: int) -> dict[Metric, FloatArray]:
    """Give each score in draws of groups, (B,)."""

    def compute(weights: FloatArray) -> dict[Metric, FloatArray]:
        return {metric: metric.compute(weigh(sample, weights)) for metric in SCORES}

    return resample(sample, compute, DRAWS, seed)


def intervals(sides: tuple[Sample, Sample]) -> dict[str, tuple[Interval, Interval]]:
    """Give both intervals of the difference of each score."""
    one, other = (summarise(each, SCORES, {}) for each in sides)
    draws = [drawn(each, seed) for seed, each in enumerate(sides, start=1)]
    fewest, found = min(each.group_count for each in sides), {}
    for metric in SCORES:
        scores = [(each[metric.name], each[f"{metric.name}_ci95"]) for each in (one, other)]
        ours = difference_interval(*scores[0], *scores[1])
        gap = draws[1][metric] - draws[0][metric]
        found[metric.name] = (ours, interval(gap, scores[1][0] - scores[0][0], fewest))
    return found


def simulate(groups: tuple[int, int]) -> dict[str, FloatArray]:
    """Give the share of simulations in which each interval of a score holds 0, (2,)."""
    held: dict[str, list[list[bool]]] = {metric.name: [] for metric in SCORES}
    for seed in range(SIMULATIONS):
        one, other = (
            read_sample(clustered(["a", "b"], number, 10_000 * side + seed), ["a", "b"])
            for side, number in enumerate(groups, start=1)
        )
        for name, found in intervals((one, other)).items():
            if not any(math.isnan(low) for low, _ in found):
                held[name].append([low <= 0 <= high for low, high in found])
    return {name: np.mean(rows, axis=0) for name, rows in held.items()}


def main() -> None:
    for groups in SIDES:
        for name, (ours, draws) in simulate(groups).items():
            print(f"{groups}: {name}: from both intervals {ours:.3f}, from draws {draws:.3f}")


if __name__ == "__main__":
    main()
