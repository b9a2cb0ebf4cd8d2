"""What every runtime gives: a function from pixels to log-probabilities."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from resnext.data.pixels import Pixels

FloatArray: TypeAlias = npt.NDArray[np.float64]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Predictor: TypeAlias = Callable[[Pixels], FloatArray]
"""Gives log-probabilities (B, C), before calibration, for squares of pixels (B, S, S, 3)."""
