"""Read from the names of pictures which show one patient and which are copies of one photograph.

A patient is a group; augmented copies go with their photograph. A table or a pattern of the
caller's decides. Else names and folders only seem to say it, and evidence decides which part of it
is believed: a copy's number where copies look like their originals, a group where none holds nearly
a whole class. Without hashes nothing speaks against the copies, so that they are taken. What
is taken so is a guess, but for a built-in scheme with mirrored or turned copies in it. It opens no
picture.

Source: the naming schemes are those of the Monkeypox Skin Lesion Dataset v1 (Ali et al. 2022,
arXiv:2207.03342) and v2 (Ali et al. 2023, arXiv:2306.14169), with any letters in front.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.data.manifest.hashing import Words
from resnext.data.split.likeness import Likeness, compare_copies
from resnext.data.split.structure import Guess, counts_anew, doubt_of_groups, find_structure
from resnext.data.user_tables import (
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
ONE_GROUP = "name one group for each path"
NAMED_IDS = 12  # of a joined group that are in its name
AGAIN = "="  # after the name of a joined group that another group has already
PHOTOGRAPHS = 0.1  # share of photographs that must be there themselves, not as copies alone
WHOLE = 0.8  # share of a class in one group that shows a guess to be wrong
JUDGED = 4  # pictures of a class from which that is looked at
NOT_BELIEVED = "its numbers of copies are not believed"
ALONE = "(?P<group>.+)"
EACH_ALONE = f"--group-pattern '{ALONE}'"
"""What to give where every picture is a group of its own."""


class Scheme(NamedTuple):
    """Name a way of naming pictures, by a pattern of what stands for the group."""

    name: str
    group: str

    @property
    def pattern(self) -> str:
        """Give what `group_pattern` would say for group, photograph and copy."""
        return rf"(?:^|/)(?P<group>{self.group})_\d{{1,3}}{_COPY}"

    @property
    def without_copies(self) -> str:
        """Give a pattern of the group alone."""
        return rf"(?:^|/)(?P<group>{self.group})_"

    @property
    def of_photographs(self) -> str:
        """Give a pattern by which each photograph is a group, with its copies."""
        return rf"^(?P<group>(?:.*/)?{self.group}_\d{{1,3}}){_COPY}"


_COPY = r"(?:_(?P<copy>\d{1,3}))?(?:\.[^./]*)?$"
SCHEMES = (
    Scheme("patient_photograph_copy (MSLD v1)", r"[A-Za-z]+\d{1,4}"),
    Scheme("class_patient_photograph (MSLD v2)", r"[A-Za-z]+_\d{1,4}"),
)


class _Name(NamedTuple):
    """Hold what a path says; a path that no pattern fits is a group of its own."""

    group: str
    copy: int | None
    photograph: str
    fits: bool


@dataclass(frozen=True)
class Reading:
    """Say by what pattern names are read, and how far that can be believed.

    `pattern` is what `group_pattern` would say for the same; it is empty where nothing was taken.
    `but` says what was not believed of the names, and why. `proposal` may tell groups, but a person
    must say so.
    """

    scheme: str = ""
    pattern: str = ""
    guessed: bool = False
    but: str = ""
    proposal: str = ""


@dataclass(frozen=True, eq=False)
class Naming:
    """Hold how names were read, the evidence, and the pictures with what their names say.

    `pictures` is sorted by path: path, label, sha256, group, copy, photograph; its groups are not
    joined yet. `listed` counts the pictures whose group stands in the caller's table, `unknown`
    those that are a group of their own since nothing tells theirs.
    """

    reading: Reading
    fits: int
    listed: int
    unknown: int
    pictures: pd.DataFrame

    @property
    def scheme(self) -> str:
        """Name the scheme that was taken; empty where none fits."""
        return self.reading.scheme

    @property
    def guessed(self) -> bool:
        """Tell whether the group of a picture stands on a guess."""
        return self.reading.guessed and self.listed < len(self.pictures)

    @property
    def ids(self) -> int:
        """Count the groups before any are joined."""
        return int(self.pictures["group"].nunique())


def read_names(
    manifest: pd.DataFrame,
    group_pattern: str | None = None,
    groups: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    words: Words | None = None,
) -> Naming:
    """Read groups and copies from the paths.

    The pattern decides, else the first built-in scheme that fits, else the first that fits the
    paths of an earlier split, else what is plain in folders and names, else every picture is a
    group. `groups`, by path, wins over all of them where it names a picture. `words` are the hashes
    (N, 8) of the manifest's rows.

    Raises:
        InputError: the pattern fits no path, or its `copy` is no number.
    """
    order = np.argsort(manifest["path"].to_numpy(), kind="stable")
    pictures = manifest[["path", "label", "sha256"]].iloc[order].reset_index(drop=True)
    paths = pictures["path"].tolist()
    if group_pattern is None:
        sorted_words = None if words is None else words[order]
        reading = _choose_reading(pictures[["path", "label"]], sorted_words, before)
    else:
        reading = Reading(f"--group-pattern {group_pattern}", group_pattern)
    names = _read_all(reading.pattern, paths) if reading.pattern else list(map(_alone, paths))
    if group_pattern is not None:
        _require_fit(group_pattern, names, paths)
    told = pd.Series([(groups or {}).get(path) for path in paths], dtype="str")
    pictures = _as_table(pictures, names)
    fits = pd.Series([name.fits for name in names], dtype="bool")
    return Naming(
        reading,
        int(fits.sum()),
        int(told.notna().sum()),
        int((~fits & told.isna()).sum()),
        pictures.assign(group=told.fillna(pictures["group"])),
    )


def read_groups(path: Path) -> UserTable:
    """Read a table of `path,group`: the group of each picture, without blanks around and in NFC.

    Rows in which a column of published metadata, such as `patient_id`, says nothing are left out.

    Raises:
        InputError: the file lacks a column, a group is empty, or a path has two groups.
    """
    remedy = "Write a line path,group at the top and one for each picture."
    table = read_user_table(path, "--groups", (IMAGE, GROUP), remedy)
    if table.rows.empty:
        raise table.wrong("name the group of a picture", "none", remedy)
    written = table.rows["group"].tolist()
    ids = list(map(_clean, written))
    notes = [*alike_notes(written), *_meaning_notes(table)]
    table = replace(
        table,
        rows=table.rows.assign(group=pd.Series(ids, dtype="str")),
        notes=[*table.notes, *notes],
    )
    odd = table.rows.loc[[not name.isprintable() for name in ids], "path"]
    if len(odd):
        raise table.wrong(
            "be printable text", f"a control character for {quoted(odd.iloc[0])}", "Correct it."
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
    unknown = groups.str.casefold().isin(list(UNKNOWN))
    empty = groups == "" if ours else unknown
    if (ours and empty.any()) or empty.all():
        first = quoted(table.rows.loc[empty, "path"].iloc[0])
        raise table.wrong(
            "name a group for each path", f"none for {first}", "Fill it in or remove the row."
        )
    if not unknown.any():
        return table
    note = f"{unknown.sum():,} of {len(groups):,} rows of --groups "
    if ours:
        names = " and ".join(map(quoted, sorted(set(groups[unknown]))))
        note += f"are of a group called {names}: if it is not known which one, remove these rows"
    else:
        note += f"name no {quoted(heading)}"
    rows = table.rows[~empty].reset_index(drop=True)
    return replace(table, rows=rows, notes=[*table.notes, note])


def alike_notes(written: Iterable[str], whose: str = "of --groups") -> list[str]:
    """Say which ids look alike: those that count as one group, and those that do not."""
    left, notes = sorted(set(written)), []
    for what, form in ALIKE.items():
        found: dict[str, list[str]] = {}
        for name in left:
            found.setdefault(form(name), []).append(name)
        if len(found) < len(left):
            notes.append(f"ids {whose} that differ in {what}: {_pairs(found.values())}")
        left = [min(names) for names in found.values()]
    return notes


def _without_zeros(name: str) -> str:
    """Give letters and numbers as a spreadsheet may keep them: 007 and 7.0 are 7, P-01 is P1."""
    name = unicodedata.normalize("NFKC", name).casefold()
    parts = re.findall(r"\d+|[^\W\d_]+", re.sub(r"^(\d+)\.0+$", r"\1", name))
    return " ".join(part.lstrip("0") or "0" for part in parts) or name


def _clean(name: str) -> str:
    """Give an id as it counts."""
    return unicodedata.normalize("NFC", name.strip())


ALIKE: dict[str, Callable[[str], str]] = {
    "blanks around or Unicode form alone count as one group": _clean,
    "case or blanks alone count as different groups": lambda name: "".join(name.casefold().split()),
    "leading zeros, marks or a .0 alone count as different groups": _without_zeros,
}
"""What ids can differ in, from the least on, with what is left without it."""


def _pairs(found: Iterable[Sequence[str]]) -> str:
    """Name the first sets of several names."""
    pairs = (" and ".join(map(quoted, names)) for names in found if len(names) > 1)
    return first_few(sorted(pairs), "; ")


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


def _choose_reading(pictures: pd.DataFrame, words: Words | None, before: Sequence[str]) -> Reading:
    """Choose how the pictures (path, label) are read, by names and evidence.

    A few new pictures of other names must not make strangers of patients that a model knows.
    """
    paths, but = pictures["path"].tolist(), ""
    for those in (paths, before):
        for scheme in SCHEMES:
            if _fits_enough(scheme.pattern, those):
                reading = _judge(scheme, pictures, words)
                if reading.pattern:
                    return reading
                but = but or reading.but
    guess = find_structure(paths, pictures["label"].tolist())
    if before and not (guess and guess.plain):
        earlier = find_structure(before, [path.split("/")[0] for path in before])
        guess = earlier if earlier and earlier.plain else guess
    return _guessed(guess, pictures, but) if guess else Reading(but=but)


def _guessed(guess: Guess, pictures: pd.DataFrame, but: str) -> Reading:
    """Take a guess where it is plain, propose it where it can serve, else say why it is neither."""
    if not guess.enough:
        return Reading(but=but or f"values repeat in {guess.where}, but a class has too few")
    if not guess.plain:
        return Reading(but=but, proposal=guess.pattern)
    read = _as_table(pictures, _read_all(guess.pattern, pictures["path"].tolist()))
    if giant := _giant_group(read):
        return Reading(but=f"{guess.where} would tell groups, but {giant}")
    return Reading(f"{guess.where} (a guess)", guess.pattern, guessed=True, but=but)


def _judge(scheme: Scheme, pictures: pd.DataFrame, words: Words | None) -> Reading:
    """Say what of a built-in scheme that fits the names is believed; no pattern if nothing is."""
    names = _read_all(scheme.pattern, pictures["path"].tolist())
    fits = [name.fits for name in names]
    if not any(fits):  # the scheme is that of an earlier split
        return Reading()
    read = _as_table(pictures, names)
    copies, doubt, certain = _judge_copies(read, names, words)
    speak = copies and bool((read["copy"] > 0).any())
    rows = read.loc[fits].reset_index(drop=True)
    wrong = _giant_group(read) or counts_anew(rows["group"], rows["label"], rows["path"].tolist())
    if not wrong and not speak:
        wrong = doubt_of_groups(rows["group"], rows["label"])
    if not wrong:
        pattern = scheme.pattern if copies else scheme.without_copies
        return Reading(scheme.name, pattern, guessed=not certain, but=doubt)
    if speak:
        name = f"{scheme.name}, photographs as groups"
        return Reading(name, scheme.of_photographs, guessed=True, but=wrong)
    return Reading(but=f"{scheme.name} fits the names, but {wrong}")


def _judge_copies(
    read: pd.DataFrame, names: Sequence[_Name], words: Words | None
) -> tuple[bool, str, bool]:
    """Tell whether a scheme's copies are believed, why not, and whether they leave no doubt.

    Most photographs must not be there as copies alone, which keeps dates from being taken for
    copies; and with hashes, copies must look like their originals.
    """
    there = {name.photograph for name in names if name.fits and not name.copy}
    known = {name.photograph for name in names if name.fits}
    if len(there) < PHOTOGRAPHS * len(known):
        return False, f"{NOT_BELIEVED}: most photographs would be there as copies alone", False
    likeness = None if words is None else compare_copies(read, words)
    if likeness is None or likeness.believed:
        return True, "", likeness is not None and likeness.certain
    return False, _unlike(likeness), False


def _unlike(likeness: Likeness) -> str:
    """Say that what would be copies does not look so."""
    return (
        f"{NOT_BELIEVED}: {likeness.alike:,} of {likeness.compared:,} that were compared look like "
        f"the original, and {likeness.control_alike:,} of {likeness.control:,} pairs of other "
        "photographs look alike"
    )


def _giant_group(read: pd.DataFrame) -> str:
    """Name a group that holds nearly a whole class, which no patient does; empty without one."""
    sizes = read.groupby(["label", "group"]).size()
    totals = sizes.groupby(level="label").sum()
    largest = sizes.groupby(level="label").max()
    found = totals.index[(totals >= JUDGED) & (largest >= WHOLE * totals)]
    if found.empty:
        return ""
    label = found[0]
    group = sizes[label].idxmax()
    return (
        f"group {group!r} would hold {largest[label]:,} of {totals[label]:,} images of class "
        f"{label!r}"
    )


def _as_table(pictures: pd.DataFrame, names: Sequence[_Name]) -> pd.DataFrame:
    """Put beside the pictures what their names say."""
    return pictures.assign(
        group=pd.Series([name.group for name in names], dtype="str"),
        copy=pd.array([name.copy for name in names], dtype="Int64"),
        photograph=pd.Series([name.photograph for name in names], dtype="str"),
    )


def _require_fit(pattern: str, names: Sequence[_Name], paths: Sequence[str]) -> None:
    """Raise an InputError where a pattern of the caller's fits no path."""
    if not any(name.fits for name in names):
        raise InputError(
            "group_pattern",
            "fit the paths",
            f"{pattern!r}",
            f"It fits none of {len(paths):,}, for example {paths[0]!r}. Correct it "
            "or leave it out.",
        )


def _fits_enough(pattern: str, paths: Sequence[str]) -> bool:
    """Tell whether a pattern fits nearly all paths."""
    search = re.compile(pattern).search
    return bool(paths) and sum(search(path) is not None for path in paths) >= FIT * len(paths)


def _alone(path: str) -> _Name:
    return _Name(path, None, path, False)


def _read_all(pattern: str, paths: Sequence[str]) -> list[_Name]:
    compiled = re.compile(pattern)
    return [_read_name(compiled, path) for path in paths]


def _read_name(pattern: re.Pattern[str], path: str) -> _Name:
    """Read one path; its photograph is the path without ending and copy number."""
    match = pattern.search(path)
    if match is None or not match["group"]:
        return _alone(path)
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
            "group_pattern",
            "capture digits as 'copy'",
            f"{text!r}",
            f"Path {path!r}. Correct the pattern.",
        )
    return int(text)
