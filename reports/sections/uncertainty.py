"""Put into words what is known of uncertain answers: referred images, and sets of classes.

The numbers come from `uncertainty` in metrics.json as they are; metrics of before it have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reports.sections.score import reach
from resnext.contracts.formatting import Bounds, decimal, percent, undefined

Metrics = Mapping[str, Any]


def sentences(metrics: Metrics) -> list[str]:
    """Say how errors and certainty go together, what is promised, and how large the sets are."""
    found = metrics.get("uncertainty")
    if not found or undefined(found.get("aurc")):
        return []
    return [_curve(found), _referral(found.get("referral")), _sets(found["sets"])]


def _curve(found: Metrics) -> str:
    return (
        f"The area under the risk-coverage curve is {decimal(found['aurc'])}"
        f"{_within(found.get('aurc_ci95'), decimal)}: the mean share of wrong answers, over all "
        "shares of images that might be answered, the most certain first. 0 is perfect."
    )


def _referral(referral: Metrics | None) -> str:
    if not referral:
        return (
            "Every image is answered. With --max-error an uncertain image is referred, so that at "
            "most that share of the answers is wrong."
        )
    wrong = percent(referral["max_error"])
    if referral["refer_below"] is None:
        return f"At most {wrong} of wrong answers can't be promised: {referral['reason']}."
    return (
        f"Promised, with 95\u00a0% confidence: at most {wrong} of the answers are wrong. So an "
        "image is referred where its answer is less probable than "
        f"{percent(referral['refer_below'])}. On the test part that answers "
        f"{percent(referral['answered'])} of the images{_within(referral['answered_ci95'])}, and "
        f"{percent(referral['error'])} of these answers are wrong{_within(referral['error_ci95'])}."
    )


def _sets(sets: Metrics) -> str:
    level = percent(sets["level"])
    if sets["set_from"] is None:
        return f"There are no sets of possible classes: {sets['reason']}."
    return (
        f"The set of possible classes of an image holds the likeliest class and each of at least "
        f"{percent(sets['set_from'])} probability, so that the sets of {level} of images hold the "
        f"true class. On the test part {percent(sets['coverage'])} do"
        f"{_within(sets['coverage_ci95'])}; a set holds {_size(sets['size'])} classes on average"
        f"{_within(sets['size_ci95'], _size)}, and {percent(sets['single'])} of the sets hold one "
        "class alone."
    )


def _size(size: float | None) -> str:
    return "n/a" if size is None or undefined(size) else f"{size:.2f}"


def _within(bounds: Bounds, write: Callable[[float | None], str] = percent) -> str:
    text = reach(bounds, write)
    return f" (95\u00a0%: {text})" if text else ""
