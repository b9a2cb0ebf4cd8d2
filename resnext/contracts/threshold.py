"""Say which class is answered for an image, whether it is referred, and which are possible."""

from collections.abc import Mapping
from typing import Any

REFER, ANSWER = "refer", "answer"
"""What is said of an image, and stands in the column `referral`."""

UNLIKE_FROM = 0.95
"""An image that is farther from the training images than so many held-out ones is unlike them."""
UNLIKE = "unlike the training images"
"""What is said of it."""


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


def is_referred(probability: float, calibration: Mapping[str, Any] | None) -> bool:
    """Tell whether an answer of this calibrated probability is too uncertain to be given.

    Never where calibration.json has no `refer_below`.
    """
    least = (calibration or {}).get("refer_below")
    return least is not None and probability < least


def possible_classes(
    probabilities: Mapping[str, float], likeliest: str, calibration: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Give the classes that an image may be of, the likeliest first: those from `set_from` on.

    The likeliest is always among them. Empty where calibration.json has no `set_from`.
    """
    least = (calibration or {}).get("set_from")
    if least is None:
        return ()
    others = [name for name, share in probabilities.items() if share >= least and name != likeliest]
    return (likeliest, *sorted(others, key=lambda name: -probabilities[name]))


def is_unlike(share: float | None) -> bool:
    """Tell whether an image is unlike the training images, by the share of nearer held-out ones.

    Not where that is not known (NaN, None).
    """
    return share is not None and share > UNLIKE_FROM
