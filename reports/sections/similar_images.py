"""Lay out pairs of pictures that resemble each other as contact sheets for a person to look at.

Thumbnails come as data: URIs; anything else in their place is dropped, so that no text from the
data becomes an address. It compares no pictures and opens none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reports.sections.split import PARTS
from resnext.contracts.formatting import count, plural

THUMBNAIL = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]+={0,2}")
KINDS = {
    "exact": "identical file",
    "near": "near-duplicate",
    "copy": "copy of one photograph",
    "group": "same group",
    "weak": "weak resemblance",
}
"""What makes two pictures a pair, in words."""

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


class Heading(NamedTuple):
    """Hold the title of a sheet and what a reader should know of it."""

    title: str
    explanation: str


HEADINGS = {
    "crossing": Heading(
        "Warning: on both sides of this split",
        "One picture of each pair was trained on, the other one is held out. The network knows the "
        "answer, so that being right about that one proves nothing.",
    ),
    "random": Heading(
        "What a random split would have hidden",
        "Dealt out one by one, these pictures would have stood on both sides, in the parts that "
        "are named below them. In this split none of them stands in train and in a held-out part.",
    ),
    "joined": Heading(
        "Taken for one photograph",
        "These near-duplicates count as one photograph and were joined into one group. Please "
        "check: if pairs show different things, the hashes were deceived.",
    ),
    "reported": Heading(
        "Near-duplicates that were not joined",
        "These pictures look nearly the same, and count as different ones all the same. If they "
        "show one thing, name their groups with --groups FILE.",
    ),
    "listed": Heading(
        "For you to judge",
        "These pairs resemble each other, but not enough to be joined. If two pictures show one "
        "patient, say so with --groups FILE.",
    ),
}
"""The sheets in the order of the report."""


@dataclass(frozen=True)
class PairedImage:
    """Hold one picture of a pair as the page shows it."""

    name: str
    label: str
    part: str
    source: str
    """A data: URI, empty where there is no thumbnail."""

    @property
    def alternative(self) -> str:
        """Say in words what the thumbnail is."""
        return f"Thumbnail of {self.name}, class {self.label}, part {self.part}"


@dataclass(frozen=True)
class Pair:
    """Hold two pictures and why they are set side by side."""

    kind: str
    detail: str
    pictures: tuple[PairedImage, PairedImage]

    @property
    def disagree(self) -> bool:
        """Tell whether the two stand under different classes."""
        return self.pictures[0].label != self.pictures[1].label


@dataclass(frozen=True)
class Sheet:
    """Hold one list of pairs with its heading."""

    name: str
    heading: Heading
    pairs: Sequence[Pair]
    extent: str
    """How many of how many pairs are shown."""


def sheets(rows: Rows, near: Mapping[str, Any] | None = None) -> list[Sheet]:
    """Lay out the lists that hold something; a random split counts only where nothing crosses.

    `near` may know how many pairs were found, `joined_pairs` and `listed_pairs`.
    """
    names = [name for name in HEADINGS if rows.get(name)]
    if "crossing" in names and "random" in names:
        names.remove("random")
    return [_sheet(name, rows[name], (near or {}).get(f"{name}_pairs")) for name in names]


def thumbnail(source: object) -> str:
    """Give a thumbnail's data: URI back, and nothing for anything else."""
    return source if isinstance(source, str) and THUMBNAIL.fullmatch(source) else ""


def _sheet(name: str, rows: Sequence[Mapping[str, Any]], found: int | None) -> Sheet:
    """Lay out one list."""
    extent = describe_extent(len(rows), found or 0, "pair", "near.csv")
    return Sheet(name, HEADINGS[name], [_pair(row) for row in rows], extent)


def describe_extent(here: int, found: int, noun: str, file: str) -> str:
    """Say how many of how many are here, and which file holds all."""
    if found > here:
        return f"{count(here)} of {plural(found, noun)}; all are in {file}"
    return plural(here, noun)


def _pair(row: Mapping[str, Any]) -> Pair:
    """Prepare one pair for the page."""
    kind = str(row.get("kind") or "")
    pictures = (_image(row, ""), _image(row, "other"))
    return Pair(KINDS.get(kind, kind), str(row.get("detail") or ""), pictures)


def _image(row: Mapping[str, Any], side: str) -> PairedImage:
    """Prepare one picture of a pair; its name leaves out the class folder."""
    prefix = f"{side}_" if side else ""
    label, part = str(row.get(f"{prefix}label") or ""), str(row.get(f"{prefix}part") or "")
    path = str(row.get(side or "path") or "")
    source = thumbnail(row.get(f"{prefix}picture"))
    return PairedImage(path.removeprefix(f"{label}/"), label, PARTS.get(part, part), source)
