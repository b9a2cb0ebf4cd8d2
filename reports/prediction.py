"""Say what a network answers to a new image: a class with its calibrated probability.

Where a class is the positive one it is answered from its threshold on, whatever is likeliest. The
tables keep the likeliest class in their column `predicted`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from resnext.contracts.formatting import percent, printable
from resnext.contracts.threshold import answered_class

if TYPE_CHECKING:  # it takes a while to import, and one image is answered without it
    import pandas as pd

PREFIX = "calibrated_"


class Answer(NamedTuple):
    """Hold the class that is answered, its calibrated probability 0..1, and what differs."""

    name: str
    probability: float
    note: str = ""
    """Which class would be likelier, where the threshold decides; else empty."""

    def __str__(self) -> str:
        """Write it for a terminal."""
        return f"{printable(self.name)} {percent(self.probability, ' ')}{self.note}"


def answer_of(
    row: Mapping[str, Any] | pd.Series[Any], calibration: Mapping[str, Any] | None
) -> Answer:
    """Read the answer off a row of batch_predictions.csv whose status is "ok".

    Args:
        row: Its columns `predicted` and `calibrated_<class>` are read.
        calibration: What calibration.json holds; None where there is none.
    """
    shares = {
        str(name).removeprefix(PREFIX): float(share)
        for name, share in row.items()
        if str(name).startswith(PREFIX)
    }
    likeliest, rule = str(row["predicted"]), calibration or {}
    name = answered_class(shares, likeliest, rule)
    if name == likeliest:
        return Answer(name, shares[name])
    positive, threshold = rule["positive"], percent(rule["threshold"], " ")
    reason = f"counts from {threshold} on" if name == positive else f"is below {threshold}"
    note = f" ({printable(positive)} {reason}; likeliest: {printable(likeliest)})"
    return Answer(name, shares[name], note)
