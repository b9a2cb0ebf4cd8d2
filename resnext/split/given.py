"""Take over parts that were drawn elsewhere, by folders or by a table. It draws nothing.

A given split is used as it is; one that is kept while pictures come and go is `kept`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from resnext.errors import InputError
from resnext.manifest.listing import PART_NAMES
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
    table = read_part_table(path, argument, ["path", "split"])
    return dict(zip(table["path"], table["split"], strict=True))


def read_part_table(path: Path, argument: str, columns: list[str]) -> pd.DataFrame:
    """Read some columns of a table, of which split names parts; give these our names.

    Raises:
        InputError: as `read_parts` does.
    """
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
