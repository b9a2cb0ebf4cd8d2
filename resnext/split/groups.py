"""Read from the names of pictures which show one patient and which are copies of one photograph.

A patient is a group; augmented copies go with their photograph. A table or a pattern of the
caller's decides, else a built-in scheme that fits nearly all names. Groups that hold a picture in
common are joined. It opens no picture.

Source: the naming schemes are those of the Monkeypox Skin Lesion Dataset v1 (Ali et al. 2022,
arXiv:2207.03342) and v2 (Ali et al. 2023, arXiv:2306.14169), with any letters in front.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from resnext.errors import InputError
from resnext.split.settings import OFFENDERS
from resnext.user_tables import (
    GROUP,
    IMAGE,
    UNKNOWN,
    WITHIN_PATIENTS,
    UserTable,
    bare,
    quoted,
    read_user_table,
    require_one_answer,
)

FIT = 0.95  # share of names that a built-in scheme must fit
ONE_GROUP = "name one group for each path, got two for {}"
NAMED_IDS = 12  # of a joined group that are in its name
AGAIN = "="  # after the name of a joined group that another group has already
PHOTOGRAPHS = 0.1  # share of photographs that must be there themselves, not as copies alone


class Scheme(NamedTuple):
    """Name a way of naming pictures; the pattern's groups are those of `group_pattern`."""

    name: str
    pattern: str


SCHEMES = (
    Scheme(
        "patient_photograph_copy (MSLD v1)",
        r"(?:^|/)(?P<group>[A-Za-z]+\d{1,4})_\d{1,3}(?:_(?P<copy>\d{1,3}))?(?:\.[^./]*)?$",
    ),
    Scheme(
        "class_patient_photograph (MSLD v2)",
        r"(?:^|/)(?P<group>[A-Za-z]+_\d{1,4})_\d{1,3}(?:_(?P<copy>\d{1,3}))?(?:\.[^./]*)?$",
    ),
)


class _Name(NamedTuple):
    """Hold what a path says; a path that no pattern fits is a group of its own."""

    group: str
    copy: int | None
    photograph: str
    fits: bool


@dataclass(frozen=True, eq=False)
class Naming:
    """Hold the scheme that was taken, its evidence, and the pictures with what their names say.

    `pictures` is sorted by path: path, label, sha256, group, copy, photograph; its groups are not
    joined yet. `scheme` is empty where none fits; `listed` counts the pictures whose group stands
    in the caller's table.
    """

    scheme: str
    fits: int
    listed: int
    pictures: pd.DataFrame

    @property
    def ids(self) -> int:
        """Count the groups before any are joined."""
        return int(self.pictures["group"].nunique())


def read_names(
    manifest: pd.DataFrame,
    group_pattern: str | None = None,
    groups: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
) -> Naming:
    """Read groups and copies from the paths.

    The pattern decides, else the first built-in scheme that fits, else the first that fits the
    paths of an earlier split, else every picture is a group. `groups`, by path, wins over all of
    them where it names a picture.

    Raises:
        InputError: the pattern fits no path, or its `copy` is no number.
    """
    pictures = manifest[["path", "label", "sha256"]].sort_values("path", ignore_index=True)
    paths = pictures["path"].tolist()
    scheme, names = _choose_scheme(paths, group_pattern, before)
    listed = {path: groups[path] for path in paths if path in groups} if groups else {}
    pictures = pictures.assign(
        group=pd.Series(
            [listed.get(path, name.group) for path, name in zip(paths, names, strict=True)],
            dtype="str",
        ),
        copy=pd.array([name.copy for name in names], dtype="Int64"),
        photograph=pd.Series([name.photograph for name in names], dtype="str"),
    )
    return Naming(scheme, sum(name.fits for name in names), len(listed), pictures)


def read_groups(path: Path) -> UserTable:
    """Read a table of `path,group`: the group of each picture, without blanks around and in NFC.

    Rows in which a column of published metadata, such as `patient_id`, says nothing are left out.

    Raises:
        InputError: the file lacks a column, a group is empty, or a path has two groups.
    """
    remedy = "Write a line path,group at the top and one for each picture."
    table = read_user_table(path, "--groups", (IMAGE, GROUP), remedy)
    if table.rows.empty:
        raise table.wrong("name the group of a picture, got none", remedy)
    written = table.rows["group"].tolist()
    ids = [unicodedata.normalize("NFC", name.strip()) for name in written]
    notes = [*_alike_notes(written, ids), *_meaning_notes(table)]
    table = replace(
        table,
        rows=table.rows.assign(group=pd.Series(ids, dtype="str")),
        notes=[*table.notes, *notes],
    )
    odd = table.rows.loc[[not name.isprintable() for name in ids], "path"]
    if len(odd):
        raise table.wrong(
            f"be printable text, got a control character for {quoted(odd.iloc[0])}", "Correct it."
        )
    table = _without_empty(table)
    require_one_answer(table, "group", table.rows["path"], ONE_GROUP)
    return table


def _without_empty(table: UserTable) -> UserTable:
    """Leave out the rows that name no group, where the column is not called so.

    Raises:
        InputError: it is called so, or there is no other row.
    """
    heading, groups = table.headings["group"], table.rows["group"]
    ours = bare(heading) == GROUP.name
    empty = groups == "" if ours else groups.str.casefold().isin(list(UNKNOWN))
    if not empty.any():
        return table
    if ours or empty.all():
        first = quoted(table.rows.loc[empty, "path"].iloc[0])
        raise table.wrong(
            f"name a group for each path, got none for {first}", "Fill it in or remove the row."
        )
    note = f"{empty.sum():,} of {len(groups):,} rows of --groups name no {quoted(heading)}"
    rows = table.rows[~empty].reset_index(drop=True)
    return replace(table, rows=rows, notes=[*table.notes, note])


def _alike_notes(written: list[str], ids: list[str]) -> list[str]:
    """Say which ids look alike: those that count as one group, and those that do not."""
    spelt: dict[str, set[str]] = {}
    for name, clean in zip(written, ids, strict=True):
        spelt.setdefault(clean, set()).add(name)
    alike: dict[str, set[str]] = {}
    for clean in spelt:
        alike.setdefault("".join(clean.casefold().split()), set()).add(clean)
    said = {
        "blanks around or Unicode form alone count as one group": spelt,
        "case or blanks alone count as different groups": alike,
    }
    return [
        f"ids of --groups that differ in {what}: {_pairs(found)}"
        for what, found in said.items()
        if any(len(names) > 1 for names in found.values())
    ]


def _pairs(found: Mapping[str, set[str]]) -> str:
    """Name the first five sets of several names, then the total."""
    pairs = [" and ".join(map(quoted, sorted(names))) for names in found.values() if len(names) > 1]
    more = f"; {len(pairs):,} in total" if len(pairs) > OFFENDERS else ""
    return "; ".join(sorted(pairs)[:OFFENDERS]) + more


def _meaning_notes(table: UserTable) -> list[str]:
    """Say of what the groups are, where it is less than a patient."""
    heading = table.headings["group"]
    return [] if bare(heading) not in map(bare, WITHIN_PATIENTS) else [
        f"--groups names no patients: groups are those of its column {quoted(heading)}, and two of "
        "one patient may stand on both sides"
    ]  # fmt: skip


def join_groups(groups: Sequence[str], *keys: Sequence[str]) -> list[str]:
    """Join groups that hold an equal key, directly or through others; an empty key joins none.

    `keys` are columns, each with a key for every entry of `groups`. A joined group is called by
    its ids in order, `A=B`; of very many, by the first ones and the number of the others. No two
    groups get one name, even where ids hold a `=` themselves.
    """
    parents = {group: group for group in groups}
    for column in keys:
        first: dict[str, str] = {}
        for group, key in zip(groups, column, strict=True):
            if key:
                one, other = _root(parents, group), _root(parents, first.setdefault(key, group))
                parents[max(one, other)] = min(one, other)  # the smallest id is the root
    members: dict[str, list[str]] = {}
    for group in sorted(parents):
        members.setdefault(_root(parents, group), []).append(group)
    names = {root: root for root, ids in members.items() if len(ids) == 1}
    taken = set(names.values())
    for root, ids in members.items():
        if len(ids) > 1:
            names[root] = _joined_name(ids)
            while names[root] in taken:
                names[root] += AGAIN
            taken.add(names[root])
    return [names[_root(parents, group)] for group in groups]


def _root(parents: dict[str, str], group: str) -> str:
    """Follow a group to its root, halving the way for the next time."""
    while parents[group] != group:
        parents[group] = parents[parents[group]]
        group = parents[group]
    return group


def _joined_name(ids: list[str]) -> str:
    """Name a group by its sorted ids, which a name can't always be parted into again."""
    more = len(ids) - NAMED_IDS
    return "=".join(ids[:NAMED_IDS]) + (f"=+{more}" if more > 0 else "")


# ---------------------------------------------------------------- what names say


def _choose_scheme(
    paths: list[str], pattern: str | None, before: Sequence[str]
) -> tuple[str, list[_Name]]:
    """Return the scheme's name and what the paths say by it.

    A few new pictures of other names must not make strangers of patients that a model knows.
    """
    if pattern is not None:
        names = _read_all(pattern, paths)
        if not any(name.fits for name in names):
            raise InputError(
                f"group_pattern must fit the paths, got {pattern!r}. It fits none of "
                f"{len(paths):,}, for example {paths[0]!r}. Correct it or leave it out."
            )
        return f"--group-pattern {pattern}", names
    for those in (paths, before):
        for scheme in SCHEMES:
            if _is_believed(_read_all(scheme.pattern, those)):
                return scheme.name, _read_all(scheme.pattern, paths)
    return "", [_Name(path, None, path, False) for path in paths]


def _read_all(pattern: str, paths: Sequence[str]) -> list[_Name]:
    compiled = re.compile(pattern)
    return [_read_name(compiled, path) for path in paths]


def _read_name(pattern: re.Pattern[str], path: str) -> _Name:
    """Read one path; its photograph is the path without ending and copy number."""
    match = pattern.search(path)
    if match is None or not match["group"]:
        return _Name(path, None, path, False)
    if "copy" not in pattern.groupindex:
        return _Name(match["group"], None, path, True)
    stem = path.removesuffix(Path(path).suffix)
    if not match["copy"]:
        return _Name(match["group"], 0, stem, True)
    before, after = stem[: match.start("copy")].rstrip("_-. ("), stem[match.end("copy") :]
    return _Name(match["group"], _copy_number(match["copy"], path), before + after, True)


def _copy_number(text: str, path: str) -> int:
    """Return a copy's number.

    Raises:
        InputError: the text is no whole number.
    """
    if not (text.isascii() and text.isdigit()):
        raise InputError(
            f"group_pattern must capture digits as 'copy', got {text!r}. Path {path!r}. "
            "Correct the pattern."
        )
    return int(text)


def _is_believed(names: list[_Name]) -> bool:
    """Tell whether a scheme fits enough names, and most photographs are not copies alone.

    The second half keeps dates such as a2024_05_17 from being taken for copies.
    """
    fitting = [name for name in names if name.fits]
    there = {name.photograph for name in fitting if not name.copy}
    known = {name.photograph for name in fitting}
    return len(fitting) >= max(FIT * len(names), 1) and len(there) >= PHOTOGRAPHS * len(known)
