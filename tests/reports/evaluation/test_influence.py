"""The influences are held against the scores with one image counted a little more and less."""

from collections.abc import Callable

import numpy as np
import pytest

from reports.arrays import FloatArray
from reports.evaluation import influence
from reports.evaluation.sample import Sample, read_sample
from tests.reports.evaluation.samples import clustered, computed, of_classes

STEP = 1e-6


def alone(seed: int) -> Sample:
    """A sample of three classes, one more that is only predicted, each image its own group."""
    table = clustered(["a", "b", "c"], 12, seed).assign(p_d=0.01)
    table.loc[3, "predicted"] = "d"
    found = read_sample(table, ["a", "b", "c", "d"])
    ties = np.round(found.probabilities, 1)
    return Sample(found.classes, found.true, found.predicted, ties, np.arange(len(found)))


def slopes(sample: Sample, score: Callable[[FloatArray], float]) -> list[float]:
    found = []
    for place in range(len(sample)):
        weights = np.ones((2, len(sample)))
        weights[:, place] += (STEP, -STEP)
        more, less = (score(row[np.newaxis]) for row in weights)
        found.append((more - less) / (2 * STEP))
    return found


@pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "mcc"])
def test_an_influence_is_the_slope_of_the_score(name: str) -> None:
    sample = alone(seed=1)
    give = {
        "macro_f1": influence.of_macro_f1,
        "weighted_f1": influence.of_weighted_f1,
        "mcc": influence.of_mcc,
    }
    expected = slopes(sample, lambda weights: float(computed(sample, weights)[name][0]))
    assert give[name](sample).tolist() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", ["recall", "auroc"])
def test_an_influence_on_a_class_is_the_slope_of_its_score(name: str) -> None:
    sample = alone(seed=2)
    for place in range(3):

        def score(weights: FloatArray, at: int = place) -> float:
            return float(of_classes(sample, weights)[name][0, at])

        expected = slopes(sample, score)
        hits = sample.true == place
        found = np.where(hits, influence.of_recall(sample), 0)
        if name == "auroc":
            found = influence.of_auroc(sample, place)
        assert found.tolist() == pytest.approx(expected, abs=1e-8)
        assert found.sum() == pytest.approx(0, abs=1e-12)
