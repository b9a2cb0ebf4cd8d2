"""Take over parts that were drawn elsewhere, by folders or by a table. It draws nothing.

A given split is used as it is; one that is kept while pictures come and go is `kept`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from resnext.contracts.errors import InputError
from resnext.data.manifest.listing import PART_NAMES
from resnext.data.user_tables import (
    IMAGE,
    SPLIT,
    Column,
    UserTable,
    quoted,
    read_user_table,
    require_one_answer,
)

NOT_GIVEN = "not in the given split"
GIVEN_UNUSED = "unused in the given split"
ONE_PART = "name each picture once"
REMEDY = "Give a CSV such as the split.csv of a run."


def read_parts(path: Path, argument: str, columns: Sequence[Column] = (IMAGE, SPLIT)) -> UserTable:
    """Read a table of `path,split`: the part of each picture, empty where it takes part in none.

    `argument` is what an error calls the table.

    Raises:
        InputError: the file lacks a column, names an unknown part, or two for one picture.
    """
    table = read_user_table(path, argument, columns, REMEDY)
    if table.rows.empty:
        raise table.wrong("name the part of a picture", "none", REMEDY)
    names = table.rows["split"].str.strip().str.lower()
    known = {**PART_NAMES, "unused": "", "": ""}
    strange = sorted(set(names) - set(known))
    if strange:
        rule = "name the parts train, val, test or unused"
        raise table.wrong(rule, quoted(strange[0]), "Correct it.")
    table = replace(table, rows=table.rows.assign(split=names.map(known).astype("str")))
    require_one_answer(table, "split", table.rows["path"], ONE_PART)
    return table


def parts_of_folders(paths: Sequence[str]) -> dict[str, str]:
    """Read the parts from the first folder of each path: train, val or test, or what they go by.

    Raises:
        InputError: the pictures do not lie in such folders.
    """
    parts = {path: PART_NAMES.get(path.split("/", 1)[0].lower(), "") for path in paths}
    if not all(parts.values()):
        raise InputError(
            "split",
            "be drawn where the folder holds no train, val and test folders",
            "'given'",
            "Name a table with `use_split`, or leave `split` out.",
        )
    return parts
