"""Scan a tree of images into a manifest: one row an image, and what stands in its file.

A manifest holds usable images only, sorted by path. What can't be used is listed in the
quarantine with a reason, and nothing on the disk is changed. A file that is known from the scan
before, by size, time of change and inode, is not opened again. It does not split, join or judge
images, and it writes no file.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import MANIFEST_COLUMNS, TEXT_COLUMNS
from resnext.data.decoding.decode import admitted_pixels
from resnext.data.manifest.class_folders import class_name, folder_warnings, list_classes
from resnext.data.manifest.hashing import Hashes, parse_hashes
from resnext.data.manifest.listing import FILE_COLUMNS, Listing, list_images
from resnext.data.manifest.reading import (
    READ_COLUMNS,
    READER,
    Progress,
    Reading,
    read_files,
    why_refused,
)
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.manifest.sources import list_named
from resnext.data.user_tables import (
    IMAGE,
    LABEL,
    UserTable,
    find_images,
    read_user_table,
    require_one_answer,
)

TABLE_REMEDY = "Write a line path,label at the top and one for each image."
ODD_COLUMNS = ["measured", "cut", "pages"]


@dataclass(frozen=True, eq=False)
class Scan:
    """Hold the outcome of a scan.

    `hashes` (N, 8) are the perceptual hashes of the manifest's images, see
    `resnext.data.manifest.hashing`. `odd` says of each of them what is out of the ordinary:
    `ODD_COLUMNS`, as in `Reading`. `memory` is given back as `remembered` at the next scan;
    `opened` counts the files that were read this time. `warnings` say what may be wrong with the
    class folders.
    """

    listing: Listing
    manifest: pd.DataFrame
    hashes: Hashes
    odd: pd.DataFrame
    quarantine: pd.DataFrame
    memory: pd.DataFrame
    opened: int
    warnings: tuple[str, ...] = ()


def scan(
    root: Path,
    settings: ReadingSettings = ReadingSettings(),
    *,
    known: Collection[str] = (),
    workers: int = 1,
    remembered: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Scan a folder of class folders: the class of an image is the first folder below root.

    Where root holds the folders train, val and test, it is the second. Folders whose names differ
    in what no screen shows are one class (`class_name`).

    One class is enough if it is among the `known` ones. `workers` processes decode, where there is
    enough to read; `progress` is called with files read and files to read.

    Raises:
        InputError: root is no folder, or holds fewer than two classes with a readable image.
    """
    listing = list_classes(root, known)
    found = _read_listing(listing, settings, workers, remembered, progress)
    folders = [path.rpartition("/")[0] for path in found.manifest["path"].tolist()]
    labels = {name: class_name(name.split("/")[listing.depth - 1]) for name in sorted(set(folders))}
    found.manifest["label"] = pd.Series([labels[name] for name in folders], dtype="str")
    require_classes(root, found, known)
    return replace(found, warnings=tuple(folder_warnings(labels)))


def scan_table(
    table: Path,
    settings: ReadingSettings = ReadingSettings(),
    *,
    workers: int = 1,
    remembered: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Scan the images that a table of path,label names, as `scan` does those of class folders.

    Paths are relative to the table's folder, or from the root on. Names that lead nowhere, as ids
    without an ending, are looked for among the images below that folder (`find_images`).

    Raises:
        InputError: it can't be read, names no class or two for an image, or no readable image.
    """
    rows = read_user_table(table, "data", (IMAGE, LABEL), TABLE_REMEDY)
    names = rows.rows["label"].map(class_name)
    if (empty := names.str.strip() == "").any():
        got = f"none for {rows.rows.loc[empty, 'path'].iloc[0]!r}"
        raise rows.wrong("name the class of each image", got, "Fill it in or remove the row.")
    rows = replace(rows, rows=rows.rows.assign(label=names))
    paths = _places_of(rows, table.parent)
    require_one_answer(rows, "label", paths, "name one class for each image")
    there = [list_named(table.parent, path) for path in dict.fromkeys(paths)]
    files = sorted((f.path, f.size, f.mtime_ns, f.inode) for f in there if not f.reason)
    faults = {each.path: each.reason for each in there if each.reason}
    listing = Listing(str(table.parent), files, faults)
    found = _read_listing(listing, settings, workers, remembered, progress)
    require_images(table, found)
    labels = dict(zip(paths, names, strict=True))
    by_path = [labels[path] for path in found.manifest["path"].tolist()]
    found.manifest["label"] = pd.Series(by_path, dtype="str")
    warnings = folder_warnings({name: name for name in sorted(set(by_path))})
    return replace(found, warnings=(*rows.notes, *warnings))


def _places_of(rows: UserTable, root: Path) -> list[str]:
    """Give the path of each row's image, below root where it lies there.

    Raises:
        InputError: two images answer to one row.
    """
    written = [os.path.normpath(path.strip()) for path in rows.rows[IMAGE.name]]
    paths = [path.removeprefix(f"{root}/") for path in written]
    if all((root / path).is_file() for path in paths):
        return paths
    found = find_images(rows, [file[0] for file in list_images(root).files], root)
    return [image or path for image, path in zip(found.of_rows, paths, strict=True)]


# ---------------------------------------------------------------- reading, from memory first


def _read_listing(
    listing: Listing,
    settings: ReadingSettings,
    workers: int,
    remembered: pd.DataFrame | None,
    progress: Progress | None,
) -> Scan:
    """Read the listed files that are not remembered and lay out the tables, labels empty."""
    most = admitted_pixels(settings.max_pixels)
    files = _typed(pd.DataFrame(listing.files, columns=FILE_COLUMNS))
    known = _recall(files, remembered)
    # What had too many pixels to be read has no hashes, and no other fault.
    unread = (known["hashes"] == "") & (known["reason"] == "") & (_pixels(known) <= most)
    known = known[~unread]
    fresh = files.drop(known.index)
    # a table may hold paths from the root on
    paths = [path if path.startswith("/") else f"{listing.root}/{path}" for path in fresh["path"]]
    readings = read_files(paths, int(fresh["size"].sum()), workers, progress, most)
    read = pd.DataFrame(readings, columns=list(Reading._fields), index=fresh.index)
    new = pd.concat([fresh, read], axis=1).assign(reader=READER)
    table = pd.concat([known.assign(lasting=True), new]).sort_index()
    lasting = table.pop("lasting").astype(bool)
    table = _typed(table)
    reasons = _judge(table, settings.truncated == "keep", most)
    usable = table[reasons == ""].reset_index(drop=True)
    bad = reasons[reasons != ""]
    listing.faults.update(zip(table["path"][bad.index], bad, strict=True))
    manifest = usable.rename(columns={"size": "bytes"})
    manifest = manifest.assign(label="", phash=usable["hashes"].str[:16])
    return Scan(
        listing,
        _typed(manifest[MANIFEST_COLUMNS]),
        parse_hashes(usable["hashes"].tolist()),
        usable[ODD_COLUMNS],
        _typed(pd.DataFrame(sorted(listing.faults.items()), columns=["path", "reason"])),
        table[lasting.to_numpy()].reset_index(drop=True),
        len(fresh),
    )


def _recall(files: pd.DataFrame, remembered: pd.DataFrame | None) -> pd.DataFrame:
    """Return the remembered rows of the files that are unchanged, with the index of `files`."""
    columns = [*FILE_COLUMNS, *READ_COLUMNS, "reader"]
    if remembered is None or not set(columns) <= set(remembered.columns):
        return _typed(pd.DataFrame(columns=columns))
    old = remembered[remembered["reader"] == READER][columns].drop_duplicates("path")
    known: pd.DataFrame = files.reset_index().merge(old, on=FILE_COLUMNS)
    return known.set_index("index")


def _judge(table: pd.DataFrame, keep_truncated: bool, most: int) -> pd.Series[str]:
    """Say why each image can't be used, empty where it can; this alone follows the settings."""
    reasons = table["reason"].copy()
    odd = table[(reasons == "") & ((_pixels(table) > most) | (table["cut"] != ""))]
    readings = (Reading(*row) for row in odd[READ_COLUMNS].itertuples(index=False))
    reasons.loc[odd.index] = [why_refused(each, keep_truncated, most) for each in readings]
    return reasons


def _pixels(table: pd.DataFrame) -> pd.Series[int]:
    return table["width"] * table["height"]


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give text columns the type of text and all others int64, empty tables included."""
    types = {name: "str" if name in TEXT_COLUMNS else "int64" for name in table.columns}
    return table.astype(types).reset_index(drop=True)


# ---------------------------------------------------------------- what a scan needs


def require_images(root: Path, found: Scan) -> None:
    """Check that a scan holds an image.

    Raises:
        InputError: it does not.
    """
    if found.manifest.empty:
        got = name_faults(found.quarantine) or "no file at all"
        remedy = f"{str(root)!r}. Add images, or give another path."
        raise InputError("data", "hold a readable image", got, remedy)


def require_classes(root: Path, found: Scan, known: Collection[str] = ()) -> None:
    """Check that a scan holds images of two classes, or of one of the `known` ones.

    Raises:
        InputError: it does not.
    """
    require_images(root, found)
    labels = set(found.manifest["label"])
    if len(labels) > 1 or labels & {*known}:
        return
    (label,) = labels
    below = (path.split("/")[found.listing.depth : -1] for path in found.manifest["path"].tolist())
    inner = sorted({folders[0] for folders in below if folders})
    remedy = "Add images of a second class."
    if len(inner) > 1:
        remedy = (
            f"If {inner[0]!r} and {inner[1]!r} are classes, put them in the place of {label!r}, "
            "as links if need be; else add images of a second class."
        )
    bad = name_faults(found.quarantine)
    got = f"only {label!r}: {bad}" if bad else f"only {label!r}"
    where = f"Folder {str(root)!r}. {remedy}"
    raise InputError("data", "hold readable images of at least 2 classes", got, where)


def name_faults(quarantine: pd.DataFrame) -> str:
    """Name the first quarantined paths with their reasons; empty for none."""
    rows = zip(quarantine["path"], quarantine["reason"], strict=True)
    return first_few((f"{path} ({reason})" for path, reason in rows), "; ")
