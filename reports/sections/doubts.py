"""Say what a person should look at in the images: how many doubts of each kind, and which."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from resnext.contracts.formatting import count, plural

KINDS = {
    "near-duplicate": (
        "Near-duplicates that the hashes missed",
        "These pairs are very alike to a network that knows ImageNet, and are in different groups. "
        "If a pair shows one thing, answer group:NAME with the name of the other group, or drop "
        "one. A pair on both sides of the split makes the score too good.",
    ),
    "one group": (
        "Groups that may be one",
        "The images of these two groups are mutually nearest, as if one patient had two names. The "
        "most alike pair is shown. If they are one, answer group:NAME for one of the two images.",
    ),
    "off-topic": (
        "Images of another kind",
        "These lie far from all other images, as a drawing or a scanned page would among "
        "photographs. Rare but right images lie far too: keep them.",
    ),
    "label": (
        "Doubtful labels",
        "Models that had not seen these images believe in another class, more firmly than they "
        "usually do for images of that class. A hard image is no wrong label: only somebody who "
        "knows the subject can tell. Answer label:CLASS, or keep.",
    ),
}
"""The kinds of doubts: title, and what a reader should know."""
CROSSING = "on both sides of the split"
"""What doubts.csv says of such a pair."""


def counts(doubts: pd.DataFrame) -> dict[str, str]:
    """Count the doubts of each kind, by its title."""
    numbers = doubts["kind"].value_counts()
    return {title: count(numbers.get(kind, 0)) for kind, (title, _) in KINDS.items()}


def crossing(doubts: pd.DataFrame) -> int:
    """Count the pairs that stand on both sides of the split, as their reason says."""
    return int(doubts["reason"].str.contains(CROSSING, regex=False).sum())


def warning(doubts: pd.DataFrame | None) -> str:
    """Say how many pairs may make the score too good; empty where none does, or nobody looked."""
    across = 0 if doubts is None else crossing(doubts)
    if not across:
        return ""
    return (
        f"{plural(across, 'pair')} of images that look like one "
        f"{'stands' if across == 1 else 'stand'} {CROSSING}: if they are, the score is too good."
    )


def sheets(
    doubts: pd.DataFrame, images: pd.DataFrame, thumbnails: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Lay out the kinds of which there are some: title, explanation, how many, cards."""
    rows = images[["path", "label", "group", "split"]].to_dict("records")
    about = {str(row["path"]): {str(name): value for name, value in row.items()} for row in rows}

    def side(path: str) -> dict[str, Any]:
        return {"path": path, "thumbnail": thumbnails.get(path, "")} | about[path]

    def card(row: dict[Hashable, Any]) -> dict[Hashable, Any]:
        paths = [path for path in (row["path"], row["other"]) if path]
        return {**row, "sides": [side(path) for path in paths]}

    found = []
    for kind, (title, explanation) in KINDS.items():
        rows = doubts[doubts["kind"] == kind].to_dict("records")
        cards = [card(row) for row in rows if row["path"] in thumbnails]
        if rows:
            head = {"kind": kind, "title": title, "explanation": explanation}
            found.append({**head, "total": len(rows), "cards": cards})
    return found
