"""Lay out single images: pairs that resemble each other, and heat maps of where a network looked.

Thumbnails and heat maps come as data: URIs from pairs.json and explained.json; anything else in
their place is dropped, so that no text from the data becomes an address. No image is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from reports.parts import PARTS
from resnext.contracts.formatting import count, percent, plural, undefined
from resnext.contracts.heat_maps import COARSE

if TYPE_CHECKING:
    from reports.content import ReportContent

THUMBNAIL = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]+={0,2}")
KINDS = {
    "exact": "identical file",
    "near": "near-duplicate",
    "copy": "copy of one original",
    "group": "same group",
    "weak": "weak resemblance",
}
"""What makes two images a pair, in words."""
SHEETS = {
    "crossing": (
        "Warning: on both sides of this split",
        "One image of each pair was trained on, the other one is held out. The network knows the "
        "answer, so that being right about that one proves nothing.",
    ),
    "random": (
        "What a random split would have hidden",
        "In a random split, these images would have been in both train and test. In this split "
        "none of them is in train and in a held-out part.",
    ),
    "joined": (
        "Taken for one original",
        "These near-duplicates count as one original and were joined into one group. Please "
        "check: if pairs show different things, the hashes were deceived.",
    ),
    "reported": (
        "Near-duplicates that were not joined",
        "These images look nearly the same, and count as different ones all the same. If they "
        "show one thing, name their groups with --groups FILE.",
    ),
    "listed": (
        "For you to judge",
        "These pairs resemble each other, but not enough to be joined. If two images belong "
        "together, say so with --groups FILE.",
    ),
}
"""The lists of pairs in the order of the report: title, and what a reader should know."""
REMEDIES = {
    ("crossing", "exact"): ("--split grouped", "keeps identical files on one side"),
    ("crossing", "near"): ("--near-duplicates join", "keeps what looks the same on one side"),
    ("crossing", "copy"): ("--split grouped", "keeps all copies of an original on one side"),
    ("crossing", "group"): ("--split grouped", "keeps all images of a group on one side"),
    ("joined", "near"): ("--near-duplicates report", "leaves pairs apart that look alike"),
    ("reported", "near"): ("--groups FILE", "says which images belong together"),
    ("listed", "weak"): ("--groups FILE", "says which images belong together"),
}
"""By list and kind, the flag that changes what is wrong with such pairs, and what it does."""
ALARMING = 1.25
"""From so many times an even map's share on, heat at the border is warned of."""

Pairs: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""pairs.json: pairs of images by the name of their list, and under `gallery` single ones."""


def thumbnail(source: object) -> str:
    """Give a thumbnail's data: URI back, and nothing for anything else."""
    return source if isinstance(source, str) and THUMBNAIL.fullmatch(source) else ""


def sheets(pairs: Pairs, leakage: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Lay out the lists of pairs.json that hold something: name, title, explanation, extent, kinds.

    A random split counts only where nothing crosses. leakage.json may hold how many pairs were
    found, `joined_pairs` and `listed_pairs` of `near`.
    """
    near = (leakage or {}).get("near") or {}
    names = [name for name in SHEETS if pairs.get(name)]
    if "crossing" in names and "random" in names:
        names.remove("random")
    return [
        {
            "name": name,
            "title": SHEETS[name][0],
            "explanation": SHEETS[name][1],
            "extent": _extent(len(pairs[name]), near.get(f"{name}_pairs") or 0, "pair", "near.csv"),
            "kinds": _by_kind(name, pairs[name]),
        }
        for name in names
    ]


def _by_kind(name: str, pairs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Part a list of pairs by what makes them pairs: title, flag and effect of a remedy, pairs."""
    kinds = dict.fromkeys([*KINDS, *(pair["kind"] for pair in pairs)])
    parts = {kind: [pair for pair in pairs if pair["kind"] == kind] for kind in kinds}
    return [
        {"title": KINDS.get(kind, kind), "remedy": REMEDIES.get((name, kind)), "pairs": part}
        for kind, part in parts.items()
        if part
    ]


def gallery(pairs: Pairs) -> dict[str, list[Mapping[str, Any]]]:
    """Lay out some images by class, in each in the order of the parts."""
    samples, order = pairs.get("gallery") or (), list(PARTS)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in sorted(samples, key=lambda each: order.index(each["part"])):
        found.setdefault(str(each["label"]), []).append(each)
    return {label: found[label] for label in sorted(found)}


def has_maps(content: ReportContent) -> bool:
    """Tell whether the report shows heat maps."""
    explained = content.explained or {"layer": None, "cells": 0}
    return content.pictures and explained["layer"] is not None and explained["cells"] >= COARSE


def heat_maps(
    explained: Mapping[str, Any] | None, confusion: pd.DataFrame
) -> dict[str, Any] | None:
    """Lay out explained.json: mistakes, right answers, and what to know of the maps.

    None where nothing was explained.
    """
    if explained is None:
        return None
    counts = confusion.to_numpy()
    mistakes = [each for each in explained["pictures"] if each["label"] != each["predicted"]]
    wrong = int(counts.sum() - counts.trace())
    coarse = _coarse(explained["cells"])
    return {
        "mistakes": mistakes,
        "wrong": wrong,
        "right": [each for each in explained["pictures"] if each["label"] == each["predicted"]],
        "extent": _extent(len(mistakes), wrong, "mistake", "predictions.csv"),
        "mapped": explained["layer"] is not None and not coarse,
        "coarse": coarse,
        "border": _border(explained["border_share"], explained["even_border_share"]),
    }


def no_mistake(wrong: int) -> str:
    """Say that no mistake is shown; of folds, the mistakes of the others may be all."""
    if not wrong:
        return "No test image was given a wrong class."
    return (
        f"The first fold has none; {plural(wrong, 'answer')} of the other folds "
        f"{'is' if wrong == 1 else 'are'} wrong: predictions.csv lists all."
    )


def _extent(here: int, found: int, noun: str, file: str) -> str:
    """Say how many of how many are here, and which file holds all."""
    if found > here:
        return f"{count(here)} of {plural(found, noun)}; all are in {file}"
    return plural(here, noun)


def _coarse(cells: int) -> str:
    """Say how many places a map would tell apart, where those are too few to show one."""
    if not 0 < cells < COARSE:
        return ""
    places = "one single place" if cells == 1 else f"no more than {cells} by {cells} places"
    return (
        f"There are no heat maps: at this image size the network tells apart {places} of an "
        "image. A larger --image-size, such as 224, gives them."
    )


def _border(share: float | None, even: float) -> str:
    """Say how much of the heat lies at the border; empty where unknown."""
    if undefined(share) or share is None:
        return ""
    outer = f"{percent(share)} of the heat lies in the outer tenth of each side"
    if share < ALARMING * even:
        return f"{outer}; an even map has {percent(even)} there."
    return (
        f"{outer}, where an even map has {percent(even)}. Please check whether the network goes by "
        "borders, such as black corners."
    )
