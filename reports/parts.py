"""Name the parts of a split, and say which of them was measured after an epoch."""

from __future__ import annotations

import pandas as pd

PARTS = {"train": "Train", "val": "Validation", "test": "Test", "unused": "Unused"}
"""The parts of a split and what a reader calls them."""


def validation_name(split: pd.DataFrame) -> str:
    """Name the part that the history's val columns measure: test where there is no val part."""
    return PARTS["val" if (split["split"] == "val").any() else "test"]


def is_measured(history: pd.DataFrame) -> bool:
    """Tell whether another part than train was measured after an epoch; for a probe none is."""
    return bool(history[["val_accuracy", "val_loss"]].notna().any(axis=None))
