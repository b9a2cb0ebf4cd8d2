"""List the files of a folder: which there are to read, and which can't be, with the reason.

Links are followed to files and folders, wherever they lie: what is linked counts as if it were
copied there. A link back to a folder that it lies in is a fault, else there would be no end.
Hidden and system entries are left out and counted. Paths are relative to the root, with `/`, and
sorted by code point, which is also the order of their UTF-8 bytes: neither the locale nor the
order of a folder's entries shows. It opens no file: whether one holds an image is not known here.
"""

from __future__ import annotations

import errno
import os
import re
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
SPLIT_FOLDER_NAMES = {  # how a data set that comes divided names its folders, and how we name them
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
BAD_NAME = re.compile("[\0-\x1f\x7f\ud800-\udfff]")  # what no UTF-8 table can hold in one line
LARGEST_FILE = 512 << 20  # bytes; a bigger file is no photograph and is not read into memory
TABLES = frozenset({".csv", ".tsv"})
ARGUMENT = "source"


@dataclass
class Listing:
    """Collect what a walk finds: files to read, faults by path, and the entries left out.

    A file is what `FILE_COLUMNS` names. `depth` says how many folders deep the class folders lie.
    `system` counts what was left out by the names of `SYSTEM_NAMES`; `outside` names the links
    that lead out of the root with the path that each leads to.
    """

    root: str
    files: list[tuple[str, int, int, int]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    depth: int = 1
    system: Counter[str] = field(default_factory=Counter)
    outside: dict[str, str] = field(default_factory=dict)


class ListedFile(NamedTuple):
    """One file: what tells that it changed, or the reason why it can't be opened."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    reason: str = ""


class Sources(NamedTuple):
    """What lies in the sources: the folder that paths are relative to, the files, and notes."""

    root: Path
    files: list[ListedFile]
    listings: list[Listing]
    notes: list[str]
    address: str = ""
    """That of the root, where the files are not here."""


class _Folder(NamedTuple):
    """Hold a folder to list: the path of its entries below the root, and its real path.

    `around` are the folders that hold the links on the way to it.
    """

    prefix: str
    real: str
    around: tuple[str, ...] = ()


def list_images(source: Path) -> Listing:
    """List a folder of any layout, or one file, whose root is the folder that holds it.

    Raises:
        InputError: source does not exist.
    """
    if source.is_dir():
        return walk(source)
    if not source.exists():
        rule = "name an image or a folder"
        raise InputError("source", rule, f"{str(source)!r}", "Nothing is there. Check the path.")
    listing = Listing(os.path.realpath(source.parent))
    _take_file(listing, source.stat(), source.name)
    return listing


def walk(root: Path) -> Listing:
    """List every file below root, sorted by path."""
    _real_path.cache_clear()
    listing = Listing(os.path.realpath(root))
    folders = [_Folder("", listing.root)]
    while folders:
        folders.extend(_list_folder(listing, folders.pop()))
    listing.files.sort()
    return listing


def list_folders(root: Path) -> list[str]:
    """Name the folders in a folder that are not left out, sorted; none where it can't be read."""
    real = os.path.realpath(root)
    try:
        entries = list(os.scandir(real))
    except OSError:
        return []
    return sorted(
        entry.name
        for entry in entries
        if not is_left_out(entry.name)
        and Path(entry.path).is_dir()
        and not (entry.is_symlink() and _lies_in(real, os.path.realpath(entry.path)))
    )


def shown(path: str) -> str:
    """Escape what a table can't hold."""
    safe = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in safe)


def _list_folder(listing: Listing, folder: _Folder) -> list[_Folder]:
    """Add one folder's entries and return the folders in it."""
    try:
        entries = list(os.scandir(folder.real))
    except OSError as error:
        listing.faults[folder.prefix.rstrip("/")] = f"folder can't be opened: {error.strerror}"
        return []
    inner: list[_Folder] = []
    for entry in entries:
        path = folder.prefix + entry.name
        if is_left_out(entry.name):
            listing.left_out += 1
            if entry.name[0] != ".":  # which a person sees in the folder
                listing.system[entry.name.rstrip("\r")] += 1
        elif BAD_NAME.search(entry.name):
            listing.faults[shown(path)] = "its name is not UTF-8 or holds a control character"
        elif entry.is_dir(follow_symlinks=False):
            inner.append(folder._replace(prefix=f"{path}/", real=entry.path))
        else:
            try:
                stat = entry.stat()  # of what a link leads to: that it changed must show
                if entry.is_symlink() and (linked := _follow(listing, entry, path, folder, stat)):
                    inner.append(linked)
                elif path not in listing.faults:
                    _take_file(listing, stat, path)
            except OSError as error:
                listing.faults[path] = _why_not_opened(error, entry.is_symlink())
    return inner


def _follow(
    listing: Listing, entry: os.DirEntry[str], path: str, folder: _Folder, stat: os.stat_result
) -> _Folder | None:
    """Note where a link leads, and return the folder to list where it leads to one.

    Raises:
        OSError: it can't be followed.
    """
    to = os.path.join(folder.real, os.readlink(entry.path))  # noqa: PTH115, PTH118 - many
    is_folder = S_ISDIR(stat.st_mode)
    target = os.path.realpath(to) if is_folder else _real_path_of_file(to)
    around = (*folder.around, folder.real)
    if is_folder and any(_lies_in(each, target) for each in around):
        listing.faults[path] = "link back to a folder that it lies in"
        return None
    if _lies_in(folder.real, listing.root) and not _lies_in(target, listing.root):
        listing.outside[path] = shown(target)
    return _Folder(f"{path}/", target, around) if is_folder else None


def _real_path_of_file(file: str) -> str:
    """Resolve the links on the way to a file but the last: many lie in one folder."""
    folder, name = os.path.split(file)
    return f"{_real_path(folder).rstrip(os.sep)}{os.sep}{name}"


@lru_cache(maxsize=64)
def _real_path(folder: str) -> str:
    """Resolve the path of a folder, for one walk."""
    return os.path.realpath(folder)


def _lies_in(path: str, folder: str) -> bool:
    """Tell whether a real path is a folder's, or that of something in it."""
    return f"{path}{os.sep}".startswith(f"{folder.rstrip(os.sep)}{os.sep}")


def _why_not_opened(error: OSError, is_link: bool) -> str:
    if not is_link:
        return f"can't be opened: {error.strerror}"
    known = {errno.ELOOP: "link loop", errno.ENOENT: "broken link", errno.ENOTDIR: "broken link"}
    return known.get(error.errno or 0, f"link that can't be followed: {error.strerror}")


def _take_file(listing: Listing, stat: os.stat_result, path: str) -> None:
    """Add one entry that is no folder to the files, or to the faults."""
    if not S_ISREG(stat.st_mode):
        listing.faults[path] = "not a regular file"
    elif stat.st_size > LARGEST_FILE:
        listing.faults[path] = f"{stat.st_size:,} bytes, more than {LARGEST_FILE:,}"
    else:
        inode = stat.st_ino & ((1 << 63) - 1)  # as a table's whole numbers hold it
        listing.files.append((path, stat.st_size, stat.st_mtime_ns, inode))


def is_left_out(name: str) -> bool:
    """Tell hidden and system entries, such as .DS_Store, __MACOSX and Thumbs.db."""
    return name[0] == "." or name.lower() in SYSTEM_NAMES
