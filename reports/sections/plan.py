"""Say which settings were chosen for a set of images, on a page and in a terminal.

The sentences come from plan.json; none is made here but those about the set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resnext.contracts.formatting import count, plural

Facts = Mapping[str, Any]
Decisions = Sequence[Mapping[str, Any]]

WORDS: Mapping[str, tuple[str, tuple[str, str] | None]] = {
    "folds": ("How it is tested", ("fold", "folds")),
    "preset": ("What is trained", None),
    "class_weights": ("Weights of classes", None),
    "image_size": ("Size of images", ("px", "px")),
    "batch_size": ("Images a step", None),
    "views": ("Views of an image", None),
}
"""The title of a decision, and the unit of its value; any other one is called as its flag."""
ONE_SPLIT = "one split"
GIB = 2**30


def rows(decisions: Decisions) -> list[dict[str, str]]:
    """Give each decision as title, flag, value, reason and source."""
    return [_row(**each) for each in decisions]


def _row(decides: str, value: Any, reason: str, source: str, **_: Any) -> dict[str, str]:
    flag = f"--{decides.replace('_', '-')}"
    title, unit = WORDS.get(decides, (flag, None))
    shown = ONE_SPLIT if value is None else plural(value, *unit) if unit else str(value)
    return {"title": title, "flag": flag, "value": shown, "reason": reason, "source": source}


def short_rows(decisions: Decisions) -> list[dict[str, str]]:
    """Give the rows of the table for a terminal."""
    return [
        {
            "flag": row["flag"],
            "value": row["value"] if each["value"] is None else str(each["value"]),
            "reason": row["reason"],
        }
        for each, row in zip(decisions, rows(decisions), strict=True)
    ]


def expected(found: Mapping[str, Any]) -> str:
    """Say how long the run takes."""
    return f"About {plural(found['minutes'], 'minute')}: {found['reason']}"


def facts(found: Facts) -> dict[str, str]:
    """Give the facts that the rules looked at, by name, in the order of reading."""
    groups = count(found["groups"]) + ("" if found["groups_known"] else ", not known for sure")
    fewest, most = found["rarest_originals"], found["commonest_originals"]
    originals = {
        "Fewest originals": f"{found['rarest']}, {count(fewest)}",
        "Most originals": f"{found['commonest']}, {count(most)}",
    }
    memory = f", {found['gpu_memory'] / GIB:.0f} GiB" if found["gpu_memory"] else ""
    return {
        "Images": count(found["images"]),
        "Augmented copies": count(found["copies"]),
        "Identical files": count(found["identical"]),
        "Pairs of near-duplicates": count(found["near"]),
        "Originals": count(found["originals"]),
        "Groups": groups,
        "Classes": count(found["classes"]),
        "Fewest groups": f"{found['smallest']}, {count(found['smallest_groups'])}",
        **({"Originals of each class": count(most)} if fewest == most else originals),
        "Shorter side, median": f"{count(found['side'])} px",
        "Network": found["network"],
        "Its own size": f"{found['network_size']} px",
        "Device": f"{found['device'].upper()}{memory}, {plural(found['cores'], 'core')}",
    }


def caution(found: Facts) -> str:
    """Say that groups are not known, since then the plan rests on sand; else nothing."""
    if found["groups_known"]:
        return ""
    return (
        "Which images belong together was guessed, or is not known. If images of one patient or "
        "object are in several groups, there are fewer groups than this plan counts, and every "
        "score is too high. Say with --groups or --group-pattern who is who."
    )
