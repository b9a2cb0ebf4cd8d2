"""List the files of a folder: which there are to read, and which can't be, with the reason.

Links are followed to files and folders, wherever they lie: what is linked counts as if it were
copied there. A link back to a folder that it lies in is a fault, else there would be no end.
Hidden and system entries are left out and counted. Paths are relative to the root, with `/`, and
sorted by code point, which is also the order of their UTF-8 bytes: neither the locale nor the
order of a folder's entries shows. It opens no file: whether one holds a picture is not known here.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from resnext.contracts.errors import InputError

FILE_COLUMNS = ["path", "size", "mtime_ns", "inode"]
SYSTEM_NAMES = frozenset({
    # macOS: the other half of a zip archive, and what it leaves on shares
    "__macosx", "icon\r", "network trash folder", "temporary items", "thevolumesettingsfolder",
    "thefindbycontentfolder",
    # Windows
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler",
    "system volume information", "dfsrprivate", *(f"found.{number:03}" for number in range(1000)),
    # Linux and Android: what fsck found
    "lost+found", "lost.dir",
    # NAS: Synology and TerraMaster, QNAP and Asustor, NetApp
    "@eadir", "@tmp", "@sharebin", "@sharesnap", "@synoresource", "#recycle", "#snapshot",
    "@recycle", "@recently-snapshot", "@transcode", "~snapshot",
})  # fmt: skip
"""What systems leave in folders, in lower case; names with a dot in front are left out anyway.

Source: https://github.com/github/gitignore/tree/main/Global (macOS, Windows, Linux);
https://netatalk.io/docs/Special-Files-and-Folders (macOS on shares);
https://man7.org/linux/man-pages/man8/mklost+found.8.html;
https://synology.com/en-uk/knowledgebase/DSM/help/SnapshotReplication/snapshots (#snapshot), and
.../DSM/help/DSM/AdminCenter/file_share_create (#recycle);
https://docs.qnap.com/nas-outdated/4.1/Home/en/share_folders.htm (recycle bin of a share);
https://library.netapp.com/ecmdocs/ECMP1368826/html/GUID-D951E474-AE33-4B4C-A492-F7BBABDAF1F4.html
"""
PART_NAMES = {  # what its makers call the folders of a divided data set, and what we do
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
LARGEST_FILE = 512 << 20  # bytes; a bigger file is no photograph and is not read into memory


@dataclass
class Listing:
    """Collect what a walk finds: files to read, faults by path, and the entries left out.

    A file is what `FILE_COLUMNS` names. `depth` says how many folders deep the class folders lie.
    `system` counts what was left out by the names of `SYSTEM_NAMES`; `outside` names the links
    that lead out of the root with the place that each leads to, and `files_outside` counts the
    files that lie there.
    """

    root: str
    files: list[tuple[str, int, int, int]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    depth: int = 1
    system: Counter[str] = field(default_factory=Counter)
    outside: dict[str, str] = field(default_factory=dict)
    files_outside: int = 0


class _Folder(NamedTuple):
    """Hold a folder to list: the path of its entries below the root, and where it really lies.

    `around` are the folders that hold the links on the way to it; `outside` says that the last one
    leads out of the root.
    """

    prefix: str
    place: str
    around: tuple[str, ...] = ()
    outside: bool = False


def list_classes(root: Path) -> Listing:
    """List a folder of class folders; a file outside of them and an empty class are faults.

    The class folders may also lie in folders named train, val and test.

    Raises:
        InputError: root is no folder, or holds fewer than two class folders.
    """
    _require_folder(root)
    parts = part_folders(root)
    classes = [f"{part}/{name}" for part in parts for name in _folders(root / part)]
    listing = _walk(root)
    listing.depth = 2 if parts else 1
    _set_aside_loose_files(listing)
    _note_empty_classes(listing, classes if parts else _class_folders(root))
    return listing


def part_folders(root: Path) -> list[str]:
    """Name the folders of a data set that comes divided, such as train, val and test.

    Empty where there are other folders beside them, no training folder or nothing else, or where
    one of them holds no folder.
    """
    names = _folders(root) if root.is_dir() and os.access(root, os.R_OK | os.X_OK) else []
    parts = [PART_NAMES.get(name.lower(), "") for name in names]
    divided = len(set(parts)) == len(parts) >= 2 and "train" in parts and "" not in parts
    return names if divided and all(_folders(root / name) for name in names) else []


def list_pictures(source: Path) -> Listing:
    """List a folder of any layout, or one file, whose root is the folder that holds it.

    Raises:
        InputError: source does not exist.
    """
    if not source.exists():
        raise InputError(
            "source",
            "name a picture or a folder",
            f"{str(source)!r}",
            "Nothing is there. Check the path.",
        )
    return _walk(source) if source.is_dir() else _one_file(source)


# ---------------------------------------------------------------- walking


def _walk(root: Path) -> Listing:
    """List every file below root, sorted by path."""
    _real.cache_clear()
    listing = Listing(os.path.realpath(root))
    folders = [_Folder("", listing.root)]
    while folders:
        folders.extend(_list_folder(listing, folders.pop()))
    listing.files.sort()
    return listing


def _list_folder(listing: Listing, folder: _Folder) -> list[_Folder]:
    """Take up one folder's entries and return the folders in it."""
    inner: list[_Folder] = []
    try:
        entries = list(os.scandir(folder.place))
    except OSError as error:
        path = folder.prefix.rstrip("/")
        listing.faults[path] = f"folder can't be opened: {error.strerror}"
        return inner
    before = len(listing.files)
    for entry in entries:
        path = folder.prefix + entry.name
        if _is_left_out(entry.name):
            _leave_out(listing, entry.name)
        elif not entry.name.isprintable() and _is_bad_name(entry.name):
            listing.faults[_shown(path)] = "its name is not UTF-8 or holds a control character"
        elif entry.is_dir(follow_symlinks=False):
            inner.append(folder._replace(prefix=f"{path}/", place=entry.path))
        elif entry.is_symlink():
            inner.extend(_follow(listing, entry, path, folder))
        else:
            _take_file(listing, entry, path)
    if folder.outside:
        listing.files_outside += len(listing.files) - before
    return inner


def _follow(listing: Listing, entry: os.DirEntry[str], path: str, folder: _Folder) -> list[_Folder]:
    """Take up what a link leads to: a file, or a folder, which is returned to be listed."""
    try:
        kind = entry.stat().st_mode
        to = os.path.join(folder.place, os.readlink(entry.path))  # noqa: PTH115, PTH118 - many
        target = os.path.realpath(to) if S_ISDIR(kind) else _real_folder_of(to)
    except OSError as error:
        listing.faults[path] = _why_not_followed(error)
        return []
    around = (*folder.around, folder.place)
    outside = not _lies_in(target, listing.root)
    if S_ISDIR(kind) and any(_lies_in(place, target) for place in around):
        listing.faults[path] = "link back to a folder that it lies in"
        return []
    if not S_ISDIR(kind) and not S_ISREG(kind):
        listing.faults[path] = "not a regular file" + (", outside the folder" if outside else "")
        return []
    if outside and not folder.outside:
        listing.outside[path] = _shown(target)
    if S_ISDIR(kind):
        return [_Folder(f"{path}/", target, around, outside)]
    before = len(listing.files)
    _take_file(listing, entry, path)
    if outside and not folder.outside:
        listing.files_outside += len(listing.files) - before
    return []


def _real_folder_of(file: str) -> str:
    """Resolve the links on the way to a file but the last: many lie in one folder."""
    folder, name = os.path.split(file)
    return f"{_real(folder).rstrip(os.sep)}{os.sep}{name}"


@lru_cache(maxsize=64)
def _real(folder: str) -> str:
    """Resolve the path of a folder, for one walk."""
    return os.path.realpath(folder)


def _why_not_followed(error: OSError) -> str:
    """Say why a link leads to nothing."""
    if error.errno == errno.ELOOP:
        return "link loop"
    lost = error.errno in (errno.ENOENT, errno.ENOTDIR)
    return "broken link" if lost else f"link that can't be followed: {error.strerror}"


def _lies_in(path: str, folder: str) -> bool:
    """Tell whether a real path is a folder's, or that of something in it."""
    return f"{path}{os.sep}".startswith(f"{folder.rstrip(os.sep)}{os.sep}")


def _leave_out(listing: Listing, name: str) -> None:
    """Count a hidden or system entry, and those by name that a person sees in the folder."""
    listing.left_out += 1
    if name[0] != ".":
        listing.system[name.rstrip("\r")] += 1


def _take_file(listing: Listing, entry: os.DirEntry[str], path: str) -> None:
    """Add one entry that is no folder to the files, or to the faults."""
    try:
        stat = entry.stat()  # of what a link leads to: that it changed must show
    except OSError as error:
        listing.faults[path] = f"can't be opened: {error.strerror}"
        return
    if not S_ISREG(stat.st_mode):
        listing.faults[path] = "not a regular file"
    elif stat.st_size > LARGEST_FILE:
        listing.faults[path] = f"{stat.st_size:,} bytes, more than {LARGEST_FILE:,}"
    else:
        listing.files.append((path, *_identity(stat)))


def _identity(stat: os.stat_result) -> tuple[int, int, int]:
    """Return size, mtime and inode, by which a file is known to be unchanged."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ino & ((1 << 63) - 1)


def _one_file(source: Path) -> Listing:
    """List a single file, whatever its name."""
    listing = Listing(os.path.realpath(source.parent))
    if source.is_file():
        listing.files.append((source.name, *_identity(source.stat())))
    else:
        listing.faults[source.name] = "not a regular file"
    return listing


def _is_left_out(name: str) -> bool:
    """Tell hidden and system entries, such as .DS_Store, __MACOSX and Thumbs.db."""
    return name[0] == "." or name.lower() in SYSTEM_NAMES


def _is_bad_name(name: str) -> bool:
    """Tell names that no UTF-8 table can hold in one line."""
    return any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in name)


def _shown(path: str) -> str:
    """Escape what a table can't hold."""
    safe = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in safe)


# ---------------------------------------------------------------- class folders


def _require_folder(root: Path) -> None:
    """Raise an InputError where root is no folder that can be read."""
    if root.is_dir() and os.access(root, os.R_OK | os.X_OK):
        return
    what = "No such folder"
    if root.exists():
        what = "Permission denied" if root.is_dir() else "This is a file"
    raise InputError(
        "data",
        "name a folder",
        f"{str(root)!r}",
        f"{what}. Give the folder that holds one folder per class.",
    )


def _folders(root: Path) -> list[str]:
    """Name the folders in a folder that are not left out, sorted; none where it can't be read."""
    place = os.path.realpath(root)
    try:
        entries = list(os.scandir(place))
    except OSError:
        return []
    return sorted(
        entry.name
        for entry in entries
        if not _is_left_out(entry.name)
        and (entry.is_dir(follow_symlinks=False) or _leads_to_a_folder(entry, place))
    )


def _leads_to_a_folder(entry: os.DirEntry[str], place: str) -> bool:
    """Tell a link to a folder that can be followed, as seen from the folder it lies in."""
    if not entry.is_symlink() or not Path(entry.path).is_dir():
        return False
    return not _lies_in(place, os.path.realpath(entry.path))


def _class_folders(root: Path) -> list[str]:
    """Return the names of the class folders.

    Raises:
        InputError: root holds fewer than two folders, or parts that can't be used as such.
    """
    names = _folders(root)
    if len(names) < 2:
        raise _too_few_folders(root, names)
    parts = [name for name in names if name.lower() in PART_NAMES]
    if len(parts) >= 2:
        raise InputError(
            "data",
            "hold class folders, or train and test folders (val too, if there is "
            "one) with the class folders in each and nothing beside them",
            ", ".join(names[:5]),
            f"Folder {str(root)!r}. Move what is neither away, or give one of these folders.",
        )
    return names


def _too_few_folders(root: Path, names: list[str]) -> InputError:
    """Say what is missing, and where the class folders may be."""
    got = f"1 ({names[0]!r})" if names else "none"
    remedy = "Put the pictures of each class into a folder of their own"
    if names and len(_folders(root / names[0])) >= 2:
        remedy = f"Give {str(root / names[0])!r} if the class folders lie there"
    where = f"Folder {str(root)!r}. {remedy}."
    return InputError("data", "hold at least 2 class folders", got, where)


def _set_aside_loose_files(listing: Listing) -> None:
    """Quarantine the files that lie outside the class folders: they have no class."""
    loose = {entry[0] for entry in listing.files if entry[0].count("/") < listing.depth}
    if loose:
        listing.faults.update(dict.fromkeys(sorted(loose), "lies outside the class folders"))
        listing.files = [entry for entry in listing.files if entry[0] not in loose]


def _note_empty_classes(listing: Listing, classes: list[str]) -> None:
    """Quarantine class folders in which nothing was found, so that they are not lost silently."""
    faulty = {"/".join(path.split("/")[: listing.depth]) for path in listing.faults}
    for name in classes:
        if not _holds_a_file(listing, name) and not {name, _shown(name)} & faulty:
            listing.faults[_shown(name)] = "class folder without a picture"


def _holds_a_file(listing: Listing, folder: str) -> bool:
    """Tell whether a file below a folder was listed; the files are sorted by path."""
    place = bisect_left(listing.files, (f"{folder}/", 0, 0, 0))
    return place < len(listing.files) and listing.files[place][0].startswith(f"{folder}/")
