"""Read classes from the names of folders, and say which folders may be no classes of their own.

It opens no folder: it knows the folders of the pictures by their paths alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from resnext.contracts.formatting import first_few
from resnext.data.manifest.listing import PART_NAMES

FEW = 10  # numbered folders that can be classes, as grades are; more are patients
SAME = 0.5  # share of all inner folders that every class folder must hold to be worth a word
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


def folder_warnings(labels: Mapping[str, str]) -> list[str]:
    """Say which class folders are one class, look like one, or look like parts or sites.

    `labels` holds the class of each folder that pictures lie in, by its path below the root.
    """
    folders = [folder.split("/") for folder in labels]
    flat = all(class_name(f[0]) == label for f, label in zip(folders, labels.values(), strict=True))
    depth = 1 if flat else 2  # of the class folders; above them are the parts
    names = sorted({folder[depth - 1] for folder in folders})
    inner: dict[str, set[str]] = {}
    for folder in folders:
        inner.setdefault(folder[depth - 1], set()).update(folder[depth : depth + 1] or [""])
    return [*_one_class(names), *_alike(names), *_like_parts(names, inner)]


# ---------------------------------------------------------------- names that are nearly equal


def _one_class(names: Sequence[str]) -> list[str]:
    """Tell folders whose names differ in what no screen shows: they are one class."""
    return [
        f"the class folders {first_few(map(ascii, same))} have one name, but for its Unicode form "
        f"or blanks at its ends: they count as one class, {label!r}"
        for label, same in _gathered(names, class_name).items()
        if len(same) > 1
    ]


def _alike(names: Sequence[str]) -> list[str]:
    """Tell classes whose names differ in case, blanks and the like alone."""
    classes = sorted(set(map(class_name, names)))
    return [
        f"the classes {first_few(map(repr, same))} differ in case, blanks or look-alike characters "
        f"alone, and count as {len(same)} classes. If they are one, give their folders one name"
        for same in _gathered(classes, _plain).values()
        if len(same) > 1
    ]


def _plain(name: str) -> str:
    """Reduce a name to what a person tells names apart by."""
    seen = "".join(
        c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf"
    )
    return " ".join(re.split(r"[\s_-]+", seen.casefold().strip(" _-")))


def _gathered(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Gather names by a key, in their order."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return found


# ---------------------------------------------------------------- parts and sites


def _like_parts(names: Sequence[str], inner: Mapping[str, set[str]]) -> list[str]:
    """Tell class folders that are named like parts, or that all hold the same folders."""
    parts = [name for name in names if _PART.search(name.casefold())]
    same = _same_inside(inner)
    if parts:
        are = "folder {} looks like a part" if len(parts) == 1 else "folders {} look like parts"
        said = f"the class {are.format(first_few(parts))} of a data set, not like classes. If so, "
        return [said + _remedy(parts, names, inner)]
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
    found = [folders - {""} for folders in inner.values()] or [set()]
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
    if whole and all(inner[name] - {""} for name in names):
        named = ", ".join(f"{name} to {part}" for part, name in sorted(as_parts.items()))
        return f"rename them ({named}): they are then used as parts"
    if below := sorted(set().union(*inner.values()) - {""}):
        return _on_top(below[0], names[0])
    return "put the pictures of each class, of all parts, into one folder named for the class"


def _on_top(label: str, name: str) -> str:
    """Say how classes get above the parts or sites that hold them."""
    return (
        f"put the classes on top, as in {label}/{name} (links will do), or give one of these "
        "folders as --data"
    )


def _part_of(name: str) -> str:
    """Name the part that a folder is called for; empty where it is only numbered."""
    match = _PART.search(name.casefold())
    return PART_NAMES.get(match["name"] or "", "") if match else ""
