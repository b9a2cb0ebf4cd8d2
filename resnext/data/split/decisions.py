"""Apply to groups and copies what a person decided of single images.

The scan leaves images out and gives them other classes. Copies of these follow them here, where it
is known what is a copy of what.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from resnext.data.manifest.decisions import DROP, GROUP, LABEL, named
from resnext.data.split.groups import Groups, read_name

LEFT_OUT = "copy of an image that a person left out"


def apply_decisions(groups: Groups, decided: pd.DataFrame) -> Groups:
    """Say which groups are joined, and let copies follow their originals.

    `decided` holds path and decision. An image that is joined to a group takes its own along: what
    belonged together still does. A name that no group has makes one group of all who are given it.
    """
    images, ids = groups.images, {*groups.images["group"]}
    joins = {path: _id(name, ids) for path, name in named(decided, GROUP).items()}
    own = images["group"].where(images["group"].isin(list(joins.values())), "")
    dropped = {_original(groups, path) for path in decided.loc[decided["decision"] == DROP, "path"]}
    out = images["original"].isin(list(dropped)) & (images["copy"].fillna(0) > 0)
    labels = _of_originals(images, named(decided, LABEL))
    return replace(
        groups,
        images=images.assign(
            decided=_named(images["path"], joins, own),
            left_out=out.map({True: LEFT_OUT, False: ""}).astype("str"),
            label=_named(images["original"], labels, images["label"]),
        ),
    )


def _id(name: str, ids: set[str]) -> str:
    """Give an id of the group that a person named: of a joined one, an id that it was made of."""
    return next((each for each in (name, *name.split("=")) if each in ids), name)


def _named(keys: pd.Series[str], names: dict[str, str], others: pd.Series[str]) -> pd.Series[str]:
    """Give what each key is called, and what stands in `others` where it has no name."""
    pairs = zip(keys, others, strict=True)
    return pd.Series([names.get(*pair) for pair in pairs], keys.index, dtype="str")


def _of_originals(images: pd.DataFrame, labels: dict[str, str]) -> dict[str, str]:
    """Give the class of each original that was given another one, by the original's name."""
    mine = images[images["path"].isin(list(labels)) & (images["copy"].fillna(0) == 0)]
    return dict(zip(mine["original"], mine["label"], strict=True))


def _original(groups: Groups, path: str) -> str:
    """Name the original that a path is, empty where it is a copy of one."""
    pattern = re.compile(groups.reading.pattern or r"(?!)(?P<group>)")
    _, copy, original, _ = read_name(pattern, path)
    return "" if copy else original
