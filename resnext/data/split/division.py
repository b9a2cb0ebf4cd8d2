"""Divide a scanned folder: find who is who, join what belongs together, draw, and count leaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from resnext.data.decoding.levels import Levels
from resnext.data.manifest.class_folders import folder_warnings
from resnext.data.manifest.hashing import Words
from resnext.data.split.conflicts import label_conflicts
from resnext.data.split.contact import Cards, pairs_to_look_at
from resnext.data.split.describe import (
    evidence_of,
    group_warnings,
    pair_warnings,
    source_of,
    warnings_of,
)
from resnext.data.split.draw import draw
from resnext.data.split.duplicates import (
    COLUMNS,
    JOINED,
    REPORTED,
    TO_JUDGE,
    NearDuplicates,
    find_near_duplicates,
    grey_reader,
)
from resnext.data.split.given import parts_of_folders
from resnext.data.split.groups import Naming, join_groups, read_names
from resnext.data.split.joining import joinable
from resnext.data.split.kept import kept_warnings, recognise
from resnext.data.split.leakage import count_leaks, script_split
from resnext.data.split.settings import SplitSettings
from resnext.data.split.told import NO_TABLES, Sources, read_told

_NOT_SEARCHED = NearDuplicates(pd.DataFrame(columns=COLUMNS), {})


@dataclass(frozen=True, eq=False)
class Division:
    """Hold a split with what it was drawn by and what leaks.

    `pairs` are all near-duplicates found, `cards` the pairs of pictures that a person should see,
    `joined` the ids of each group that several were joined to.
    """

    split: pd.DataFrame
    leakage: dict[str, Any]
    pairs: pd.DataFrame
    cards: Cards
    joined: dict[str, list[str]]


def divide(
    root: Path,
    manifest: pd.DataFrame,
    words: Words,
    settings: SplitSettings,
    sources: Sources = NO_TABLES,
    *,
    levels: Levels = Levels(),
    workers: int = 1,
) -> Division:
    """Divide the pictures of a manifest, below root, with hashes (N, 8) in the manifest's order.

    Raises:
        InputError: a class is too small, the pattern or a table fits nothing, or a picture changed
            since the scan.
    """
    told = read_told(sources, manifest, root)
    groups, given, earlier = told.groups, told.given, told.earlier
    naming = read_names(manifest, settings.group_pattern, groups, earlier["path"].tolist(), words)
    told.require_known(naming.pictures["group"])
    found = _NOT_SEARCHED
    if settings.near_duplicates != "off":
        order = np.argsort(manifest["path"].to_numpy())
        found = _find_near(root, naming, words[order], workers, levels)
    before = _groups_before(naming, settings, groups, earlier)
    near, why_not_joined = joinable(naming, found, settings, before)
    pictures = join(naming, near, before)
    drawn = draw(
        pictures,
        settings,
        given=given,
        earlier=earlier if sources.earlier else None,
        source=source_of(naming),
    )
    random = script_split(pictures, settings)
    audited = pictures.assign(look=_looks(naming, found))  # what was not joined may leak too
    report = _report(audited, naming, near, settings, drawn, random)
    if why_not_joined:
        report["near"]["not_joined_because"] = why_not_joined
    if told.found:
        report["tables"] = told.counts()
    report |= _where_there_is(pictures, settings, drawn, given)
    report["warnings"] = [
        *group_warnings(naming, drawn),
        *told.warnings(pictures["id"]),
        *warnings_of(pictures, drawn, report, told.names()),
        *pair_warnings(drawn, near.pairs),
        *kept_warnings(drawn, pictures, earlier),
    ]
    cards = pairs_to_look_at(root, pictures, near.pairs, drawn, random, levels)
    return Division(drawn, report, near.pairs, cards, _joined(pictures))


def join(
    naming: Naming, near: NearDuplicates, before: pd.Series[str] | None = None
) -> pd.DataFrame:
    """Join the groups that share a file, a photograph or a near-duplicate, and find conflicts.

    `before` names the group that each picture was in, empty where it was in none: one group then
    is one now. Returns what `draw` and `count_leaks` take: path, label, sha256, id, group, copy,
    photograph, look (empty where nothing is near), conflict.
    """
    named, look = naming.pictures, _looks(naming, near)
    keys = [named["sha256"], named["photograph"], look, *([] if before is None else [before])]
    joined = join_groups(named["group"].tolist(), *(key.tolist() for key in keys))
    pictures = named.rename(columns={"group": "id"}).assign(
        group=pd.Series(joined, dtype="str"), look=look
    )
    return pictures.assign(conflict=label_conflicts(pictures))


def _looks(naming: Naming, near: NearDuplicates) -> pd.Series[str]:
    """Name what each picture looks like, empty where nothing is near."""
    digests = naming.pictures["sha256"]
    return pd.Series([near.looks.get(digest, "") for digest in digests], dtype="str")


def _joined(pictures: pd.DataFrame) -> dict[str, list[str]]:
    """List the ids of each group that several were joined to, by its name."""
    pairs = pictures[["group", "id"]].drop_duplicates().sort_values(["group", "id"])
    joined = pairs[pairs["group"].duplicated(keep=False)].groupby("group")["id"].agg(list)
    return {str(group): ids for group, ids in joined.items()}


def _groups_before(
    naming: Naming, settings: SplitSettings, groups: Mapping[str, str], earlier: pd.DataFrame
) -> pd.Series[str]:
    """Give the group that each picture was in, where nobody says otherwise now; else empty.

    A pattern or a table of the caller's may take groups apart that were wrongly joined.
    """
    said_now = naming.pictures["path"].isin(list(groups)) | (settings.group_pattern is not None)
    return recognise(naming.pictures, earlier)["group"].mask(said_now, "")


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

    def count(split: pd.DataFrame, *parts: str) -> dict[str, Any]:
        counts = count_leaks(pictures, split, *parts)
        if settings.near_duplicates == "off":
            del counts["near"]  # what was not searched is not 0
        return counts

    return {
        "strategy": settings.strategy,
        "fold": "{}/{}".format(*settings.fold) if settings.fold else None,
        "scheme": _scheme(pictures, naming),
        "near": _near(near, settings),
        "largest_group": _largest_group(pictures),
        "drawn": count(drawn),
        "drawn_val": count(drawn, "val", "train") if has_val else None,
        "drawn_test_val": count(drawn, "test", "val") if has_val else None,
        "random": count(random),
    }


def _where_there_is(
    pictures: pd.DataFrame,
    settings: SplitSettings,
    drawn: pd.DataFrame,
    given: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Lay out what leakage.json holds only where it is so: doubtful class folders, a carved val."""
    found: dict[str, Any] = {}
    if doubtful := folder_warnings(_classes_by_folder(pictures)):
        found["folders"] = doubtful
    if settings.strategy == "given" and settings.carve_val:
        known = parts_of_folders(pictures["path"].tolist()) if given is None else given
        if not {"val", "test"} <= set(known.values()):
            found["carved"] = _carved(drawn)
    return found


def _classes_by_folder(pictures: pd.DataFrame) -> dict[str, str]:
    """Give the class of each folder that pictures lie in."""
    folders = [path.rpartition("/")[0] for path in pictures["path"].tolist()]
    return dict(zip(folders, pictures["label"].tolist(), strict=True))


def _carved(drawn: pd.DataFrame) -> dict[str, Any]:
    """Count what was taken out of a given train part; `missing` are the classes that val lacks."""
    train, val = (drawn[drawn["split"] == part] for part in ("train", "val"))
    missing = sorted(set(train["label"]) - set(val["label"]))
    return {"pictures": len(val), "groups": int(val["group"].nunique()), "missing": missing}


def _near(near: NearDuplicates, settings: SplitSettings) -> dict[str, Any]:
    """Count the pairs of near-duplicates by verdict; those only reported where there are some."""
    if settings.near_duplicates == "off":
        return {"searched": False}
    verdicts = near.pairs["verdict"].value_counts()
    counts = {f"{verdict}_pairs": int(verdicts.get(verdict, 0)) for verdict in (JOINED, TO_JUDGE)}
    reported = int(verdicts.get(REPORTED, 0))
    return counts | ({"reported_pairs": reported} if reported else {})


def _scheme(pictures: pd.DataFrame, naming: Naming) -> dict[str, Any]:
    """Say by which names groups were found, and how many there are."""
    return {
        "name": naming.scheme or None,
        "evidence": evidence_of(naming),
        "pattern": naming.reading.pattern or None,
        "proposal": naming.reading.proposal or None,
        "guessed": naming.guessed,
        "groups_known": not naming.guessed and not naming.unknown,
        "fits": naming.fits,
        "listed": naming.listed,
        "unknown": naming.unknown,
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
