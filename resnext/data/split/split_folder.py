"""Split a scanned folder: find groups, join what belongs together, draw, and count leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from resnext.data.decoding.levels import Levels
from resnext.data.manifest.class_folders import folder_warnings
from resnext.data.manifest.hashing import Hashes
from resnext.data.split.decisions import apply_decisions
from resnext.data.split.describe import source_of, warn
from resnext.data.split.draw import draw, fold_of, script_split, splits_of_folders
from resnext.data.split.duplicates import (
    COLUMNS,
    NearDuplicates,
    choose_joined,
    find_near_duplicates,
    grey_reader,
    label_conflicts,
)
from resnext.data.split.gallery import gallery
from resnext.data.split.groups import Groups, find_groups, join_groups
from resnext.data.split.keep_split import recognise
from resnext.data.split.leakage import Cards, pairs_to_look_at, report_leakage
from resnext.data.split.settings import SplitSettings
from resnext.data.split.tables import NO_TABLES, Sources, Tables, read_tables


class FolderSplit(NamedTuple):
    """Hold a split with what it was drawn by and what leaks.

    `folds` holds the split of each image in each fold: path, split, repeat, fold, the last two from
    1 on; None without folds.

    `pairs` are all near-duplicates found, `cards` the pairs of images that a person should see, and
    under `gallery` some images of each class, `joined` the ids of each group that several were
    joined to.
    """

    split: pd.DataFrame
    leakage: dict[str, Any]
    pairs: pd.DataFrame
    cards: Cards
    joined: dict[str, list[str]]
    folds: pd.DataFrame | None = None


def split_folder(
    root: Path,
    manifest: pd.DataFrame,
    hashes: Hashes,
    settings: SplitSettings,
    sources: Sources = NO_TABLES,
    *,
    levels: Levels = Levels(),
    workers: int = 1,
    decided: pd.DataFrame | None = None,
) -> FolderSplit:
    """Split the images of a manifest, below root, with hashes (N, 8) in the manifest's order.

    `decided` holds what a person decided of single images (path, decision).

    Raises:
        InputError: a class is too small, the pattern or a table fits nothing, or an image changed
            since the scan.
    """
    tables = read_tables(sources, manifest, root)
    earlier = tables.earlier
    paths_before = earlier["path"].tolist()
    groups = find_groups(manifest, settings.group_pattern, tables.groups, paths_before, hashes)
    if decided is not None:
        groups = apply_decisions(groups, decided)
    tables.require_known(groups.images["group"])
    found = NearDuplicates(pd.DataFrame(columns=COLUMNS), {})
    if settings.near_duplicates != "off":
        order = np.argsort(manifest["path"].to_numpy())
        found = search(root, groups.images, hashes[order], workers, levels)
    # one group then is one now, unless a table or a pattern takes it apart
    before = recognise(groups.images, earlier)["group"]
    before = before.mask(groups.images["listed"] | (settings.group_pattern is not None), "")
    near = choose_joined(groups, found, settings, before)
    images = join(groups, near, before)
    kept = earlier if sources.earlier else None
    source = source_of(groups)
    every = {n: draw(images, each, source=source) for n, each in settings.each_fold.items()}
    folds = [*every.values()][: settings.folds]  # of the first repeat, which is what is described
    drawn = draw(images, settings, given=tables.given, earlier=kept, source=source)
    tested = folds[0] if folds else drawn  # whose test part is looked at closely
    random = script_split(images, settings)
    report = report_leakage(groups, images, found, near, settings, folds or [drawn], random)
    report |= _where_there_is(images, drawn, settings, tables)
    report["warnings"] = warn(groups, images, tested, near, tables, report)
    cards = pairs_to_look_at(root, images, near.pairs, tested, random, levels)
    cards |= {"gallery": gallery(root, images, tested, levels)}
    if not folds:
        return FolderSplit(drawn, report, near.pairs, cards, _joined(images))
    drawn = drawn.assign(fold=fold_of(folds))
    of_folds = pd.concat(
        each[["path", "split"]].assign(repeat=repeat, fold=fold)
        for (repeat, fold), each in every.items()
    )
    return FolderSplit(drawn, report, near.pairs, cards, _joined(images), of_folds)


def join(
    groups: Groups, near: NearDuplicates, before: pd.Series[str] | None = None
) -> pd.DataFrame:
    """Join the groups that share a file, an original, a near-duplicate or a person's decision.

    `before` names the group that each image was in, empty where it was in none: one group then
    is one now. Returns what `draw` and `count_leaks` take: path, label, sha256, id, group, copy,
    original, cluster (empty where nothing is near), conflict, left_out.
    """
    images = groups.images.assign(id=groups.images["group"], cluster=near.cluster_of(groups.images))
    keys = [images["sha256"], images["original"], images["cluster"], images["decided"]]
    keys += [] if before is None else [before]
    joined = join_groups(images["group"].tolist(), *(key.tolist() for key in keys))
    images = images.assign(group=pd.Series(joined, dtype="str"))
    return images.assign(conflict=label_conflicts(images))


def _joined(images: pd.DataFrame) -> dict[str, list[str]]:
    """List the ids of each group that several were joined to, by its name."""
    pairs = images[["group", "id"]].drop_duplicates().sort_values(["group", "id"])
    joined = pairs[pairs["group"].duplicated(keep=False)].groupby("group")["id"].agg(list)
    return {str(group): ids for group, ids in joined.items()}


def _where_there_is(
    images: pd.DataFrame, drawn: pd.DataFrame, settings: SplitSettings, tables: Tables
) -> dict[str, Any]:
    """Lay out what leakage.json holds only where it is so.

    That are the rows of the user's tables that met an image, doubtful class folders, and what was
    taken out of a given train split for val, with the classes that val lacks all the same.
    """
    report: dict[str, Any] = {}
    if tables.found:
        report["tables"] = {flag: found.counts() for flag, found in tables.found.items()}
    folders = images["path"].str.rpartition("/")[0]
    if doubtful := folder_warnings(dict(zip(folders, images["label"], strict=True))):
        report["folders"] = doubtful
    if settings.carve_val and settings.strategy == "given":
        given = splits_of_folders(images["path"]) if tables.given is None else tables.given.values()
        if not {"val", "test"} <= set(given):
            train, val = (drawn[drawn["split"] == split] for split in ("train", "val"))
            missing = sorted(set(train["label"]) - set(val["label"]))
            counts = {"pictures": len(val), "groups": int(val["group"].nunique())}
            report["carved"] = counts | {"missing": missing}
    return report


def search(
    root: Path, images: pd.DataFrame, hashes: Hashes, workers: int, levels: Levels
) -> NearDuplicates:
    """Look for near-duplicates among the originals; where names tell copies, these are left out.

    Of an original that is there in copies alone, the first copy stands for it.
    """
    copy = images["copy"].fillna(0)
    ordered = images.assign(copy=copy).sort_values(["original", "copy", "path"])
    alone = ordered.index[~ordered["original"].duplicated()]
    rows = np.flatnonzero((copy == 0) | images.index.isin(alone))
    originals = images.iloc[rows].reset_index(drop=True)
    return find_near_duplicates(
        originals, hashes[rows], grey_reader(root, originals, workers, levels)
    )
