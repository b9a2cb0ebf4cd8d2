"""What every runtime gives, a function from pixels to log-probabilities, and which there are."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from resnext.data.pixels import Pixels
from resnext.device import Compute, MemoryFormat
from resnext.inference.reference import Features, read_reference

FloatArray: TypeAlias = npt.NDArray[np.float64]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Predictor: TypeAlias = Callable[[Pixels], FloatArray]
"""Gives log-probabilities (B, C), before calibration, for squares of pixels (B, S, S, 3)."""

Describing: TypeAlias = Callable[[Pixels], tuple[FloatArray, Features | None]]
"""Gives these and the features (B, F) of the same pass; None where the file has none."""
Judging: TypeAlias = Callable[[Pixels], tuple[FloatArray, FloatArray]]
"""Gives these and how unlike the training images each is (B,), NaN where that is not known."""

RuntimeName = Literal["torch", "onnx", "openvino"]


class Execution(BaseModel):
    """Say what computes answers, and how: part of the cache keys."""

    model_config = ConfigDict(frozen=True)

    runtime: RuntimeName
    compute: Compute

    @property
    def name(self) -> str:
        """Name it among its alternatives."""
        of_torch = f"torch, {self.compute.memory_format.replace('_', ' ')}"
        return of_torch if self.runtime == "torch" else self.runtime

    @property
    def flags(self) -> str:
        """Write the flags that ask for it."""
        of_torch = f" --memory-format {self.compute.memory_format}"
        return f"--runtime {self.runtime}{of_torch if self.runtime == 'torch' else ''}"

    @property
    def apart(self) -> "Execution":
        """Say how each of several processes computes: on a CPU by one thread."""
        threads = 1 if self.compute.device == "cpu" else self.compute.threads
        compute = self.compute.model_copy(update={"threads": threads})
        return self.model_copy(update={"compute": compute})

    def alternatives(self) -> "dict[str, Execution]":
        """Give all that compute the same file on the same device, by name."""
        if self.runtime == "torch":
            formats = get_args(MemoryFormat)
            computes = [self.compute.model_copy(update={"memory_format": each}) for each in formats]
            found = [Execution(runtime="torch", compute=each) for each in computes]
        else:
            found = [Execution(runtime="onnx", compute=self.compute)]
            if find_spec("openvino") is not None:
                found.append(Execution(runtime="openvino", compute=self.compute))
        return {each.name: each for each in found}


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


def open_judging(model: Path, execution: Execution, reference: Path) -> Judging:
    """Open a model with its reference, see `open_predictor`.

    Raises:
        InputError: one of the files can't be read, or see there.
    """
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
