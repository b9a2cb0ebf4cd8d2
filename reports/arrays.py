"""Name the arrays and intervals that reports compute with; divide where a divisor may be 0."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Numbers = FloatArray | IntArray | BoolArray

Interval = tuple[float, float]
"""The least and the greatest value."""
UNDEFINED: Interval = (math.nan, math.nan)
LEVEL = 0.95
"""So often an interval holds the true value."""


def divide(above: Numbers, below: Numbers) -> FloatArray:
    """Divide, NaN where the divisor is 0."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    shares: FloatArray = np.full(shape, np.nan)
    np.divide(above, below, out=shares, where=np.broadcast_to(below > 0, shape))
    return shares


def nan_mean(values: FloatArray, axis: int = 1) -> FloatArray:
    """Average the defined values along an axis; NaN where there is none."""
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0).sum(axis=axis), known.sum(axis=axis))
