"""Measure how many images a second each of several predictors answers."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from resnext.inference.batch import AT_ONCE
from resnext.inference.execution import Execution
from resnext.inference.model import read_facts
from resnext.inference.predictor import open_predictor
from resnext.speed import fewest_seconds


def measure_predictors(model: Path, executions: Mapping[str, Execution]) -> dict[str, float]:
    """Give images a second by name, of the batches that a process of a folder computes."""
    size = read_facts(model).card.image_size
    device = next(iter(executions.values())).compute.device
    shape = (AT_ONCE[device], size, size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    steps = {
        name: partial(open_predictor(model, each), pixels) for name, each in executions.items()
    }
    return {name: len(pixels) / seconds for name, seconds in fewest_seconds(steps).items()}
