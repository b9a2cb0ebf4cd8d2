"""Say whether cues besides the subject tell the class, and what a network knows without it.

The numbers come from shortcuts.csv and covered.csv; none is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.evaluation.covered import NOTHING, SCORES
from reports.evaluation.shortcuts import TOGETHER, above_chance
from reports.sections.score import cell
from resnext.contracts.formatting import decimal, first_few, percent, plural, undefined

COVERS = {NOTHING: "nothing", "centre": "the centre", "border": "the border"}
"""What is covered, in words."""


def in_a_line(found: pd.DataFrame) -> str:
    """Say in a line which cues tell the class."""
    if found["auroc"].isna().all():
        return "whether a cue such as brightness tells the class is not known: too few groups"
    told = [_alone(row) for row in above_chance(found).to_dict("records")]
    if not told:
        return "no cue such as brightness, border or file format tells the class alone"
    return f"a shortcut is possible: {first_few(told, '; ')}".replace("\u00a0", " ")


def warnings(found: pd.DataFrame | None) -> list[str]:
    """Say which cues tell the class better than chance, for the head of a report."""
    if found is None or above_chance(found).empty:
        return []
    told = [_alone(row) for row in above_chance(found).to_dict("records")]
    return [
        "A shortcut is possible: with no regard to what an image shows, "
        f"{first_few(told, '; ')}. The network may have learnt that instead."
    ]


def short_warning(found: pd.DataFrame | None) -> str:
    """Name the cues that tell the class better than chance; empty where none does."""
    if found is None or above_chance(found).empty:
        return ""
    alone = [name for name in above_chance(found)["cue"] if name != TOGETHER]
    told = ", ".join(alone) or "brightness, border, file and the like together"
    return f"A shortcut is possible: better than chance, the class is told by {told}."


def verdict(found: pd.DataFrame) -> str:
    """Say what the cues tell, or that they tell nothing."""
    tested = found[found["auroc"].notna()]
    if tested.empty:
        why = "the cues are the same in all images"
        few = (found["note"] != "").all() and found["note"].nunique() == 1
        note = str(found["note"].iloc[0]) if few else ""
        return f"No cue could be tested: {note if 'few' in note else why}."
    if len(above_chance(found)):
        return " ".join(warnings(found))
    both = tested.loc[tested["cue"] == TOGETHER, ["auroc", "auroc_low", "auroc_high"]]
    area, low, high = both.iloc[0] if len(both) else tested.iloc[0][list(both.columns)]
    return (
        f"No cue tells the class better than chance. All together have an AUROC of {decimal(area)} "
        f"(95\u00a0%: {decimal(low)} to {decimal(high)}), where 0.5 is chance."
    )


def rows(found: pd.DataFrame) -> list[dict[str, str]]:
    """Give the rows of the table of cues: name, AUROC, interval, or why there is none."""
    return [
        {
            "name": row["cue"],
            "value": row["note"] or decimal(row["auroc"]),
            "bounds": _reach(row["auroc_low"], row["auroc_high"]),
        }
        for row in found.to_dict("records")
    ]


def covered_columns() -> list[str]:
    """Name the scores of covered images."""
    return [metric.title for metric in SCORES]


def covered_rows(covered: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of the table of covered images: what is covered, and its scores."""
    found = []
    for name, words in COVERS.items():
        mine = covered[covered["covered"] == name].set_index("figure").to_dict("index")
        scores = [(metric, mine[metric.name]) for metric in SCORES]
        cells = [
            cell({m.name: x["value"], f"{m.name}_low": x["low"], f"{m.name}_high": x["high"]}, m)
            for m, x in scores
        ]
        found.append({"name": words.capitalize(), "cells": cells})
    return found


def covered_verdict(covered: pd.DataFrame) -> str:
    """Say what the network knows without the centre, where the subject is as a rule."""
    rows = covered[covered["covered"] == "centre"].to_dict("records")
    scores = {row["figure"]: row for row in rows}
    area, low, high = (scores["auroc"][name] for name in ("value", "low", "high"))
    if undefined(area) or undefined(low):
        return ""
    right = percent(scores["accuracy"]["value"])
    known = (
        f"With the centre covered the network has an AUROC of {decimal(area)} (95\u00a0%: "
        f"{_reach(low, high)}) and is right on {right}."
    )
    if low > 0.5:
        return f"{known} So it knows something of the class from the border alone."
    return (
        f"{known} The interval of the AUROC reaches down to chance (0.5), so nothing shows that it "
        "knows the class from the border."
    )


def tested(found: pd.DataFrame) -> str:
    """Say on how many images the cues were tested."""
    images, groups = found[["images", "groups"]].iloc[0]
    return f"{plural(images, 'original')} of {plural(groups, 'group')}"


def _alone(row: Mapping[Any, Any]) -> str:
    who = "these cues together have" if row["cue"] == TOGETHER else f"{row['cue']} alone has"
    reach = _reach(row["auroc_low"], row["auroc_high"])
    return f"{who} an AUROC of {decimal(row['auroc'])} (95\u00a0%: {reach})"


def _reach(low: float, high: float) -> str:
    return "" if undefined(low) else f"{decimal(low)} to {decimal(high)}"
