"""Read what a user knows of images besides their class: skin tone, site, device, age and the like.

A table (CSV) has a row for each image, or for each group, and a column for each attribute. Its
images are found as those of any table of a user's. What is not stated is an empty text. This module
cuts no numbers into bands: see `reports.evaluation.subgroups`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from resnext.contracts.formatting import plural
from resnext.data.user_tables import (
    GROUP,
    IMAGE,
    UNKNOWN,
    Found,
    UserTable,
    find_images,
    first_shown,
    normal,
    read_described,
    require_one_answer,
)

FLAG = "--attributes"
REMEDY = (
    "Give a CSV with a column path or group, and one for each attribute such as skin tone or age."
)
ONE_VALUE = "state one thing of each"
NO_FOLDER = "in the class folder itself"


class Attributes(NamedTuple):
    """Hold what is stated of images, (path, attribute, subgroup), and what must be said of it."""

    table: pd.DataFrame
    notes: list[str]


def read_attributes(
    path: Path, split: pd.DataFrame, joined: Mapping[str, Sequence[str]], root: Path
) -> Attributes:
    """Read a table of attributes, and find the images of a split (path, group, copy) in it.

    `joined` lists the ids of each group that several were joined to. An image that no row is about
    has no row in the result. Augmented copies need none: no score is of them.

    Raises:
        InputError: the table can't be read, is about none of the images, or says two things of one.
    """
    table, key = read_described(path, FLAG, (IMAGE, GROUP), REMEDY)
    if table.rows.empty:
        raise table.wrong("have a row for each image or group", "none", REMEDY)
    rows = table.rows.apply(lambda column: column.str.strip().str.normalize("NFC"))
    table = replace(table, rows=rows.mask(rows.apply(lambda c: c.str.casefold().isin(UNKNOWN)), ""))
    images = sorted(split["path"])
    by_image = key == IMAGE.name
    stated = _of_images(table, images, root) if by_image else _of_groups(table, split, joined)
    originals = sorted(split.loc[split["copy"].fillna(0) == 0, "path"])
    without = [image for image in originals if image not in stated.answers]
    notes = [*table.notes, *stated.notes]
    if without:
        few = f"{len(without):,} of {plural(len(originals), 'original')} have no row in {FLAG}"
        notes.append(f"{few}, so that nothing is stated of them: {first_shown(without)}")
    long = [
        (image, name, value)
        for image, values in sorted(stated.answers.items())
        for name, value in values.items()
    ]
    columns = ["path", "attribute", "subgroup"]
    return Attributes(pd.DataFrame(long, columns=columns, dtype="str"), notes)


class Stated(NamedTuple):
    """Hold what is stated of each image, and what must be said of how it was found."""

    answers: dict[str, dict[str, str]]
    notes: list[str]


def _names(table: UserTable) -> list[str]:
    return [name for name in table.rows.columns if name != IMAGE.name]


def _of_images(table: UserTable, images: Sequence[str], root: Path) -> Stated:
    found: Found = find_images(table, images, root)
    by_column = {name: found.answers(name, ONE_VALUE) for name in _names(table)}
    unknown = [name for name, image in zip(found.names, found.of_rows, strict=True) if not image]
    named = dict.fromkeys(image for image in found.of_rows if image)
    answers = {image: {name: of[image] for name, of in by_column.items()} for image in named}
    return Stated(answers, _unknown(unknown, "image that is used (see quarantine.csv)"))


def _of_groups(
    table: UserTable, split: pd.DataFrame, joined: Mapping[str, Sequence[str]]
) -> Stated:
    """Find the images of each group; where joined ids differ in an attribute, it is not stated."""
    keys = table.rows[IMAGE.name].map(normal)
    for name in _names(table):
        require_one_answer(table, name, keys, ONE_VALUE)
    of_id = dict(zip(keys, table.rows[_names(table)].to_dict("records"), strict=True))
    answers, met = {}, set()
    for image, group in zip(split["path"], split["group"], strict=True):
        ids = {normal(each) for each in (group, *joined.get(group, ()))} & of_id.keys()
        met |= ids
        said = [of_id[each] for each in sorted(ids)]
        if said:
            values = {name: {each[name] for each in said} for name in _names(table)}
            answers[image] = {n: v.pop() if len(v) == 1 else "" for n, v in values.items()}
    if not met:
        raise table.wrong(
            "name groups that are here",
            f"{first_shown(keys)}, where groups are {first_shown(sorted(set(split['group'])))}",
            "Correct them, or give a column path.",
        )
    return Stated(answers, _unknown([key for key in keys if key not in met], "group that is here"))


def _unknown(names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    verb = "is" if len(names) == 1 else "are"
    return [f"{plural(len(names), 'row')} of {FLAG} {verb} about no {what}: {first_shown(names)}"]


# ---------------------------------------------------------------- what the scan knows


def attributes_of_scan(cues: pd.DataFrame) -> pd.DataFrame:
    """Lay out what is known of images without a table: format, size, brightness, folder.

    Columns: path, attribute, subgroup, as of a user's table. The folder is the one inside the class
    folder, if there is one.
    """
    below = [
        f"/{path}".partition(f"/{label}/")[2].partition("/")
        for path, label in zip(cues["path"], cues["label"], strict=True)
    ]
    known = {
        "file format": cues["format"].tolist(),
        "megapixels": cues["megapixels"].map("{:.3g}".format).tolist(),
        "brightness": cues["brightness"].map("{:.2f}".format).tolist(),
        "folder": [name if slash else NO_FOLDER for name, slash, _ in below],
    }
    tables = [
        pd.DataFrame({"path": cues["path"].to_numpy(), "attribute": name, "subgroup": values})
        for name, values in known.items()
    ]
    return pd.concat(tables, ignore_index=True).astype("str")
