"""Divide a scanned folder: find who is who, join what belongs together, draw, and count leaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from resnext.levels import Levels
from resnext.manifest.hashing import Words
from resnext.split.conflicts import label_conflicts
from resnext.split.contact import Cards, pairs_to_look_at
from resnext.split.describe import evidence_of, pair_warnings, warnings_of
from resnext.split.draw import draw
from resnext.split.duplicates import (
    JOINED,
    TO_JUDGE,
    NearDuplicates,
    find_near_duplicates,
    grey_reader,
)
from resnext.split.given import read_parts
from resnext.split.groups import Naming, join_groups, read_groups, read_names
from resnext.split.kept import FLAG, NOTHING, kept_warnings, read_earlier, recognise
from resnext.split.leakage import count_leaks, script_split
from resnext.split.settings import SplitSettings


@dataclass(frozen=True)
class Sources:
    """Name the tables that a user may give: groups, a split to use, an earlier split to keep."""

    groups: Path | None = None
    given: Path | None = None
    earlier: Path | None = None
    earlier_manifest: Path | None = None


@dataclass(frozen=True, eq=False)
class Division:
    """Hold a split with what it was drawn by and what leaks.

    `pairs` are all near-duplicates found, `cards` the pairs of pictures that a person should see.
    """

    split: pd.DataFrame
    leakage: dict[str, Any]
    pairs: pd.DataFrame
    cards: Cards


def divide(
    root: Path,
    manifest: pd.DataFrame,
    words: Words,
    settings: SplitSettings,
    sources: Sources = Sources(),
    *,
    levels: Levels = Levels(),
    workers: int = 1,
) -> Division:
    """Divide the pictures of a manifest, below root, with hashes (N, 8) in the manifest's order.

    Raises:
        InputError: a class is too small, the pattern or a table fits nothing, or a picture changed
            since the scan.
    """
    groups = read_groups(sources.groups) if sources.groups else {}
    given = read_parts(sources.given, "--use-split") if sources.given else None
    earlier = (
        read_earlier(sources.earlier, sources.earlier_manifest) if sources.earlier else NOTHING
    )
    naming = read_names(manifest, settings.group_pattern, groups, earlier["path"].tolist())
    order = np.argsort(manifest["path"].to_numpy())
    near = _find_near(root, naming, words[order], workers, levels)
    pictures = join(naming, near, _groups_before(naming, settings, groups, earlier))
    drawn = draw(pictures, settings, given=given, earlier=earlier if sources.earlier else None)
    random = script_split(pictures, settings)
    report = _report(pictures, naming, near, settings, drawn, random)
    tables = {
        "--groups": list(groups),
        "--use-split": list(given or {}),
        FLAG: _paths_now(pictures, earlier),
    }
    report["warnings"] = [
        *warnings_of(pictures, drawn, report, tables),
        *pair_warnings(drawn, near.pairs),
        *kept_warnings(drawn, pictures, earlier),
    ]
    cards = pairs_to_look_at(root, pictures, near.pairs, drawn, random, levels)
    return Division(drawn, report, near.pairs, cards)


def join(
    naming: Naming, near: NearDuplicates, before: pd.Series[str] | None = None
) -> pd.DataFrame:
    """Join the groups that share a file, a photograph or a near-duplicate, and find conflicts.

    `before` names the group that each picture was in, empty where it was in none: one group then
    is one now. Returns what `draw` and `count_leaks` take: path, label, sha256, id, group, copy,
    photograph, look (empty where nothing is near), conflict.
    """
    named = naming.pictures
    look = pd.Series([near.looks.get(digest, "") for digest in named["sha256"]], dtype="str")
    keys = [named["sha256"], named["photograph"], look, *([] if before is None else [before])]
    joined = join_groups(named["group"].tolist(), *(key.tolist() for key in keys))
    pictures = named.rename(columns={"group": "id"}).assign(
        group=pd.Series(joined, dtype="str"), look=look
    )
    return pictures.assign(conflict=label_conflicts(pictures))


def _groups_before(
    naming: Naming, settings: SplitSettings, groups: Mapping[str, str], earlier: pd.DataFrame
) -> pd.Series[str]:
    """Give the group that each picture was in, where nobody says otherwise now; else empty.

    A pattern or a table of the caller's may take groups apart that were wrongly joined.
    """
    said_now = naming.pictures["path"].isin(list(groups)) | (settings.group_pattern is not None)
    return recognise(naming.pictures, earlier)["group"].mask(said_now, "")


def _paths_now(pictures: pd.DataFrame, earlier: pd.DataFrame) -> list[str]:
    """Give the paths of an earlier split's pictures, where they lie now if they were renamed."""
    now = dict(zip(pictures["sha256"], pictures["path"], strict=True))
    here = set(pictures["path"])
    pairs = zip(earlier["path"], earlier["sha256"], strict=True)
    return [path if path in here else now.get(digest, path) for path, digest in pairs]


def _find_near(
    root: Path, naming: Naming, words: Words, workers: int, levels: Levels
) -> NearDuplicates:
    """Look for near-duplicates among the photographs; where names tell copies, these are left out.

    Of a photograph that is there in copies alone, the first copy stands for it.
    """
    copy = naming.pictures["copy"].fillna(0)
    ordered = naming.pictures.assign(rank=copy).sort_values(["photograph", "rank", "path"])
    alone = ordered.index[~ordered["photograph"].duplicated()]
    rows = np.flatnonzero((copy == 0) | copy.index.isin(alone))
    photographs = naming.pictures.iloc[rows].reset_index(drop=True)
    read = grey_reader(root, photographs, workers, levels)
    return find_near_duplicates(photographs, words[rows], read)


def _report(
    pictures: pd.DataFrame,
    naming: Naming,
    near: NearDuplicates,
    settings: SplitSettings,
    drawn: pd.DataFrame,
    random: pd.DataFrame,
) -> dict[str, Any]:
    """Lay out leakage.json, but for its warnings."""
    has_val = bool((drawn["split"] == "val").any())
    verdicts = near.pairs["verdict"].value_counts()
    return {
        "strategy": settings.strategy,
        "fold": "{}/{}".format(*settings.fold) if settings.fold else None,
        "scheme": _scheme(pictures, naming),
        "near": {
            "joined_pairs": int(verdicts.get(JOINED, 0)),
            "listed_pairs": int(verdicts.get(TO_JUDGE, 0)),
        },
        "largest_group": _largest_group(pictures),
        "drawn": count_leaks(pictures, drawn),
        "drawn_val": count_leaks(pictures, drawn, "val", "train") if has_val else None,
        "drawn_test_val": count_leaks(pictures, drawn, "test", "val") if has_val else None,
        "random": count_leaks(pictures, random),
    }


def _scheme(pictures: pd.DataFrame, naming: Naming) -> dict[str, Any]:
    """Say by which names groups were found, and how many there are."""
    return {
        "name": naming.scheme or None,
        "evidence": evidence_of(naming),
        "fits": naming.fits,
        "listed": naming.listed,
        "names": len(pictures),
        "ids": naming.ids,
        "groups": int(pictures["group"].nunique()),
    }


def _largest_group(pictures: pd.DataFrame) -> dict[str, Any]:
    """Name the group with the most photographs (copies and identical files apart)."""
    photographs = pictures.drop_duplicates(["group", "photograph"]).drop_duplicates("sha256")
    sizes = photographs["group"].value_counts().sort_index()
    name = str(sizes.idxmax())
    return {
        "name": name,
        "photographs": int(sizes.max()),
        "share": float(sizes.max() / sizes.sum()),
    }
