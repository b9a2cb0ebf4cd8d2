"""Choose the pairs of pictures that a person should look at, with thumbnails of them.

It shows what crosses a split, what was joined and what only looks alike; it decides nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.split.duplicates import JOINED, REPORTED, TO_JUDGE
from resnext.data.split.leakage import KINDS, crosses
from resnext.data.thumbnails import as_uri, shrink

SIDE = 160  # pixels of a thumbnail's longer side
WORST = ("exact", "near", "copy", "group")  # the plainest evidence first
EACH = 4  # pairs of one kind that cross
MOST_JOINED = 8
MOST_LISTED = 12

Cards: TypeAlias = dict[str, list[dict[str, Any]]]


def pairs_to_look_at(
    root: Path,
    pictures: pd.DataFrame,
    pairs: pd.DataFrame,
    drawn: pd.DataFrame,
    random: pd.DataFrame,
    levels: Levels = Levels(),
) -> Cards:
    """List the worst pairs, each with two thumbnails as data URIs.

    `crossing`: on both sides of the split; `random`: on both sides of a plain random split, where
    nothing crosses; `joined`: near-duplicates taken for one photograph, the least alike first and
    those of two classes before all; `reported`, where there are some: the same, but not joined;
    `listed`: weaker pairs, the most alike first.

    Raises:
        InputError: a picture changed since the scan.
    """
    crossing = _crossing(pictures, drawn, ("test", "val"))
    chosen = {
        "crossing": crossing,
        "random": [] if crossing else _crossing(pictures, random, ("test",)),
        "joined": _near(pairs, JOINED, drawn),
        "listed": _near(pairs, TO_JUDGE, drawn),
    }
    if reported := _near(pairs, REPORTED, drawn):
        chosen["reported"] = reported
    album = _Album(root, pictures, levels)
    return {name: [album.card(pair) for pair in found] for name, found in chosen.items()}


def _crossing(
    pictures: pd.DataFrame, split: pd.DataFrame, held_out: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Pair held-out pictures with a relative in train, a few of each kind, each picture once."""
    rows = pictures.merge(split[["path", "split"]], on="path", validate="1:1")
    train = rows[rows["split"] == "train"]
    found: list[dict[str, Any]] = []
    for part in held_out:
        here = rows[rows["split"] == part]
        for kind in WORST:
            mark = crosses(here, train, kind)
            crossing = here[mark & ~here["path"].isin([pair["path"] for pair in found])]
            if kind in ("exact", "near"):
                here = here[~mark]  # not to be shown by weaker evidence than there is
            for _, row in crossing.drop_duplicates(KINDS[kind]).head(EACH).iterrows():
                found.append(_pair(kind, row, _relative(row, train, kind)))
        if found:
            break
    return found


def _relative(row: pd.Series[Any], train: pd.DataFrame, kind: str) -> pd.Series[Any]:
    """Give the first relative of a picture; of its group, rather one of another photograph."""
    related = train[train[KINDS[kind]] == row[KINDS[kind]]]
    if kind == "near":
        related = related[related["sha256"] != row["sha256"]]
    elif kind == "group":
        same = related["photograph"] == row["photograph"]
        related = pd.concat([related[~same], related[same]])
    first: pd.Series[Any] = related.iloc[0]
    return first


def _pair(kind: str, one: pd.Series[Any], other: pd.Series[Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "path": one["path"], "label": one["label"], "part": one["split"],
        "other": other["path"], "other_label": other["label"], "other_part": other["split"],
        "detail": "" if kind == "exact" else f"group {one['group']}",
    }  # fmt: skip


def _near(pairs: pd.DataFrame, verdict: str, drawn: pd.DataFrame) -> list[dict[str, Any]]:
    """Take the pairs of one verdict that most need a look."""
    found = pairs[pairs["verdict"] == verdict]
    near = verdict != TO_JUDGE
    if near:
        apart = found["label"] != found["other_label"]
        found = found.assign(apart=apart).sort_values(
            ["apart", "correlation", "path"], ascending=[False, True, True]
        )
    part = dict(zip(drawn["path"], drawn["split"], strict=True))
    rows = found.head(MOST_JOINED if near else MOST_LISTED).to_dict("records")
    return [
        {
            "kind": "near" if near else "weak",
            "path": row["path"], "label": row["label"], "part": part[row["path"]],
            "other": row["other"], "other_label": row["other_label"],
            "other_part": part[row["other"]],
            "detail": f"correlation {row['correlation']:.3f}, {row['orientation']}",
        }
        for row in rows
    ]  # fmt: skip


class _Album:
    """Make thumbnails, each once."""

    def __init__(self, root: Path, pictures: pd.DataFrame, levels: Levels) -> None:
        self.root, self.levels = root, levels
        self.sha256 = dict(zip(pictures["path"], pictures["sha256"], strict=True))
        self.made: dict[str, str] = {}

    def card(self, pair: dict[str, Any]) -> dict[str, Any]:
        """Add the thumbnails of both pictures to a pair."""
        thumbnails = (self._thumbnail(pair["path"]), self._thumbnail(pair["other"]))
        return pair | dict(zip(("picture", "other_picture"), thumbnails, strict=True))

    def _thumbnail(self, path: str) -> str:
        if path not in self.made:
            image = read_scanned(self.root / path, self.sha256[path], self.levels)
            self.made[path] = as_uri(shrink(image, SIDE))
        return self.made[path]
