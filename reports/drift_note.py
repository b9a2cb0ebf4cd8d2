"""Say in words what `reports.drift` found, and what it allows to say.

Two things are looked at, the test of the class shares and the interval of the difference of mean
confidences; each is wrong in 1 of 20 cases where nothing changed. The interval of a single class
decides nothing: of many classes, one leaves its interval by chance alone.
"""

from __future__ import annotations

from typing import Any

from resnext.contracts.formatting import NOT_AVAILABLE, plural, printable, undefined

FEWEST = 10
"""So many groups are needed on a side to tell anything."""
SIGNIFICANCE = 0.05


def describe(found: dict[str, Any]) -> str:
    """Say in a sentence or two what was found, and whether chance would explain it."""
    pictures, groups = found["new"]["pictures"], found["new"]["groups"]
    if not pictures:
        return "Drift: no picture is new to the model."
    if groups < FEWEST:
        said = plural(pictures, "new picture")
        of = "" if groups == pictures else f" of {plural(groups, 'group')}"
        return f"Drift: {said}{of} {'is' if pictures == 1 else 'are'} too few to tell."
    sentence = f"Drift: {_shares_words(found)}; {_confidence_words(found['confidence'])}."
    return f"{sentence} {_verdict(found)}"


def _shares_words(found: dict[str, Any]) -> str:
    """Say the share of the class that changed most, of equal ones the one that grew."""
    row = max(found["shares"], key=_change)
    predicted = "predicted " if found["classes"] == "predicted" else ""
    low, high = row["new_share_low"], row["new_share_high"]
    inside = "" if undefined(low) else f" ({100 * low:.0f} to {100 * high:.0f})"
    said = f"of the {plural(found['new']['pictures'], 'new picture')} "
    said += f"{_whole(row['new_share'])} are {predicted}{printable(row['class'])}{inside}, "
    said += f"of the {found['reference']['what']} {_whole(row['reference_share'])}"
    if predicted:
        said += f" ({_whole(row['training_share'])} of the training part are of that class)"
    return said


def _whole(share: float | None) -> str:
    return NOT_AVAILABLE if undefined(share) else f"{100 * float(share or 0):.0f} %"


def _change(row: dict[str, Any]) -> tuple[float, float]:
    change = (row["new_share"] or 0.0) - (row["reference_share"] or 0.0)
    return round(abs(change), 9), change


def _confidence_words(confidence: dict[str, Any]) -> str:
    if confidence["difference"] is None:
        return "there is no mean confidence to compare"
    values = {name: f"{confidence[name]:z.3f}" for name in ("difference", "new", "reference")}
    bounds = ""
    if confidence["low"] is not None:
        bounds = f", {confidence['low']:z.3f} to {confidence['high']:z.3f}"
    return (
        f"mean confidence {values['new']} against {values['reference']} on the held-out pictures "
        f"(difference {values['difference']}{bounds})"
    )


def _verdict(found: dict[str, Any]) -> str:
    chance, low = found["test"]["p_value"], found["confidence"]["low"]
    if chance is None and low is None:
        return "Whether chance explains it can't be told."
    shown = "" if chance is None else f" (p {'< 0.001' if chance < 0.001 else f'= {chance:.3f}'})"
    changed = [f"the class shares{shown}"] if chance is not None and chance < SIGNIFICANCE else []
    if low is not None and not low <= 0 <= found["confidence"]["high"]:
        changed.append("the mean confidence")
    if not changed:
        return f"Chance explains such differences{shown}."
    verb = "differs" if changed == ["the mean confidence"] else "differ"
    said = " and ".join(changed)
    return f"{said[0].upper()}{said[1:]} {verb} by more than chance explains."
