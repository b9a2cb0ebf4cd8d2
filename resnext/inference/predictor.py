"""Open a model with the runtime that is to compute its answers."""

from pathlib import Path

import numpy as np

from resnext.data.pixels import Pixels
from resnext.inference.execution import Describing, Execution, FloatArray, Judging, Predictor
from resnext.inference.reference import read_reference


def open_predictor(model: Path, execution: Execution) -> Predictor:
    """Open a model: torch takes a model.safetensors, the other runtimes an exported file.

    Raises:
        InputError: the file can't be read, or the device or the runtime isn't there.
    """
    if execution.runtime == "torch":
        from resnext.inference.runtimes.pytorch import open_network

        return open_network(model, execution.compute)
    if execution.runtime == "openvino":
        from resnext.inference.runtimes.open_vino import open_compiled

        return open_compiled(model, execution.compute)
    from resnext.inference.runtimes.onnx_runtime import open_exported

    return open_exported(model, execution.compute)


def open_judging(model: Path, execution: Execution, reference: Path | None) -> Judging:
    """Open a model with its reference, if it has one; see `open_predictor`.

    Raises:
        InputError: one of the files can't be read, or see there.
    """
    if reference is None:
        predict = open_predictor(model, execution)
        return lambda pixels: (predict(pixels), np.full(len(pixels), np.nan))
    known, describe = read_reference(reference), _open_describing(model, execution)

    def judge(pixels: Pixels) -> tuple[FloatArray, FloatArray]:
        logs, features = describe(pixels)
        return logs, np.full(len(logs), np.nan) if features is None else known.unlike(features)

    return judge


def _open_describing(model: Path, execution: Execution) -> Describing:
    if execution.runtime == "torch":
        from resnext.inference.runtimes import pytorch

        return pytorch.open_describing(model, execution.compute)
    if execution.runtime == "openvino":
        from resnext.inference.runtimes import open_vino

        return open_vino.open_describing(model, execution.compute)
    from resnext.inference.runtimes import onnx_runtime

    return onnx_runtime.open_describing(model, execution.compute)
