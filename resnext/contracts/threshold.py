"""Say which class is answered for an image."""

from collections.abc import Mapping
from typing import Any


def answered_class(
    probabilities: Mapping[str, float], likeliest: str, calibration: Mapping[str, Any] | None
) -> str:
    """Give the class that is answered, from calibrated probabilities by class.

    Where calibration.json names a positive class and its threshold, that class is answered from the
    threshold on, and else the likeliest of the others. Without them it is the likeliest of all.
    """
    rule = calibration or {}
    positive, threshold = rule.get("positive"), rule.get("threshold")
    if positive is None or positive not in probabilities or threshold is None:
        return likeliest
    if probabilities[positive] >= threshold:
        return str(positive)
    others = {name: share for name, share in probabilities.items() if name != positive}
    return max(others, key=others.__getitem__)
