"""What every runtime gives, a function from pixels to log-probabilities, and which there are."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from resnext.data.pixels import Pixels
from resnext.device import Compute

FloatArray: TypeAlias = npt.NDArray[np.float64]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Predictor: TypeAlias = Callable[[Pixels], FloatArray]
"""Gives log-probabilities (B, C), before calibration, for squares of pixels (B, S, S, 3)."""

RuntimeName = Literal["torch", "onnx", "openvino"]


def open_predictor(model: Path, runtime: RuntimeName, compute: Compute) -> Predictor:
    """Open a model by a runtime: torch takes a model.safetensors, the others an exported file.

    Raises:
        InputError: the file can't be read, or the device isn't there.
    """
    if runtime == "torch":
        from resnext.inference.runtimes.pytorch import open_network

        return open_network(model, compute)
    if runtime == "openvino":
        from resnext.inference.runtimes.open_vino import open_compiled

        return open_compiled(model, compute)
    from resnext.inference.runtimes.onnx_runtime import open_exported

    return open_exported(model, compute)
