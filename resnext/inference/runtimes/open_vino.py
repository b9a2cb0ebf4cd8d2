"""Prediction by OpenVINO, from an exported model on a CPU. It is an extra, not always installed."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from resnext.contracts.errors import InputError
from resnext.data.pixels import Pixels
from resnext.device import Compute
from resnext.inference.execution import Describing, FloatArray, Predictor
from resnext.inference.exported import FEATURES, IMAGES, LOGS
from resnext.inference.reference import Features


def open_compiled(path: Path, compute: Compute) -> Predictor:
    """Open an exported model, to be computed as it is said.

    Raises:
        InputError: OpenVINO isn't installed.
    """
    describe = open_describing(path, compute)
    return lambda pixels: describe(pixels)[0]


def open_describing(path: Path, compute: Compute) -> Describing:
    """Open an exported model that gives its features too; see `open_compiled`."""
    if find_spec("openvino") is None:
        rule, remedy = "be installed", "Install it by: pip install openvino"
        raise InputError("runtime", rule, "openvino, which is not", remedy)
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": compute.threads,
        "NUM_STREAMS": "1",
        "INFERENCE_PRECISION_HINT": "f32",  # else bf16 where the processor has it
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    names = {name for output in compiled.outputs for name in output.get_names()}

    def describe(pixels: Pixels) -> tuple[FloatArray, Features | None]:
        """Give log-probabilities (B, C) before calibration, float64, and features (B, F)."""
        found = compiled({IMAGES: pixels})
        features = np.array(found[FEATURES]) if FEATURES in names else None
        return np.asarray(found[LOGS], dtype=np.float64), features

    return describe
