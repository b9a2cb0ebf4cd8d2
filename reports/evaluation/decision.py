"""Decide whether a new model, the challenger, takes the place of the champion.

Both answered the same test images, which neither was trained on (see `paired`). Where the
difference is the same in every draw, as between a champion that always gives one class and a
challenger that is always right, it has no interval, and the sign test over groups decides. Only
what is clear changes the champion; a difference that may be chance does not.

Of many challengers that are no better, one leads by luck. So a lead must also be one that luck
seldom gives, by the randomisation test, and the more seldom the more decisions were made on the
same test groups: at most 0.05 / (k (k + 1)) in the k-th one. At first that is 0.025, as of a 95 %
interval. All of them, however many, add up to 0.05, so that by Bonferroni's bound at most one
series in twenty of equally good challengers promotes any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from reports.evaluation.metrics import Metric, select
from reports.evaluation.paired import Difference, Signs, difference, luck, read_pair, sign_test
from reports.evaluation.settings import DecisionSettings
from resnext.contracts.formatting import first_few, plural, undefined

ALL_USES = 0.05
"""How often luck may promote a model that is no better in all decisions on one test part."""
Verdict = Literal["better", "worse", "undecided", "undefined", "classes changed"]


def decide(
    champion: pd.DataFrame, challenger: pd.DataFrame, settings: DecisionSettings, use: int = 1
) -> dict[str, Any]:
    """Compare two tables of predictions of one test part, whose `use`-th decision this is.

    Gives verdict, metric, margin, the difference, challenger minus champion, with low and high of
    its 95 % interval, None where they are undefined, and how many groups the challenger answered
    better and worse, with the p of their sign test; use, luck (how often it alone gives such a
    lead, 0..1) and luck_allowed. "better" says that the whole interval lies above the margin and
    luck is at most what is allowed, "worse" that the interval lies below 0. Of a score of which
    less is better, such as the log loss, above and below change places.

    Raises:
        InputError: the tables don't hold the same images or classes.
    """
    pair, (metric,) = read_pair(champion, challenger), select([settings.metric])
    found, signs, allowed = difference(*pair, metric), sign_test(*pair, metric), allowed_luck(use)
    lucky, gain = luck(*pair, metric, allowed=allowed), found.gain(metric)
    values = {"difference": found.value, "low": found.low, "high": found.high, "luck": lucky}
    return {
        "verdict": _verdict(gain, signs, settings.margin, lucky, allowed),
        **dict(settings),
        "use": use,
        "luck_allowed": allowed,
        **{name: None if undefined(value) else value for name, value in values.items()},
        "groups_better": signs.better,
        "groups_worse": signs.worse,
        "p": signs.p,
    }


def allowed_luck(use: int) -> float:
    """Give how often luck may promote a model that is no better, in decision `use`, from 1."""
    return ALL_USES / (use * (use + 1))


def changed_classes(
    champion: Sequence[str], challenger: Sequence[str], settings: DecisionSettings
) -> dict[str, Any]:
    """Give the decision on a challenger of other classes: that there is none."""
    old, new = set(champion), set(challenger)
    nothing = dict.fromkeys(("difference", "low", "high", "groups_better", "groups_worse", "p"))
    changes = {"added": sorted(new - old), "removed": sorted(old - new)}
    return {"verdict": "classes changed", **dict(settings), **nothing, **changes}


def describe(decision: dict[str, Any], champion: int) -> str:
    """Say in a sentence how a decision came out, against which champion."""
    name = decision["metric"].replace("_", " ")
    if decision["verdict"] == "classes changed":
        changes = {what: decision[what] for what in ("added", "removed") if decision[what]}
        said = "; ".join(f"{what}: {first_few(names)}" for what, names in changes.items())
        return f"of other classes ({said}) and can't be compared with it"
    (metric,) = select([decision["metric"]])
    names = ("difference", "low", "high")
    gain = Difference(*(_number(decision[each]) for each in names)).gain(metric)
    if gain.value == 0:
        return f"exactly as good as version {champion} in {name}"
    better, worse = decision["groups_better"], decision["groups_worse"]
    signs = f"{plural(better, 'group')} answered better, {worse} worse, p = {decision['p']:.2g}"
    if decision["verdict"] == "undefined":
        return (
            f"not told apart from version {champion}: no interval, since the test part has too few "
            f"groups or the difference is the same in every draw, and too few groups differ "
            f"({signs})"
        )
    return _how_much(decision, gain, metric, champion, f"the same in every draw; {signs}")


def _how_much(
    decision: dict[str, Any], gain: Difference, metric: Metric, champion: int, evidence: str
) -> str:
    """Say by how much the challenger is better or worse; `evidence` where there is no interval."""

    def write(value: float) -> str:
        return f"{100 * value:.1f}" if metric.in_percent else f"{value:.3f}"

    if not math.isnan(gain.low):
        evidence = f"95 %: {write(gain.low)} to {write(gain.high)}"
    unit, way = "points" if metric.in_percent else "nats", "better" if gain.value > 0 else "worse"
    text = f"{write(abs(gain.value))} {unit} {way} in {metric.name.replace('_', ' ')}"
    text += f" than version {champion} ({evidence})"
    if decision["verdict"] == "undecided":
        margin = decision["margin"]
        text += f", not clearly better{f' by more than {write(margin)}' if margin else ''}"
    return f"{text}{_luck(decision) if gain.value > 0 else ''}"


def _verdict(
    found: Difference, signs: Signs, margin: float, lucky: float, allowed: float
) -> Verdict:
    if undefined(found.low) or undefined(found.high):
        return _verdict_by_signs(found, signs, margin, allowed)
    if found.low > margin and lucky <= allowed:
        return "better"
    return "worse" if found.high < 0 else "undecided"


def _verdict_by_signs(found: Difference, signs: Signs, margin: float, allowed: float) -> Verdict:
    """Decide where no draw says how the difference varies: it must not be chance among groups.

    The margin is compared with the difference itself, since it is that of every draw.
    """
    if undefined(found.value) or found.not_better not in (0, 1) or signs.p >= 2 * allowed:
        return "undefined"
    if found.value < 0 and signs.worse > signs.better:
        return "worse"
    if found.value > 0 and signs.better > signs.worse:
        return "better" if found.value > margin else "undecided"
    return "undefined"  # the score and the groups point different ways


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _luck(decision: dict[str, Any]) -> str:
    """Say which decision on its test part this is, and what luck is allowed in it."""
    if decision.get("luck") is None:
        return ""
    found, allowed = (100 * decision[name] for name in ("luck", "luck_allowed"))
    return (
        f"; decision {decision['use']} on this test part: luck alone gives such a lead in "
        f"{found:.2g} % of cases, at most {allowed:.2g} % is allowed"
    )
