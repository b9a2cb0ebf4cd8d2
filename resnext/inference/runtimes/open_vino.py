"""Prediction by OpenVINO, from an exported model on a CPU. It is an extra, not always installed."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from resnext.contracts.errors import InputError
from resnext.data.pixels import Pixels
from resnext.device import Compute
from resnext.inference.exported import IMAGES, LOGS
from resnext.inference.predictor import FloatArray, Predictor


def open_compiled(path: Path, compute: Compute) -> Predictor:
    """Open an exported model, to be computed as it is said.

    Raises:
        InputError: OpenVINO isn't installed.
    """
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

    def predict(pixels: Pixels) -> FloatArray:
        """Give log-probabilities (B, C) before calibration, float64."""
        return np.asarray(compiled({IMAGES: pixels})[LOGS], dtype=np.float64)

    return predict
