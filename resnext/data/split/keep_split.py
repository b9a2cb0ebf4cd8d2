"""Keep an earlier split while images come, go and are renamed: what was trained on stays there.

So scores stay comparable, and no model that learnt on an image is ever tested on it. An image is
known again by its bytes wherever it lies and whatever it is called now; by its path where its bytes
are new and the old ones are gone (it was edited in place, or no manifest tells); else by its
patient's name. It draws nothing.

An earlier split is a table: path, group, split (train, val, test, or empty for what was not used),
sha256 (empty where no manifest tells it) and ids (those that were joined to the group; None where
nothing lists them).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd

from resnext.contracts.formatting import first_few
from resnext.data.split.groups import NAMED_IDS
from resnext.data.split.settings import JOINED_FILE, SPLITS
from resnext.data.user_tables import first_shown, shown

FLAG = "--keep-split"
NOTHING = pd.DataFrame(
    {n: pd.Series(dtype="str") for n in ("path", "group", "split", "sha256", "ids")}
)
"""An earlier split of no images."""
_RANKS = {split: rank for rank, split in enumerate(SPLITS)}
"""Of several splits the first counts: what was trained on can't be tested on."""


def recognise(images: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Give the group and split that an earlier split says of the images (path, sha256).

    Both are empty for what it does not know; the index is that of the images. What was unused, as
    the copies of a held-out original, has the split of its group.
    """
    rank = earlier["split"].map(_RANKS).astype("float")
    rank = rank.fillna(earlier["group"].map(_rank_of_groups(earlier)).astype("float"))
    split = rank.map(dict(enumerate(SPLITS))).astype("str").fillna("")
    rows = earlier.assign(split=split, rank=rank).sort_values("rank", kind="stable")
    gone = ~rows["sha256"].isin(images["sha256"])
    ways = {"sha256": rows[rows["sha256"] != ""], "path": rows[gone]}
    by_bytes, by_path = (said.drop_duplicates(way).set_index(way) for way, said in ways.items())

    def known(column: str) -> pd.Series[str]:
        found = images["sha256"].map(by_bytes[column]).astype("str")
        return found.fillna(images["path"].map(by_path[column]).astype("str")).fillna("")

    return pd.DataFrame({"group": known("group"), "split": known("split")})


def kept_splits(
    units: pd.Series[str], images: pd.DataFrame, earlier: pd.DataFrame
) -> dict[str, str]:
    """Give the split of each unit that stood in an earlier one.

    `units` names the unit of each of the `images` (path, sha256, id), of which a unit may hold
    several. An image that is not recognised is known by its id, which may be one of several in a
    group; an empty id is unknown. Where units that stood apart are one now, train wins over val and
    val over test.
    """
    ids = ids_of(earlier, images["id"])
    ranks = _rank_of_groups(earlier).items()
    pairs = [(name, rank) for group, rank in ranks for name in ids[str(group)]]
    by_id = pd.DataFrame(pairs, columns=["id", "rank"]).groupby("id")["rank"].min()
    own = recognise(images, earlier)["split"].map(_RANKS).astype("float")
    rank = own.fillna(images["id"].map(by_id).astype("float")).groupby(units).min().dropna()
    return {str(unit): SPLITS[int(place)] for unit, place in rank.items()}


def kept_warnings(drawn: pd.DataFrame, images: pd.DataFrame, earlier: pd.DataFrame) -> list[str]:
    """Warn of images that an earlier split held in another one than they are in now.

    `drawn` is the split of the `images` (path, sha256), in the same order.
    """
    before = recognise(images, earlier)["split"]
    moved = before.isin(SPLITS) & drawn["split"].isin(SPLITS) & (before != drawn["split"])
    rows = zip(drawn.loc[moved, "path"], before[moved], drawn.loc[moved, "split"], strict=True)
    named = [f"{shown(path)} ({then} to {now})" for path, then, now in rows]
    return [
        f"images left the split that {FLAG} has them in, since they belong to a group that stood "
        f"in several: {first_few(named, '; ')}"
    ] if named else []  # fmt: skip


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
    pieces = {} if any("=" in name for name in ids_now) else {name: _pieces(name) for name in ids}
    times = Counter(piece for found in pieces.values() for piece in set(found))
    parted = {
        group: tuple(found)
        for group, found in pieces.items()
        if all(piece and times[piece] == 1 for piece in found)
    }
    return {group: those or parted.get(group, (group,)) for group, those in ids.items()}


def _pieces(group: str) -> list[str]:
    """Cut a name at each `=`, and leave out the number of ids that it does not name."""
    pieces = group.split("=")
    counts_more = len(pieces) == NAMED_IDS + 1 and re.fullmatch(r"\+\d+", pieces[-1])
    return pieces[:-1] if counts_more else pieces


def _rank_of_groups(earlier: pd.DataFrame) -> pd.Series[int]:
    """Give the first of the splits in which each group stood, by its place in `SPLITS`."""
    used = earlier[earlier["split"].isin(SPLITS) & (earlier["group"] != "")]
    return used["split"].map(_RANKS).groupby(used["group"]).min()
