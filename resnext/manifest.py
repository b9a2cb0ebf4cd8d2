"""Scan a tree of pictures into a manifest: one row a picture, and what stands in its file.

Every file is opened once, hashed and fully decoded, since only a full decode finds a picture that
was cut short. What can't be used is listed in the quarantine with a reason, and nothing on the
disk is changed. It does not split, join or judge pictures, and it does not write files except
through `write_table`.

Paths are relative to the root, with `/`, and sorted by code point, which is also the order of
their UTF-8 bytes: neither the locale nor the order of a folder's entries shows. Links are
followed to files inside the root only, never to folders.

Source: the perceptual hash is `imagehash.phash` (8 x 8 low frequencies of a 32 x 32 DCT).
"""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import PIL
from PIL import Image, UnidentifiedImageError

from resnext.errors import InputError
from resnext.pictures import decode, quiet, to_8_bit

COLUMNS = [
    "path",
    "label",
    "sha256",
    "phash",
    "bytes",
    "width",
    "height",
    "mode",
    "format",
    "orientation",
]
NUMBERS = ["bytes", "width", "height", "orientation", "size", "mtime_ns", "inode"]
FILE_COLUMNS = ["path", "size", "mtime_ns", "inode"]
SYSTEM_NAMES = frozenset({"__MACOSX", "thumbs.db", "desktop.ini"})
LARGEST_FILE = 512 << 20  # bytes; a bigger file is no photograph and is not read into memory
CHUNK = 32  # pictures handed to a process at a time
WORTH_A_POOL = 32 << 20  # bytes to read from which starting processes pays
READER = f"1 Pillow {PIL.__version__}"  # what was read by another reader is read again
OFFENDERS = 5  # named in a message before the total

Progress = Callable[[int, int], None]


class Reading(NamedTuple):
    """Hold what one file says: a usable picture has an empty reason.

    `lasting` is false where another try could end otherwise though the file is the same.
    """

    sha256: str = ""
    phash: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    orientation: int = 0
    reason: str = ""
    lasting: bool = True


READ_COLUMNS = list(Reading._fields[:-1])


@dataclass(frozen=True, eq=False)
class Scan:
    """Hold the outcome of a scan.

    `memory` is given back as `remembered` at the next scan; `left_out` counts hidden and system
    entries; `opened` counts the files that were read this time.
    """

    manifest: pd.DataFrame
    quarantine: pd.DataFrame
    memory: pd.DataFrame
    left_out: int = 0
    opened: int = 0


@dataclass
class _Listing:
    """Collect what a walk finds: files to read, faults by path, and the entries left out."""

    root: str
    files: list[tuple[str, int, int, int]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    left_out: int = 0


# ---------------------------------------------------------------- the public scans


def scan(
    root: Path,
    *,
    workers: int = 1,
    remembered: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Scan a folder of class folders: the class of a picture is the first folder below root.

    `workers` processes decode, where there is enough to read; `progress` is called with files
    read and files to read.

    Raises:
        InputError: root is no folder, or holds fewer than two classes with a readable picture.
    """
    classes = _class_folders(root)
    listing = _walk(root)
    _set_aside_loose_files(listing)
    _note_empty_classes(listing, classes)
    done = _read_listing(listing, workers, remembered, progress)
    manifest = done.manifest.assign(label=done.manifest["path"].str.split("/", n=1).str[0])
    found = Scan(_typed(manifest[COLUMNS]), *_parts(done))
    _require_two_classes(root, found)
    return found


def scan_pictures(
    source: Path,
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
    if not source.exists():
        raise InputError(
            f"source must name a picture or a folder, got {str(source)!r}. "
            "Nothing is there. Check the path."
        )
    listing = _walk(source) if source.is_dir() else _one_file(source)
    done = _read_listing(listing, workers, remembered, progress)
    _require_pictures("source", source, done)
    return done


def describe(found: Scan) -> str:
    """Tell in a few lines what a scan found: classes, quarantined files, entries left out."""
    counts = found.manifest["label"].value_counts().sort_index()
    lines = [f"{len(found.manifest):,} pictures in {len(counts)} classes: {_classes(counts)}"]
    if counts.index.tolist() in ([], [""]):
        lines = [f"{len(found.manifest):,} pictures"]
    if len(found.quarantine):
        lines.append(f"{len(found.quarantine):,} quarantined: {_faults(found.quarantine)}")
    if found.left_out:
        lines.append(f"{found.left_out:,} hidden or system files and folders left out")
    return "\n".join(lines)


# ---------------------------------------------------------------- tables on disk


def write_table(table: pd.DataFrame, path: Path) -> None:
    r"""Write a table as CSV: UTF-8, `\n`, no index; equal tables give equal bytes."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV that `write_table` wrote: text stays text, even a class named NA or 001."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    return _typed(table)


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest.

    Raises:
        InputError: the file is missing or lacks a column.
    """
    if not path.is_file():
        raise InputError(f"manifest must be a file, got {str(path)!r}. No such file. Scan first.")
    table = read_table(path)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"manifest must hold the columns {', '.join(COLUMNS)}, got none named "
            f"{', '.join(missing)}. File {str(path)!r}. Scan the data again."
        )
    return table


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give every known number int64 and every other column text, empty tables included."""
    types = {name: "int64" if name in NUMBERS else "str" for name in table.columns}
    return table.astype(types).reset_index(drop=True)


# ---------------------------------------------------------------- walking


def _walk(root: Path) -> _Listing:
    """List every file below root, sorted by path."""
    listing = _Listing(os.path.realpath(root))
    folders = [""]
    while folders:
        folders.extend(_list_folder(listing, folders.pop()))
    listing.files.sort()
    return listing


def _list_folder(listing: _Listing, prefix: str) -> list[str]:
    """Take up one folder's entries and return the prefixes of the folders in it."""
    inner: list[str] = []
    try:
        entries = list(os.scandir(f"{listing.root}/{prefix}"))
    except OSError as error:
        listing.faults[prefix.rstrip("/")] = f"folder can't be opened: {error.strerror}"
        return inner
    for entry in entries:
        path = prefix + entry.name
        if _is_left_out(entry.name):
            listing.left_out += 1
        elif not entry.name.isprintable() and _is_bad_name(entry.name):
            listing.faults[_shown(path)] = "its name is not UTF-8 or holds a control character"
        elif entry.is_dir(follow_symlinks=False):
            inner.append(path + "/")
        else:
            _take_file(listing, entry, path)
    return inner


def _take_file(listing: _Listing, entry: os.DirEntry[str], path: str) -> None:
    """Add one entry that is no folder to the files, or to the faults."""
    fault = _link_fault(entry.path, listing.root) if entry.is_symlink() else ""
    if not fault and not entry.is_file():
        fault = "not a regular file"
    if fault:
        listing.faults[path] = fault
        return
    try:
        stat = entry.stat()
    except OSError as error:
        listing.faults[path] = f"can't be opened: {error.strerror}"
        return
    if stat.st_size > LARGEST_FILE:
        listing.faults[path] = f"{stat.st_size:,} bytes, more than {LARGEST_FILE:,}"
        return
    listing.files.append((path, *_identity(stat)))


def _identity(stat: os.stat_result) -> tuple[int, int, int]:
    """Return size, mtime and inode, by which a file is known to be unchanged."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ino & ((1 << 63) - 1)


def _one_file(source: Path) -> _Listing:
    """List a single file, whatever its name."""
    listing = _Listing(os.path.realpath(source.parent))
    if source.is_file():
        listing.files.append((source.name, *_identity(source.stat())))
    else:
        listing.faults[source.name] = "not a regular file"
    return listing


def _is_left_out(name: str) -> bool:
    """Tell hidden and system entries, such as .DS_Store, __MACOSX and Thumbs.db."""
    return name.startswith(".") or name in SYSTEM_NAMES or name.lower() in SYSTEM_NAMES


def _is_bad_name(name: str) -> bool:
    """Tell names that no UTF-8 table can hold in one line."""
    return any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in name)


def _shown(path: str) -> str:
    """Escape what a table can't hold."""
    safe = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in safe)


def _link_fault(path: str, root: str) -> str:
    """Say why a link is not followed; empty where it leads to a file inside the root."""
    try:
        target = os.path.realpath(path, strict=True)
    except OSError as error:
        return "link loop" if error.errno == errno.ELOOP else "broken link"
    if not Path(target).is_relative_to(root):
        return "link to a place outside the folder"
    return "link to a folder" if Path(target).is_dir() else ""


def _set_aside_loose_files(listing: _Listing) -> None:
    """Quarantine the files that lie in the root itself: they have no class."""
    for path, *_ in listing.files:
        if "/" not in path:
            listing.faults[path] = "lies outside the class folders"
    listing.files = [entry for entry in listing.files if "/" in entry[0]]


def _note_empty_classes(listing: _Listing, classes: list[str]) -> None:
    """Quarantine class folders in which nothing was found, so that they are not lost silently."""
    found = {path.split("/", 1)[0] for path, *_ in listing.files}
    found |= {path.split("/", 1)[0] for path in listing.faults}
    for name in classes:
        if name not in found:
            listing.faults[name] = "class folder without a picture"


# ---------------------------------------------------------------- reading, from memory first


def _read_listing(
    listing: _Listing, workers: int, remembered: pd.DataFrame | None, progress: Progress | None
) -> Scan:
    """Read the listed files that are not remembered and lay out the tables, labels empty."""
    files = pd.DataFrame(listing.files, columns=FILE_COLUMNS)
    known = _recall(files, remembered)
    fresh = files[~files["path"].isin(known["path"])]
    paths = [f"{listing.root}/{path}" for path in fresh["path"]]
    readings = _read_all(paths, int(fresh["size"].sum()), workers, progress)
    lasting = [reading.lasting for reading in readings]
    read = pd.DataFrame(readings, columns=list(Reading._fields), index=fresh.index)
    new = pd.concat([fresh, read[READ_COLUMNS]], axis=1).assign(reader=READER)
    table = _typed(pd.concat([known, new]).sort_index())
    bad = table[table["reason"] != ""]
    listing.faults.update(zip(bad["path"], bad["reason"], strict=True))
    forgotten = fresh["path"][[not one for one in lasting]]
    memory = table[~table["path"].isin(forgotten)].reset_index(drop=True)
    return Scan(_manifest(table), _quarantine(listing), memory, listing.left_out, len(fresh))


def _recall(files: pd.DataFrame, remembered: pd.DataFrame | None) -> pd.DataFrame:
    """Return the remembered rows of the files that are unchanged, with the index of `files`."""
    columns = [*FILE_COLUMNS, *READ_COLUMNS, "reader"]
    if remembered is None or not set(columns) <= set(remembered.columns):
        return pd.DataFrame(columns=columns, index=files.index[:0])
    old = remembered[remembered["reader"] == READER][columns].drop_duplicates("path")
    rows = pd.Index(old["path"]).get_indexer(pd.Index(files["path"]))
    seen = files[rows >= 0]  # taken row by row: a join would turn mtime_ns into floats
    known: pd.DataFrame = old.iloc[rows[rows >= 0]].set_index(seen.index)
    same: pd.Series[bool] = (known[FILE_COLUMNS] == seen[FILE_COLUMNS]).all(axis=1)
    return known[same]


def _manifest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the usable pictures and the manifest's columns, labels empty."""
    usable = table[table["reason"] == ""]
    return _typed(usable.rename(columns={"size": "bytes"}).assign(label="")[COLUMNS])


def _quarantine(listing: _Listing) -> pd.DataFrame:
    """Lay out the faults, sorted by path."""
    return _typed(pd.DataFrame(sorted(listing.faults.items()), columns=["path", "reason"]))


def _parts(done: Scan) -> tuple[pd.DataFrame, pd.DataFrame, int, int]:
    """Return all of a scan but its manifest."""
    return done.quarantine, done.memory, done.left_out, done.opened


def _read_all(
    paths: list[str], size: int, workers: int, progress: Progress | None
) -> list[Reading]:
    """Read files in chunks, here or in processes, in the order of `paths`."""
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    apart = workers > 1 and size >= WORTH_A_POOL and len(chunks) > 1
    results = _read_apart(chunks, workers) if apart else map(_read_chunk, chunks)
    readings: list[Reading] = []
    for result in results:
        readings.extend(result)
        if progress is not None:
            progress(len(readings), len(paths))
    return readings


def _read_apart(chunks: list[list[str]], workers: int) -> Iterator[list[Reading]]:
    """Read chunks in spawned processes; an interruption here ends them after their chunk."""
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_leave_interrupts_to_the_parent,
    )
    try:
        yield from pool.map(_read_chunk, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    """Ignore Ctrl-C in a worker, where it would only print a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read_chunk(paths: Iterable[str]) -> list[Reading]:
    """Read some files with Pillow's warnings kept from the terminal."""
    with quiet():
        return [_read(path) for path in paths]


# ---------------------------------------------------------------- one picture


def _read(path: str) -> Reading:
    """Read one file once: hash its bytes and decode it from memory."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return Reading(reason=f"can't be opened: {error.strerror}", lasting=False)
    if not data:
        return Reading(reason="empty file")
    try:
        return _decode(data)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        return Reading(reason=f"decompression bomb: {_line(error).split(',')[0]}")
    except UnidentifiedImageError:
        return Reading(reason="not a picture, or its header is damaged")
    except MemoryError:
        return Reading(reason="does not fit into memory", lasting=False)
    except ValueError as error:
        return Reading(reason=f"can't be used: {_line(error)}")
    except Exception as error:  # decoders raise all kinds on damaged bytes; none may end the scan
        return Reading(reason=f"truncated or damaged: {_line(error)}")


def _decode(data: bytes) -> Reading:
    """Decode a picture and note what it is."""
    picture = decode(data)
    return Reading(
        hashlib.sha256(data).hexdigest(),
        _phash(picture.upright),
        picture.width,
        picture.height,
        picture.mode,
        picture.format,
        picture.orientation,
    )


def _phash(image: Image.Image) -> str:
    """Return the perceptual hash, 64 bits as 16 hexadecimal digits."""
    import imagehash  # a scan that reads nothing does not need it

    return str(imagehash.phash(to_8_bit(image)))


# ---------------------------------------------------------------- words


def _line(error: BaseException) -> str:
    """Put an error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _classes(counts: pd.Series[int]) -> str:
    """Name classes with their counts, the first twenty of them."""
    named = [f"{label} {count:,}" for label, count in list(counts.items())[:20]]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _faults(quarantine: pd.DataFrame) -> str:
    """Name the first five quarantined paths with their reasons, then the total."""
    first = quarantine.head(OFFENDERS)
    rows = zip(first["path"], first["reason"], strict=True)
    named = [f"{path} ({reason})" for path, reason in rows]
    more = len(quarantine) - len(named)
    return "; ".join(named) + (f"; {len(quarantine):,} in total" if more else "")


def _class_folders(root: Path) -> list[str]:
    """Return the names of the class folders.

    Raises:
        InputError: root is no folder, or holds fewer than two folders.
    """
    if not (root.is_dir() and os.access(root, os.R_OK | os.X_OK)):
        what = "No such folder"
        if root.exists():
            what = "Permission denied" if root.is_dir() else "This is a file"
        raise InputError(
            f"data must name a folder, got {str(root)!r}. {what}. "
            "Give the folder that holds one folder per class."
        )
    names = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_dir(follow_symlinks=False) and not _is_left_out(entry.name)
    )
    if len(names) < 2:
        raise InputError(_too_few_folders(root, names))
    return names


def _too_few_folders(root: Path, names: list[str]) -> str:
    """Say what is missing, and where the class folders may be."""
    got = f"1 ({names[0]!r})" if names else "none"
    remedy = "Put the pictures of each class into a folder of their own"
    if names and sum(entry.is_dir() for entry in os.scandir(root / names[0])) >= 2:
        remedy = f"Give {str(root / names[0])!r} if the class folders lie there"
    return f"data must hold at least 2 class folders, got {got}. Folder {str(root)!r}. {remedy}."


def _require_pictures(argument: str, root: Path, found: Scan) -> None:
    """Raise an InputError where no picture could be read."""
    if len(found.manifest):
        return
    got = _faults(found.quarantine) if len(found.quarantine) else "no file at all"
    raise InputError(
        f"{argument} must hold a readable picture, got {got}. "
        f"{str(root)!r}. Add pictures, or give another path."
    )


def _require_two_classes(root: Path, found: Scan) -> None:
    """Raise an InputError where fewer than two classes hold a readable picture."""
    _require_pictures("data", root, found)
    labels = sorted(set(found.manifest["label"]))
    if len(labels) < 2:
        bad = f": {_faults(found.quarantine)}" if len(found.quarantine) else ""
        raise InputError(
            f"data must hold readable pictures of at least 2 classes, got only {labels[0]!r}{bad}. "
            f"Folder {str(root)!r}. Add pictures of a second class."
        )
