"""Read classes from the names of folders, and say which folders may be no classes of their own.

A class is a folder below the root, or below folders named train, val and test there. Warnings know
the folders of the images by their paths alone.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.data.manifest.listing import SPLIT_FOLDER_NAMES, Listing, list_folders, shown, walk

FEW = 10  # numbered folders that can be classes, as grades are; more are patients
SAME = 0.5  # share of all inner folders that every class folder must hold to be worth a warning
_PART = re.compile(
    r"(?:^|[^a-z])(?:"
    r"(?P<name>train|training|test|testing|val|valid|validation)"
    r"(?:[^a-z]*(?:set|data|images?|imgs?))?[^a-z]*"
    r"|(?:part|fold|split|batch|subset)[^a-z0-9]*\d+)$"
)
_NUMBERED = re.compile(r"(?P<stem>.*?)(?:\d+|(?<![^\W\d_])[a-z])")


@lru_cache(maxsize=10_000)
def class_name(folder: str) -> str:
    """Name the class of a folder: composed characters (NFC), no blanks at its ends.

    A Mac writes names decomposed; the same class has one name wherever its folder was made.
    """
    return unicodedata.normalize("NFC", folder).strip() or folder


def split_folders(root: Path) -> list[str]:
    """Name the folders of a data set that comes divided, such as train, val and test.

    Empty where there are other folders beside them, no training folder or nothing else, or where
    one of them holds no folder.
    """
    names = list_folders(root)
    parts = [SPLIT_FOLDER_NAMES.get(name.lower(), "") for name in names]
    divided = len(set(parts)) == len(parts) >= 2 and "train" in parts and "" not in parts
    return names if divided and all(list_folders(root / name) for name in names) else []


def list_classes(root: Path, known: Collection[str] = ()) -> Listing:
    """List a folder of class folders; a file outside of them and an empty class are faults.

    The class folders may also lie in folders named train, val and test. A single one is enough
    where it is called like one of the `known` classes.

    Raises:
        InputError: root is no folder, or holds fewer than two class folders.
    """
    _require_folder(root)
    parts = split_folders(root)
    classes = [f"{part}/{name}" for part in parts for name in list_folders(root / part)]
    classes = classes or _class_folders(root, known)
    listing = walk(root)
    listing.depth = 2 if parts else 1
    for path, *_ in [file for file in listing.files if file[0].count("/") < listing.depth]:
        listing.faults[path] = "lies outside the class folders"
    listing.files = [file for file in listing.files if file[0] not in listing.faults]
    known = {*listing.faults, *(file[0] for file in listing.files)}
    held = {"/".join(path.split("/")[: listing.depth]) for path in known}
    for name in classes:  # so that they are not lost silently
        if not {name, shown(name)} & held:
            listing.faults[shown(name)] = "class folder without an image"
    return listing


def _require_folder(root: Path) -> None:
    """Raise an InputError where root is no folder that can be read."""
    if root.is_dir() and os.access(root, os.R_OK | os.X_OK):
        return
    what = "No such folder"
    if root.exists():
        what = "Permission denied" if root.is_dir() else "This is a file"
    remedy = f"{what}. Give the folder that holds one folder per class."
    raise InputError("data", "name a folder", f"{str(root)!r}", remedy)


def _class_folders(root: Path, known: Collection[str]) -> list[str]:
    """Return the names of the class folders.

    Raises:
        InputError: root holds fewer than two folders and none of a known class, or parts that
            can't be used as such.
    """
    names = list_folders(root)
    if len(names) < 2 and not {*map(class_name, names)} & {*known}:
        rule = "hold at least 2 class folders"
        if known:
            rule += f", or one that is called like a class of the model ({first_few(known)})"
        got = f"1 ({names[0]!r})" if names else "none"
        remedy = "Put the images of each class into a folder of their own"
        if names and len(list_folders(root / names[0])) >= 2:
            remedy = f"Give {str(root / names[0])!r} if the class folders lie there"
        where = f"Folder {str(root)!r}. {remedy}."
        raise InputError("data", rule, got, where)
    if sum(name.lower() in SPLIT_FOLDER_NAMES for name in names) >= 2:
        raise InputError(
            "data",
            "hold class folders, or train and test folders (val too, if there is "
            "one) with the class folders in each and nothing beside them",
            first_few(names),
            f"Folder {str(root)!r}. Move what is neither away, or give one of these folders.",
        )
    return names


# ---------------------------------------------------------------- names that are nearly equal


def folder_warnings(labels: Mapping[str, str]) -> list[str]:
    """Say which class folders are one class, look like one, or look like parts or sites.

    `labels` holds the class of each folder that images lie in, by its path below the root.
    """
    folders = [folder.split("/") for folder in labels]
    flat = all(class_name(f[0]) == label for f, label in zip(folders, labels.values(), strict=True))
    depth = 1 if flat else 2  # of the class folders; above them are the parts
    names = sorted({folder[depth - 1] for folder in folders})
    inner: dict[str, set[str]] = {}
    for folder in folders:
        inner.setdefault(folder[depth - 1], set()).update(folder[depth : depth + 1])
    one_class = [
        f"the class folders {first_few(map(ascii, same))} have one name, but for its Unicode form "
        f"or blanks at its ends: they count as one class, {label!r}"
        for label, same in _gathered(names, class_name)
    ]
    alike = [
        f"the classes {first_few(map(repr, same))} differ in case, blanks or look-alike characters "
        f"alone, and count as {len(same)} classes. If they are one, give their folders one name"
        for _, same in _gathered(sorted(set(map(class_name, names))), _plain)
    ]
    return [*one_class, *alike, *_like_parts(names, inner)]


def _plain(name: str) -> str:
    """Reduce a name to what a person tells names apart by."""
    composed = unicodedata.normalize("NFKC", name)
    visible = "".join(c for c in composed if unicodedata.category(c) != "Cf")
    return " ".join(re.split(r"[\s_-]+", visible.casefold().strip(" _-")))


def _gathered(names: Iterable[str], key: Callable[[str], str]) -> list[tuple[str, list[str]]]:
    """Gather the names that share a key, where they are several."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return [(shared, same) for shared, same in found.items() if len(same) > 1]


# ---------------------------------------------------------------- parts and sites


def _like_parts(names: Sequence[str], inner: Mapping[str, set[str]]) -> list[str]:
    """Tell class folders that are named like parts, or that all hold the same folders."""
    parts = [name for name in names if _PART.search(name.casefold())]
    if parts:
        are = "folder {} looks like a part" if len(parts) == 1 else "folders {} look like parts"
        said = f"the class {are.format(first_few(parts))} of a data set, not like classes. If so, "
        return [said + _remedy(parts, names, inner)]
    same = _same_inside(inner)
    if not same:
        return []
    said = f"the class folders {first_few(names)} all hold the same folders ({first_few(same)})"
    if all(map(_part_of, same)):
        return [
            f"{said}, which are not used as parts there. To use them, put them on top, as in "
            f"{same[0]}/{names[0]} (links will do)"
        ]
    return [
        f"{said}, as sites or parts do. If {same[0]} is a class and {names[0]} is none, "
        f"{_on_top(same[0], names[0])}; else all is well"
    ]


def _same_inside(inner: Mapping[str, set[str]]) -> list[str]:
    """Name the folders that every class folder holds, where they are most of all; else none.

    Numbered ones are patients or sites below the classes, but where the folders around them are
    numbered too and they are few.
    """
    found = list(inner.values()) or [set()]
    common, every = set.intersection(*found), set.union(*found)
    if len(common) < 2 or len(common) < SAME * len(every):
        return []
    below = _is_numbered(every) and not (_is_numbered(set(inner)) and len(every) <= FEW)
    return [] if below else sorted(common)


def _is_numbered(names: set[str]) -> bool:
    """Tell names that differ in a number or a letter at their end alone, as site_a and site_b."""
    ends = [_NUMBERED.fullmatch(name.casefold()) for name in names]
    return all(ends) and len({end["stem"] for end in ends if end}) == 1


def _remedy(parts: Sequence[str], names: Sequence[str], inner: Mapping[str, set[str]]) -> str:
    """Say what to do with folders that are named like parts."""
    as_parts = {_part_of(name): name for name in parts}
    whole = len(as_parts) == len(names) > 1 and "train" in as_parts and "" not in as_parts
    if whole and all(inner[name] for name in names):
        named = ", ".join(f"{name} to {part}" for part, name in sorted(as_parts.items()))
        return f"rename them ({named}): they are then used as parts"
    if below := sorted(set().union(*inner.values())):
        return _on_top(below[0], names[0])
    return "put the images of each class, of all parts, into one folder named for the class"


def _on_top(label: str, name: str) -> str:
    """Say how classes get above the parts or sites that hold them."""
    return (
        f"put the classes on top, as in {label}/{name} (links will do), or give one of these "
        "folders as --data"
    )


def _part_of(name: str) -> str:
    """Name the part that a folder is called for; empty where it is only numbered."""
    match = _PART.search(name.casefold())
    return SPLIT_FOLDER_NAMES.get(match["name"] or "", "") if match else ""
