"""Read the tables in which a user names groups, a split to use, or an earlier split to keep.

It finds the image of each row, counts what met, and keeps in words what a person must know. It
decides nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import read_manifest
from resnext.data.manifest.listing import SPLIT_FOLDER_NAMES
from resnext.data.split.keep_split import FLAG, NOTHING, ids_of, old_names_warning
from resnext.data.user_tables import (
    GROUP,
    IMAGE,
    SPLIT,
    UNKNOWN,
    WITHIN_PATIENTS,
    Column,
    Found,
    UserTable,
    bare,
    find_images,
    first_shown,
    normal,
    quoted,
    read_user_table,
    require_one_answer,
)

ONE_GROUP = "name one group for each path"
ONE_SPLIT = "name each image once"
GROUPS_REMEDY = "Write a line path,group at the top and one for each image."
SPLIT_REMEDY = "Give a CSV such as the split.csv of a run."


@dataclass(frozen=True)
class Sources:
    """Name the tables that a user may give: groups, a split to use, an earlier split to keep."""

    groups: Path | None = None
    given: Path | None = None
    earlier: Path | None = None
    earlier_manifest: Path | None = None
    earlier_joined: Path | None = None


NO_TABLES = Sources()


@dataclass(frozen=True, eq=False)
class Tables:
    """Hold what the tables say: group and split by image, and the rows of an earlier split.

    `given` is None where no table names a split. `found` holds the images of the rows, by flag.
    """

    groups: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] | None = None
    earlier: pd.DataFrame = field(default_factory=lambda: NOTHING)
    found: dict[str, Found] = field(default_factory=dict)
    has_manifest: bool = False

    def warnings(self, ids: Iterable[str]) -> Iterator[str]:
        """Say what a person must know of how the tables were read, and which images they lack.

        `ids` are those of the images that are here.
        """
        for found in self.found.values():
            yield from found.table.notes
        groups, earlier = self.found.get("--groups"), self.found.get(FLAG)
        if groups and groups.without:
            yield (
                f"{len(groups.without):,} of {len(groups.images):,} images have no row in "
                f"--groups, which says nothing of their groups: {first_shown(groups.without)}"
            )
        splits = set((self.given or {}).values())
        if "val" in splits and "test" not in splits:
            yield (
                "no image is in the test split of --use-split: its val split is the test split, "
                "and nothing is chosen by it"
            )
        if earlier and earlier.without and not self.has_manifest:
            yield (
                f"no manifest.csv lies beside the table of {FLAG}, so that images are known by "
                f"their paths alone: {len(earlier.without):,} of {len(earlier.images):,} are not "
                "known, and may have moved to another split if they were renamed: "
                f"{first_shown(earlier.without)}"
            )
        if old := old_names_warning(self.earlier, ids):
            yield old

    def require_known(self, ids: Iterable[str]) -> None:
        """Refuse an earlier split of other images, where no id is known either.

        Raises:
            InputError: nothing of it is here.
        """
        found = self.found.get(FLAG)
        if found is None or any(found.of_rows):
            return
        before = ids_of(self.earlier, ids).values()
        if not {name for group in before for name in group} & set(ids):
            raise InputError(
                "keep_split",
                "hold an image that is here",
                f"{quoted(found.names[0])}, where an image is {quoted(found.images[0])}",
                "Give the split.csv of these images, or leave it out.",
            )


def read_tables(sources: Sources, manifest: pd.DataFrame, root: Path) -> Tables:
    """Read the tables, and find the images of a manifest, below root, that they are about.

    Raises:
        InputError: one can't be read, is about no image, or says two things of one.
    """
    images = sorted(manifest["path"])
    found: dict[str, Found] = {}
    groups, given, earlier = {}, None, NOTHING
    if sources.groups:
        found["--groups"] = find_images(read_groups(sources.groups), images, root)
        groups = found["--groups"].answers("group", ONE_GROUP)
    if sources.given:
        found["--use-split"] = find_images(read_split(sources.given, "--use-split"), images, root)
        given = found["--use-split"].answers("split", ONE_SPLIT)
    if sources.earlier:
        table = read_earlier(sources.earlier, sources.earlier_manifest, sources.earlier_joined)
        by_path = find_images(table, images, root)
        earlier = table.rows.assign(path=pd.Series(by_path.names, dtype="str"))
        # a renamed image is found by its bytes
        now = dict(zip(manifest["sha256"], manifest["path"], strict=True))
        rows = zip(by_path.of_rows, table.rows["sha256"], strict=True)
        by_bytes = [image or now.get(digest, "") for image, digest in rows]
        found[FLAG] = replace(by_path, of_rows=by_bytes)
    return Tables(groups, given, earlier, found, sources.earlier_manifest is not None)


# ---------------------------------------------------------------- groups


def read_groups(path: Path) -> UserTable:
    """Read a table of `path,group`: the group of each image, without blanks around and in NFC.

    Rows in which a column of published metadata, such as `patient_id`, says nothing are left out.

    Raises:
        InputError: the file lacks a column, a group is empty, or a path has two groups.
    """
    table = read_user_table(path, "--groups", (IMAGE, GROUP), GROUPS_REMEDY)
    if table.rows.empty:
        raise table.wrong("name the group of an image", "none", GROUPS_REMEDY)
    written, heading = table.rows["group"], table.headings["group"]
    groups = written.map(_clean).astype("str")
    odd = table.rows.loc[~groups.map(str.isprintable), "path"]
    if len(odd):
        rule, got = "be printable text", f"a control character for {quoted(odd.iloc[0])}"
        raise table.wrong(rule, got, "Correct it.")
    notes = [*table.notes, *alike_notes(written)]
    if bare(heading) in map(bare, WITHIN_PATIENTS):
        notes.append(
            f"--groups names no patients: groups are those of its column {quoted(heading)}, and "
            "two of one patient may stand on both sides"
        )
    table = replace(table, rows=table.rows.assign(group=groups), notes=notes)
    table = _without_unknown(table)
    require_one_answer(table, "group", table.rows["path"], ONE_GROUP)
    return table


def _without_unknown(table: UserTable) -> UserTable:
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


def _clean(name: str) -> str:
    """Give an id as it counts."""
    return unicodedata.normalize("NFC", name.strip())


def _without_zeros(name: str) -> str:
    """Give letters and numbers as a spreadsheet may keep them: 007 and 7.0 are 7, P-01 is P1."""
    name = unicodedata.normalize("NFKC", name).casefold()
    parts = re.findall(r"\d+|[^\W\d_]+", re.sub(r"^(\d+)\.0+$", r"\1", name))
    return " ".join(part.lstrip("0") or "0" for part in parts) or name


ALIKE: dict[str, Callable[[str], str]] = {
    "blanks around or Unicode form alone count as one group": _clean,
    "case or blanks alone count as different groups": lambda name: "".join(name.casefold().split()),
    "leading zeros, marks or a .0 alone count as different groups": _without_zeros,
}
"""What ids can differ in, from the least on, with what is left without it."""


def alike_notes(written: Iterable[str], whose: str = "of --groups") -> list[str]:
    """Say which ids look alike: those that count as one group, and those that do not."""
    left, notes = sorted(set(written)), []
    for what, form in ALIKE.items():
        found: dict[str, list[str]] = {}
        for name in left:
            found.setdefault(form(name), []).append(name)
        pairs = [" and ".join(map(quoted, names)) for names in found.values() if len(names) > 1]
        if pairs:
            notes.append(f"ids {whose} that differ in {what}: {first_few(sorted(pairs), '; ')}")
        left = [min(names) for names in found.values()]
    return notes


# ---------------------------------------------------------------- splits


def read_split(path: Path, argument: str, columns: Sequence[Column] = (IMAGE, SPLIT)) -> UserTable:
    """Read a table of `path,split`: the split of each image, empty where it takes part in none.

    `argument` is what an error calls the table.

    Raises:
        InputError: the file lacks a column, names an unknown split, or two for one image.
    """
    table = read_user_table(path, argument, columns, SPLIT_REMEDY)
    if table.rows.empty:
        raise table.wrong("name the split of an image", "none", SPLIT_REMEDY)
    names = table.rows["split"].str.strip().str.lower()
    known = {**SPLIT_FOLDER_NAMES, "unused": "", "": ""}
    if strange := sorted(set(names) - set(known)):
        rule = "name the splits train, val, test or unused"
        raise table.wrong(rule, quoted(strange[0]), "Correct it.")
    table = replace(table, rows=table.rows.assign(split=names.map(known).astype("str")))
    require_one_answer(table, "split", table.rows["path"], ONE_SPLIT)
    return table


def read_earlier(
    split: Path, manifest: Path | None = None, joined: Path | None = None
) -> UserTable:
    """Read an earlier split, as `keep` takes it, with its manifest and its file of joined groups.

    Raises:
        InputError: the split lacks a column, names an unknown split, or two for one image, or the
            manifest or the file of joined groups is none.
    """
    table = read_split(split, FLAG, (IMAGE, GROUP, SPLIT))
    rows = table.rows.assign(group=table.rows["group"].str.strip(), sha256="", ids=None)
    if manifest is not None:
        known = read_manifest(manifest)
        digests = dict(zip(map(normal, known["path"]), known["sha256"], strict=True))
        rows["sha256"] = [digests.get(normal(path), "") for path in rows["path"]]
    if joined is not None:
        ids = _read_joined(joined)
        rows["ids"] = [ids.get(group, (group,)) for group in rows["group"]]
    return replace(table, rows=rows)


def _read_joined(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the ids of each joined group, as they were written beside a split.

    Raises:
        InputError: the file holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(name, str) for ids in found.values() for name in ids):
            raise ValueError("it lists no ids")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            FLAG,
            f"stand beside {path.name} as it was written",
            f"{str(path)!r}, which can't be read ({error})",
            "Put it back, or remove it.",
        ) from error
    return {group: tuple(ids) for group, ids in found.items()}
