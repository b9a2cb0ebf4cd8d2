"""Decide which near-duplicates are joined into one group, and which are only reported.

Photographs of one fixed camera, one plate or one video all look nearly the same, though they show
different things. So a table that names the group of every picture outranks them, and they are not
joined where that would swallow a class. It opens no picture and finds no near-duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from resnext.contracts.formatting import first_few
from resnext.data.split.duplicates import JOINED, REPORTED, NearDuplicates
from resnext.data.split.groups import Naming, join_groups
from resnext.data.split.settings import SplitSettings

MOST = 0.5  # share of a class above which one joined group swallows it
AT_LEAST = 10  # pictures that such a group holds


class Joinable(NamedTuple):
    """Hold the near-duplicates, of which `looks` names those that are joined.

    `why` says why others are not, empty where all are; their pairs' verdict is `REPORTED`.
    """

    near: NearDuplicates
    why: str


def joinable(
    naming: Naming, near: NearDuplicates, settings: SplitSettings, before: pd.Series[str]
) -> Joinable:
    """Choose the near-duplicates to join; `before` names the group of each picture before, if any.

    Where they would leave a class in too few groups, or mostly in one, none of its groups is
    joined to others.
    """
    if settings.near_duplicates == "report":
        return _only(naming, near, {}, "--near-duplicates report was given")
    if naming.listed == len(naming.pictures):
        return _only(naming, near, {}, "--groups names the group of every picture")
    rows = naming.pictures
    unit = rows["photograph" if settings.strategy == "stratified" else "group"]
    keys = [column.tolist() for column in (rows["sha256"], rows["photograph"], before)]
    apart = rows.assign(apart=join_groups(unit.tolist(), *keys))
    looks, swallowed = dict(near.looks), list[str]()
    while found := _swallowed(apart, looks, settings):
        swallowed += found
        groups = apart.loc[apart["label"].isin(found), "apart"]
        mine = apart.loc[apart["apart"].isin(groups), "sha256"]  # of other classes too
        clusters = {looks[digest] for digest in mine if digest in looks}
        looks = {digest: look for digest, look in looks.items() if look not in clusters}
    if not swallowed:
        return Joinable(near, "")
    named = first_few(map(repr, sorted(swallowed)))
    why = f"joining would leave class {named} in too few groups, or mostly in one"
    return _only(naming, near, looks, why)


def _only(naming: Naming, near: NearDuplicates, looks: Mapping[str, str], why: str) -> Joinable:
    """Join some of the near-duplicates alone; the reason counts only where others are left."""
    digests = dict(zip(naming.pictures["path"], naming.pictures["sha256"], strict=True))
    apart = (near.pairs["verdict"] == JOINED) & ~near.pairs["path"].map(digests).isin(list(looks))
    pairs = near.pairs.assign(verdict=near.pairs["verdict"].mask(apart, REPORTED))
    return Joinable(replace(near, pairs=pairs, looks=dict(looks)), why if apart.any() else "")


def _swallowed(
    pictures: pd.DataFrame, looks: Mapping[str, str], settings: SplitSettings
) -> list[str]:
    """Name the classes that joining would leave in too few groups, or mostly in one.

    The pictures' column `apart` names their groups without near-duplicates.
    """
    if not looks:
        return []
    look = [looks.get(digest, "") for digest in pictures["sha256"]]
    table = pictures.assign(joined=join_groups(pictures["apart"].tolist(), look))
    table = table[table["copy"].fillna(0) == 0].drop_duplicates(["label", "sha256"])
    needed = settings.fold[1] if settings.fold else len(settings.parts)
    apart, joined = (_sizes(table, column) for column in ("apart", "joined"))
    too_few = (joined["groups"] < needed) & (apart["groups"] >= needed)
    most = (joined["largest"] >= AT_LEAST) & (joined["largest"] > MOST * joined["pictures"])
    new = apart["largest"] <= MOST * apart["pictures"]
    return joined.index[too_few | (most & new)].tolist()


def _sizes(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Count each class's groups and pictures, and those of its largest group."""
    sizes = table.groupby(["label", column]).size().groupby(level="label")
    return pd.DataFrame({"groups": sizes.size(), "largest": sizes.max(), "pictures": sizes.sum()})
