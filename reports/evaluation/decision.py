"""Decide whether a new model, the challenger, takes the place of the champion.

Both answered the same test pictures, which neither was trained on. The difference is that of the
paired bootstrap over groups (see `bootstrap`): what is hard about a patient is hard for both. Only
what is clear changes the champion; a difference that may be chance does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from reports.evaluation.bootstrap import paired_difference
from reports.evaluation.settings import DecisionSettings
from reports.words import undefined

SHOWN = 5
Verdict = Literal["better", "worse", "undecided", "undefined", "classes changed"]


def decide(
    champion: pd.DataFrame, challenger: pd.DataFrame, settings: DecisionSettings
) -> dict[str, Any]:
    """Compare two tables of predictions of one test part.

    Gives verdict, metric, margin, and the difference, challenger minus champion, with low and high
    of its 95 % interval, None where they are undefined. "better" says that the whole interval lies
    above the margin, "worse" that it lies below 0.

    Raises:
        ValueError: the tables don't hold the same pictures or classes.
    """
    found = paired_difference(champion, challenger, settings.metric)
    values = {"difference": found.value, "low": found.low, "high": found.high}
    return {
        "verdict": _verdict(found.low, found.high, settings.margin),
        **dict(settings),
        **{name: None if undefined(value) else value for name, value in values.items()},
    }


def changed_classes(
    champion: Sequence[str], challenger: Sequence[str], settings: DecisionSettings
) -> dict[str, Any]:
    """Give the decision on a challenger that knows other classes: that there is none."""
    old, new = set(champion), set(challenger)
    nothing = dict.fromkeys(("difference", "low", "high"))
    changes = {"added": sorted(new - old), "removed": sorted(old - new)}
    return {"verdict": "classes changed", **dict(settings), **nothing, **changes}


def describe(decision: dict[str, Any], champion: int) -> str:
    """Say in a sentence how a decision came out, against which champion."""
    name = decision["metric"].replace("_", " ")
    if decision["verdict"] == "classes changed":
        return f"of other classes ({_changes(decision)}) and can't be compared with it"
    if decision["difference"] == 0:
        return f"exactly as good as version {champion} in {name}"
    if decision["verdict"] == "undefined":
        return (
            f"not told apart from version {champion}: no interval, since the test part has too few "
            "groups or the difference is the same in every draw"
        )
    value, low, high = (100 * decision[key] for key in ("difference", "low", "high"))
    than = f"in {name} than version {champion} (95 %: {low:.1f} to {high:.1f})"
    words = f"{abs(value):.1f} points {'better' if value >= 0 else 'worse'} {than}"
    if decision["verdict"] == "undecided":
        margin = f" by more than {100 * decision['margin']:.1f}" if decision["margin"] else ""
        return f"{words}, not clearly better{margin}"
    return words


def _verdict(low: float, high: float, margin: float) -> Verdict:
    if undefined(low) or undefined(high):
        return "undefined"
    if low > margin:
        return "better"
    return "worse" if high < 0 else "undecided"


def _changes(decision: dict[str, Any]) -> str:
    said = [f"{what}: {_some(decision[what])}" for what in ("added", "removed") if decision[what]]
    return "; ".join(said)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
