"""Take over parts that were drawn elsewhere: by folders, by a table, or by an earlier split.

A given split is used as it is. An earlier one is kept: what stood in a part stays there, so that
scores stay comparable when pictures are added. It draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from resnext.errors import InputError
from resnext.manifest.listing import PART_NAMES
from resnext.split.settings import PARTS
from resnext.tables import read_columns

NOT_GIVEN = "not in the given split"
GIVEN_UNUSED = "unused in the given split"
REMEDY = "Give a CSV such as the split.csv of a run."


def read_parts(path: Path, argument: str) -> dict[str, str]:
    """Read a table of `path,split`: the part of each picture, empty where it takes part in none.

    `argument` is what an error calls the table.

    Raises:
        InputError: the file lacks a column, names an unknown part, or names a picture twice.
    """
    table = _read_parts(path, argument, ["path", "split"])
    return dict(zip(table["path"], table["split"], strict=True))


def read_earlier(path: Path) -> pd.DataFrame:
    """Read an earlier split: path, group and split, which is empty for what was not used.

    Raises:
        InputError: as `read_parts` does.
    """
    return _read_parts(path, "--keep-split", ["path", "group", "split"])


def _read_parts(path: Path, argument: str, columns: list[str]) -> pd.DataFrame:
    """Read a table whose column split names parts, and give them our names."""
    table = read_columns(path, argument, columns, remedy=REMEDY)
    twice = table.loc[table["path"].duplicated(), "path"]
    if len(twice):
        raise InputError(
            f"{argument} must name each picture once, got {twice.iloc[0]!r} twice. "
            f"File {str(path)!r}. Remove one row."
        )
    names = table["split"].str.strip().str.lower()
    known = {**PART_NAMES, "unused": "", "": ""}
    strange = sorted(set(names) - set(known))
    if strange:
        raise InputError(
            f"{argument} must name the parts train, val, test or unused, got {strange[0]!r}. "
            f"File {str(path)!r}. Correct it."
        )
    return table.assign(split=names.map(known).astype("str"))


def parts_of_folders(paths: Sequence[str]) -> dict[str, str]:
    """Read the parts from the first folder of each path: train, val or test, or what they go by.

    Raises:
        InputError: the pictures do not lie in such folders.
    """
    parts = {path: PART_NAMES.get(path.split("/", 1)[0].lower(), "") for path in paths}
    if not all(parts.values()):
        raise InputError(
            "split must not be 'given' where the data folder holds no train, val and test folders "
            "and no --use-split names a table. Give one, or leave --split out."
        )
    return parts


def kept_parts(
    units: pd.Series[str], pictures: pd.DataFrame, earlier: pd.DataFrame
) -> dict[str, str]:
    """Give the part of each unit that stood in an earlier split (path, group, split).

    `units` names the unit of each of the `pictures` (path, id), of which a unit may hold several.
    A picture is known by its path, else by its id; an empty id is unknown. Where units that stood
    apart are one now, train wins over val and val over test: what was trained on can't be tested
    on.
    """
    used = earlier[earlier["split"].isin(PARTS)]
    by_path = {path: {part} for path, part in zip(used["path"], used["split"], strict=True)}
    by_id = _parts_by_id(used)
    found: dict[str, set[str]] = {}
    for unit, path, name in zip(units, pictures["path"], pictures["id"], strict=True):
        found.setdefault(unit, set()).update(by_path.get(path) or by_id.get(name, set()))
    return {unit: next(p for p in PARTS if p in parts) for unit, parts in found.items() if parts}


def _parts_by_id(used: pd.DataFrame) -> dict[str, set[str]]:
    """Give the parts in which each group stood, by its name and the names joined in it."""
    parts: dict[str, set[str]] = {}
    pairs = used[["group", "split"]].drop_duplicates()
    for group, part in zip(pairs["group"], pairs["split"], strict=True):
        for name in {group, *group.split("=")} - {""}:
            parts.setdefault(name, set()).add(part)
    return parts
