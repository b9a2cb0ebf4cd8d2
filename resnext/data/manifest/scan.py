"""Scan a tree of pictures into a manifest: one row a picture, and what stands in its file.

A manifest holds usable pictures only, sorted by path. What can't be used is listed in the
quarantine with a reason, and nothing on the disk is changed. A file that is known from the scan
before, by size, time of change and inode, is not opened again. It does not split, join or judge
pictures, and it writes no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.tables import MANIFEST_COLUMNS, TEXT_COLUMNS
from resnext.data.decoding.decode import admitted_pixels
from resnext.data.manifest.describe import name_faults, notes_of
from resnext.data.manifest.folders import class_name, folder_warnings
from resnext.data.manifest.hashing import Words, to_words
from resnext.data.manifest.listing import FILE_COLUMNS, Listing, list_classes, list_pictures
from resnext.data.manifest.reading import READ_COLUMNS, READER, Progress, Reading, read_files
from resnext.data.manifest.settings import ReadingSettings

ODD_COLUMNS = ["measured", "cut", "pages"]


@dataclass(frozen=True, eq=False)
class Scan:
    """Hold the outcome of a scan.

    `words` (N, 8) are the perceptual hashes of the manifest's pictures, see
    `resnext.data.manifest.hashing`. `memory` is given back as `remembered` at the next scan;
    `left_out` counts hidden and system entries; `opened` counts the files that were read this time.
    `notes` say what else was found, `warnings` what may be wrong with the class folders. `odd` says
    of each picture of the manifest what is out of the ordinary: `ODD_COLUMNS`, as in `Reading`.
    """

    manifest: pd.DataFrame
    words: Words
    quarantine: pd.DataFrame
    memory: pd.DataFrame
    left_out: int = 0
    opened: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    odd: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ODD_COLUMNS))


def scan(
    root: Path,
    settings: ReadingSettings = ReadingSettings(),
    *,
    workers: int = 1,
    remembered: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Scan a folder of class folders: the class of a picture is the first folder below root.

    Where root holds the folders train, val and test, it is the second. Folders whose names differ
    in what no screen shows are one class (`class_name`).

    `workers` processes decode, where there is enough to read; `progress` is called with files
    read and files to read.

    Raises:
        InputError: root is no folder, or holds fewer than two classes with a readable picture.
    """
    listing = list_classes(root)
    done = _read_listing(listing, settings, workers, remembered, progress)
    folders = [path.rpartition("/")[0] for path in done.manifest["path"].tolist()]
    depth = listing.depth
    labels = {name: class_name(name.split("/", depth)[depth - 1]) for name in sorted(set(folders))}
    labelled = pd.Series([labels[name] for name in folders], dtype="str")
    manifest = _typed(done.manifest.assign(label=labelled)[MANIFEST_COLUMNS])
    found = replace(done, manifest=manifest, warnings=tuple(folder_warnings(labels)))
    _require_two_classes(root, found, depth)
    return found


def scan_pictures(
    source: Path,
    settings: ReadingSettings = ReadingSettings(),
    *,
    workers: int = 1,
    remembered: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Scan pictures without classes, a folder of any layout or one file: the label is empty.

    Paths are relative to the folder, or to the folder that holds the one file.

    Raises:
        InputError: source does not exist or holds no readable picture.
    """
    done = _read_listing(list_pictures(source), settings, workers, remembered, progress)
    _require_pictures("source", source, done)
    return done


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
    files = pd.DataFrame(listing.files, columns=FILE_COLUMNS)
    known = _recall(files, remembered)
    known = known[~_was_too_large(known) | (_pixels(known) > most)]
    fresh = files[~files["path"].isin(known["path"])]
    paths = [f"{listing.root}/{path}" for path in fresh["path"]]
    readings = read_files(paths, int(fresh["size"].sum()), workers, progress, most)
    lasting = [reading.lasting for reading in readings]
    read = pd.DataFrame(readings, columns=list(Reading._fields), index=fresh.index)
    new = pd.concat([fresh, read[READ_COLUMNS]], axis=1).assign(reader=READER)
    table = _typed(pd.concat([known, new]).sort_index() if len(new) else known)
    judged = table.assign(reason=_judge(table, settings.truncated == "keep", most))
    bad = judged[judged["reason"] != ""]
    listing.faults.update(zip(bad["path"], bad["reason"], strict=True))
    forgotten = fresh["path"][[not one for one in lasting]]
    memory = table[~table["path"].isin(forgotten)].reset_index(drop=True)
    usable = judged[judged["reason"] == ""]
    return Scan(
        _manifest(usable),
        to_words(usable["hashes"].tolist()),
        _quarantine(listing),
        memory,
        listing.left_out,
        len(fresh),
        tuple(notes_of(listing)),
        odd=usable[ODD_COLUMNS],
    )


def _judge(table: pd.DataFrame, keep_truncated: bool, most: int) -> pd.Series[str]:
    """Say why each picture can't be used, empty where it can; this alone follows the settings."""
    reasons = table["reason"].copy()
    pixels = _pixels(table)
    large = pixels[(pixels > most) & (reasons == "")]
    reasons.loc[large.index] = [
        f"decompression bomb: Image size ({number} pixels) exceeds limit of {most} pixels; "
        f"'--max-pixels {number}' admits it, if it is a sound image"
        for number in large
    ]
    cut = table["cut"][(table["cut"] != "") & (reasons == "")]
    if not keep_truncated:
        reasons.loc[cut.index] = [
            f"truncated or damaged: image file is truncated, {share} % of its rows are there; "
            "'--truncated keep' uses it, grey where it ends"
            for share in cut
        ]
    return reasons


def _pixels(table: pd.DataFrame) -> pd.Series[int]:
    return table["width"].astype("int64") * table["height"].astype("int64")


def _was_too_large(known: pd.DataFrame) -> pd.Series[bool]:
    """Tell the pictures that had too many pixels to be read."""
    return (known["hashes"] == "") & (known["reason"] == "")


def _recall(files: pd.DataFrame, remembered: pd.DataFrame | None) -> pd.DataFrame:
    """Return the remembered rows of the files that are unchanged, with the index of `files`."""
    columns = [*FILE_COLUMNS, *READ_COLUMNS, "reader"]
    if remembered is None or not set(columns) <= set(remembered.columns):
        return pd.DataFrame(columns=columns, index=files.index[:0])
    if _is_unchanged(files, remembered):
        return remembered[columns].set_index(files.index)  # the rule, which needs no search
    old = remembered[remembered["reader"] == READER][columns].drop_duplicates("path")
    rows = pd.Index(old["path"]).get_indexer(pd.Index(files["path"]))
    seen = files[rows >= 0]  # taken row by row: a join would turn mtime_ns into floats
    known: pd.DataFrame = old.iloc[rows[rows >= 0]].set_index(seen.index)
    same: pd.Series[bool] = (known[FILE_COLUMNS] == seen[FILE_COLUMNS]).all(axis=1)
    return known[same]


def _is_unchanged(files: pd.DataFrame, remembered: pd.DataFrame) -> bool:
    """Tell whether the remembered rows are of these very files, in this order, by this reader."""
    same = len(files) == len(remembered) and bool((remembered["reader"] == READER).all())
    return same and all(
        (remembered[name].to_numpy() == files[name].to_numpy()).all() for name in FILE_COLUMNS
    )


def _manifest(usable: pd.DataFrame) -> pd.DataFrame:
    """Keep the manifest's columns, labels empty."""
    renamed = usable.rename(columns={"size": "bytes"})
    manifest = renamed.assign(label="", phash=usable["hashes"].str[:16])
    return _typed(manifest[MANIFEST_COLUMNS])


def _quarantine(listing: Listing) -> pd.DataFrame:
    """Lay out the faults, sorted by path."""
    return _typed(pd.DataFrame(sorted(listing.faults.items()), columns=["path", "reason"]))


# ---------------------------------------------------------------- what a scan needs


def _require_pictures(argument: str, root: Path, found: Scan) -> None:
    """Raise an InputError where no picture could be read."""
    if len(found.manifest):
        return
    got = name_faults(found.quarantine) if len(found.quarantine) else "no file at all"
    raise InputError(
        argument,
        "hold a readable picture",
        got,
        f"{str(root)!r}. Add pictures, or give another path.",
    )


def _require_two_classes(root: Path, found: Scan, depth: int) -> None:
    """Raise an InputError where fewer than two classes hold a readable picture."""
    _require_pictures("data", root, found)
    labels = sorted(found.manifest["label"].unique())
    if len(labels) < 2:
        below = (path.split("/")[depth:-1] for path in found.manifest["path"].tolist())
        inner = sorted({folders[0] for folders in below if folders})
        remedy = "Add pictures of a second class."
        if len(inner) > 1:
            remedy = (
                f"If {inner[0]!r} and {inner[1]!r} are classes, put them in the place of "
                f"{labels[0]!r}, as links if need be; else add pictures of a second class."
            )
        bad = f": {name_faults(found.quarantine)}" if len(found.quarantine) else ""
        raise InputError(
            "data",
            "hold readable pictures of at least 2 classes",
            f"only {labels[0]!r}{bad}",
            f"Folder {str(root)!r}. {remedy}",
        )


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give text columns the type of text and all others int64, empty tables included."""
    types = {name: "str" if name in TEXT_COLUMNS else "int64" for name in table.columns}
    return table.astype(types).reset_index(drop=True)
