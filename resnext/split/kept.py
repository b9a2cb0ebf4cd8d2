"""Keep an earlier split while pictures come, go and are renamed: what stood in a part stays there.

So scores stay comparable, and no model that learnt on a picture is ever tested on it. A picture is
known again by its bytes wherever it lies and whatever it is called now; by its path where its bytes
are new and the old ones are gone (it was edited in place, or no manifest tells); else by its
patient's name. It draws nothing.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from resnext.split.given import read_part_table
from resnext.split.settings import OFFENDERS, PARTS
from resnext.tables import read_manifest

_COLUMNS = ("path", "group", "split", "sha256")
FLAG = "--keep-split"
NOTHING = pd.DataFrame({name: pd.Series(dtype="str") for name in _COLUMNS})
"""An earlier split of no pictures."""


def read_earlier(split: Path, manifest: Path | None = None) -> pd.DataFrame:
    """Read an earlier split: path, group, split (empty for what was not used) and sha256.

    The sha256 is that of the split's manifest, and empty for what it does not hold.

    Raises:
        InputError: the split lacks a column, names an unknown part, or names a picture twice, or
            the manifest is none.
    """
    table = read_part_table(split, FLAG, ["path", "group", "split"])
    if manifest is None:
        return table.assign(sha256="")
    digests = read_manifest(manifest)[["path", "sha256"]].drop_duplicates("path")
    return table.merge(digests, on="path", how="left").fillna({"sha256": ""})


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
    by_id = _parts_by_id(earlier)
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
    named = zip(moved["path"], known["part"].loc[moved.index], moved["split"], strict=True)
    words = [f"{path} ({before} to {now})" for path, before, now in named]
    if not words:
        return []
    more = f"; {len(words):,} in total" if len(words) > OFFENDERS else ""
    return [
        f"pictures left the part that {FLAG} has them in, since they belong to a group that stood "
        f"in several: {'; '.join(words[:OFFENDERS])}{more}"
    ]


def _said_of(rows: pd.DataFrame, column: str) -> dict[str, tuple[str, str]]:
    """Give group and part by a column; the first row counts."""
    rows = rows.drop_duplicates(column)
    said = zip(rows["group"], rows["part"], strict=True)
    return dict(zip(rows[column], said, strict=True))


def _by_rank(earlier: pd.DataFrame) -> pd.DataFrame:
    """Give each row its part, that of its group where it was unused; the ones that win first."""
    by_id = _parts_by_id(earlier)
    parts = [
        part or _first(by_id.get(group, set()))
        for part, group in zip(earlier["split"], earlier["group"], strict=True)
    ]
    order = {part: rank for rank, part in enumerate((*PARTS, ""))}
    rows = earlier.assign(part=pd.Series(parts, index=earlier.index, dtype="str"))
    return rows.sort_values("part", key=lambda column: column.map(order), kind="stable")


def _parts_by_id(earlier: pd.DataFrame) -> dict[str, set[str]]:
    """Give the parts in which each group stood, by its name and the names joined in it."""
    used = earlier[earlier["split"].isin(PARTS)]
    parts: dict[str, set[str]] = {}
    pairs = used[["group", "split"]].drop_duplicates()
    for group, part in zip(pairs["group"], pairs["split"], strict=True):
        for name in {group, *group.split("=")} - {""}:
            parts.setdefault(name, set()).add(part)
    return parts


def _first(parts: set[str]) -> str:
    """Give the part that wins; empty without any."""
    return next((part for part in PARTS if part in parts), "")
