"""What computes answers: the runtimes, and what each gives, a function from pixels to logs."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from resnext.data.pixels import Pixels
from resnext.device import Compute, MemoryFormat
from resnext.inference.reference import Features

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
