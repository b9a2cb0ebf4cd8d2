"""Keep an earlier split while pictures come, go and are renamed: what stood in a part stays there.

So scores stay comparable, and no model that learnt on a picture is ever tested on it. A picture is
known again by its bytes wherever it lies and whatever it is called now; by its path where its bytes
are new and the old ones are gone (it was edited in place, or no manifest tells); else by its
patient's name. It draws nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import read_manifest
from resnext.data.split.given import read_parts
from resnext.data.split.groups import NAMED_IDS
from resnext.data.split.settings import JOINED_FILE, PARTS
from resnext.data.user_tables import GROUP, IMAGE, SPLIT, UserTable, first_shown, normal, shown

_COLUMNS = ("path", "group", "split", "sha256", "ids")
FLAG = "--keep-split"
NOTHING = pd.DataFrame({name: pd.Series(dtype="str") for name in _COLUMNS})
"""An earlier split of no pictures."""


def read_earlier(
    split: Path, manifest: Path | None = None, joined: Path | None = None
) -> UserTable:
    """Read an earlier split: path, group, split (empty for what was not used), sha256 and ids.

    The sha256 is that of the split's manifest, and empty for what it does not hold. The ids are
    those that were joined to the group, from the file of joined groups; None without such a file.

    Raises:
        InputError: the split lacks a column, names an unknown part, or two for one picture, or the
            manifest or the file of joined groups is none.
    """
    table = read_parts(split, FLAG, (IMAGE, GROUP, SPLIT))
    rows = table.rows.assign(group=table.rows["group"].str.strip(), sha256="", ids=None)
    if manifest is not None:
        known = read_manifest(manifest)
        digests = dict(zip(map(normal, known["path"]), known["sha256"], strict=True))
        rows["sha256"] = [digests.get(normal(path), "") for path in rows["path"]]
    if joined is not None:
        ids = read_joined(joined)
        rows["ids"] = [ids.get(group, (group,)) for group in rows["group"]]
    return replace(table, rows=rows)


def read_joined(path: Path) -> dict[str, tuple[str, ...]]:
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


def recognise(pictures: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Tell what an earlier split (path, group, split, sha256) says of the pictures (path, sha256).

    Gives group and part, in the order and with the index of the pictures; both are empty for what
    it does not know. What was unused, as the copies of a held-out photograph, has the part of its
    group. Of several parts the first of `PARTS` counts: what was trained on can't be tested on.
    """
    rows = _by_rank(earlier)
    gone = ~rows["sha256"].isin(pictures["sha256"])
    by_content = _said_of(rows[rows["sha256"] != ""], "sha256")
    by_path = _said_of(rows[gone], "path")
    found = [
        by_content.get(digest) or by_path.get(path) or ("", "")
        for path, digest in zip(pictures["path"], pictures["sha256"], strict=True)
    ]
    columns = ["group", "part"]
    return pd.DataFrame(found, columns=columns, index=pictures.index, dtype="str")


def kept_parts(
    units: pd.Series[str], pictures: pd.DataFrame, earlier: pd.DataFrame
) -> dict[str, str]:
    """Give the part of each unit that stood in an earlier split (path, group, split, sha256).

    `units` names the unit of each of the `pictures` (path, sha256, id), of which a unit may hold
    several. A picture that is not recognised is known by its id; an empty id is unknown. Where
    units that stood apart are one now, train wins over val and val over test.
    """
    by_id = _parts_by_id(earlier, pictures["id"])
    found: dict[str, set[str]] = {}
    parts = recognise(pictures, earlier)["part"]
    for unit, part, name in zip(units, parts, pictures["id"], strict=True):
        found.setdefault(unit, set()).update({part} if part else by_id.get(name, set()))
    return {unit: _first(parts) for unit, parts in found.items() if parts}


def kept_warnings(drawn: pd.DataFrame, pictures: pd.DataFrame, earlier: pd.DataFrame) -> list[str]:
    """Warn of pictures that an earlier split held in another part than they are in now.

    `drawn` is the split of the `pictures` (path, sha256), in the same order.
    """
    known = recognise(pictures, earlier)
    used = known["part"].isin(PARTS) & drawn["split"].isin(PARTS)
    moved = drawn[used & (known["part"] != drawn["split"])]
    named = zip(
        map(shown, moved["path"]), known["part"].loc[moved.index], moved["split"], strict=True
    )
    words = [f"{path} ({before} to {now})" for path, before, now in named]
    return [] if not words else [
        f"pictures left the part that {FLAG} has them in, since they belong to a group that stood "
        f"in several: {first_few(words, '; ')}"
    ]  # fmt: skip


def old_names_warning(earlier: pd.DataFrame, ids_now: Iterable[str]) -> str:
    """Say which groups of a split of an older version may have been joined, and can't be parted."""
    ids = ids_of(earlier, ids_now) if earlier["ids"].isna().any() else {}
    whole = sorted(group for group, those in ids.items() if "=" in group and those == (group,))
    if not whole:
        return ""
    return (
        f"{FLAG} was written without the file of joined groups ({JOINED_FILE}): groups whose names "
        f"hold a '=' count as one id each: {first_shown(whole)}"
    )


def _said_of(rows: pd.DataFrame, column: str) -> dict[str, tuple[str, str]]:
    """Give group and part by a column; the first row counts."""
    rows = rows.drop_duplicates(column)
    said = zip(rows["group"], rows["part"], strict=True)
    return dict(zip(rows[column], said, strict=True))


def _by_rank(earlier: pd.DataFrame) -> pd.DataFrame:
    """Give each row its part, that of its group where it was unused; the ones that win first."""
    by_group = _parts_by_group(earlier)
    parts = [
        part or _first(by_group.get(group, set()))
        for part, group in zip(earlier["split"], earlier["group"], strict=True)
    ]
    order = {part: rank for rank, part in enumerate((*PARTS, ""))}
    rows = earlier.assign(part=pd.Series(parts, index=earlier.index, dtype="str"))
    return rows.sort_values("part", key=lambda column: column.map(order), kind="stable")


def _parts_by_group(earlier: pd.DataFrame) -> dict[str, set[str]]:
    """Give the parts in which each group stood."""
    used = earlier[earlier["split"].isin(PARTS) & (earlier["group"] != "")]
    parts: dict[str, set[str]] = {}
    pairs = used[["group", "split"]].drop_duplicates()
    for group, part in zip(pairs["group"], pairs["split"], strict=True):
        parts.setdefault(group, set()).add(part)
    return parts


def _parts_by_id(earlier: pd.DataFrame, ids_now: Iterable[str]) -> dict[str, set[str]]:
    """Give the parts in which each id stood, which may be one of several in a group."""
    ids = ids_of(earlier, ids_now)
    found: dict[str, set[str]] = {}
    for group, parts in _parts_by_group(earlier).items():
        for name in ids[group]:
            found.setdefault(name, set()).update(parts)
    return found


def ids_of(earlier: pd.DataFrame, ids_now: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Give the ids of each group of an earlier split, by the group's name.

    A split of an older version does not list them. There a name such as `A=B` is read as A and B
    where no id of today holds a `=`, and where neither is in another group as well, since joined
    groups share no id. Else, as with `site=7` beside `7`, it is read as one id. Of ids that the
    name only counts (`=+3`) nothing is known.
    """
    known = earlier.drop_duplicates("group")
    listed = known["ids"] if "ids" in known else [None] * len(known)
    ids = dict(zip(known["group"], listed, strict=True))
    parted = {} if any("=" in name for name in ids_now) else _parted(ids)
    return {group: those or parted.get(group, (group,)) for group, those in ids.items()}


def _parted(groups: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Part the names of joined groups at each `=`, where that can be meant."""
    pieces = {group: _pieces(group) for group in groups}
    times = Counter(piece for found in pieces.values() for piece in set(found))
    return {
        group: tuple(found)
        for group, found in pieces.items()
        if all(piece and times[piece] == 1 for piece in found)
    }


def _pieces(group: str) -> list[str]:
    """Cut a name at each `=`, and leave out the number of ids that it does not name."""
    pieces = group.split("=")
    counts_more = len(pieces) == NAMED_IDS + 1 and re.fullmatch(r"\+\d+", pieces[-1])
    return pieces[:-1] if counts_more else pieces


def _first(parts: set[str]) -> str:
    """Give the part that wins; empty without any."""
    return next((part for part in PARTS if part in parts), "")
