"""Tables of predictions as the pipeline writes them, for the tests of their evaluation."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.arrays import FloatArray
from reports.evaluation.metrics import CLASS_METRICS, METRICS, Metric
from reports.evaluation.sample import Sample, weigh


def computed(
    sample: Sample, weights: FloatArray | None = None, metrics: Sequence[Metric] = METRICS
) -> dict[str, FloatArray]:
    """Compute metrics of each row of weights, by name."""
    return {metric.name: metric.compute(weigh(sample, weights)) for metric in metrics}


def of_classes(sample: Sample, weights: FloatArray | None = None) -> dict[str, FloatArray]:
    return computed(sample, weights, CLASS_METRICS)


def summary(sample: Sample) -> dict[str, float]:
    counts = {"n": len(sample), "groups": sample.group_count}
    return counts | {name: float(value[0]) for name, value in computed(sample).items()}


def predictions(
    classes: Sequence[str],
    true: Sequence[str],
    probabilities: Sequence[Sequence[float]],
    groups: Sequence[str] | None = None,
    split: str = "test",
) -> pd.DataFrame:
    values = np.asarray(probabilities, dtype=float).reshape(len(true), len(classes))
    table = pd.DataFrame(
        {
            "path": [f"{split}/{place}.jpg" for place in range(len(true))],
            "label": list(true),
            "group": list(groups or [f"g{place}" for place in range(len(true))]),
            "split": split,
            "predicted": [classes[place] for place in values.argmax(axis=1)],
            "confidence": values.max(axis=1) if len(true) else [],
            "status": "ok",
            "error": "",
        }
    )
    shares = pd.DataFrame(values, columns=[f"p_{name}" for name in classes])
    return pd.concat([table, shares], axis=1)


def clustered(
    classes: Sequence[str], groups: int, seed: int, *, size: int = 4, split: str = "test"
) -> pd.DataFrame:
    """Draw patients of one class each, with 1 to `size` pictures that resemble each other."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, size + 1, groups)
    owner = np.repeat(np.arange(groups), sizes)
    of_group = rng.integers(len(classes), size=groups)
    means = rng.normal(size=(groups, len(classes))) + 1.2 * np.eye(len(classes))[of_group]
    logits = means[owner] + 0.7 * rng.normal(size=(len(owner), len(classes)))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = [classes[place] for place in of_group[owner]]
    names = [f"{split}{place}" for place in owner]
    return predictions(classes, true, shares.tolist(), names, split=split)


def drawn(classes: Sequence[str], n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    true = [str(name) for name in rng.choice(classes, n)]
    return predictions(classes, true, rng.dirichlet(np.ones(len(classes)), n).tolist())
