"""Who is champion of what: an alias for each set of classes, and for each name that was given.

`<store>/registry/champion.json` holds every alias and is replaced in one step, so that a kill
leaves the old champions or the new ones. One from before there were several holds one champion
with its history, and is read as the alias of that champion's classes.
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import printable
from tasks.registry.versions import Version, find, now, read, write
from tasks.stage.runs import REGISTRY

POINTER = "champion.json"
SHOWN = 6  # classes, in the label of an alias

Kind = Literal["promotion", "rollback", "retirement"]


class Change(BaseModel):
    """One promotion, rollback or retirement."""

    model_config = ConfigDict(frozen=True)

    at: str
    kind: Kind
    version: int
    """Who became champion; of a retirement, who is it no more."""
    previous: int | None
    why: str


class Pointer(BaseModel):
    """Who is champion under one alias, and every change that led there, oldest first."""

    model_config = ConfigDict(frozen=True)

    name: str | None = None
    """What --registry called it; None where its classes name it."""
    classes: tuple[str, ...] = ()
    """Those of its champion, or of its last one; empty where nobody knows them."""
    champion: int | None = None
    changes: tuple[Change, ...] = ()

    @property
    def label(self) -> str:
        """Call the alias as --registry takes it."""
        return label_of(self.name, self.classes)


class _File(BaseModel):
    """What champion.json holds: aliases, or the one champion of before there were several."""

    aliases: tuple[Pointer, ...] | None = None
    champion: int | None = None
    changes: tuple[Change, ...] = ()


def label_of(name: str | None, classes: Sequence[str]) -> str:
    """Call an alias by the name that it was given, else by its classes, of many the first."""
    if name is not None:
        return name
    shown = ", ".join(printable(each) for each in sorted(classes)[:SHOWN])
    more = len(classes) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "unknown classes"


def pointers(store: Path) -> tuple[Pointer, ...]:
    """Give every alias of the registry; none where there is no registry.

    Raises:
        InputError: champion.json can't be read.
    """
    path = store / REGISTRY / POINTER
    if not path.exists():
        return ()
    file = read(_File, path)
    if file.aliases is not None:
        return file.aliases
    old = Pointer(champion=file.champion, changes=file.changes)
    return (old.model_copy(update={"classes": _classes_of(store, old)}),)


def _classes_of(store: Path, old: Pointer) -> tuple[str, ...]:
    """Find the classes of an alias that holds none: those of its newest champion that is there."""
    numbers = [old.champion, *(change.version for change in reversed(old.changes))]
    for number in numbers:
        if number is not None:
            try:
                return find(store, number).classes
            except InputError:
                continue
    return ()


def judged_in(known: Iterable[Pointer], name: str | None, classes: Iterable[str]) -> Pointer:
    """Give the alias whose champion a model of these classes has to beat.

    That is the one that was named, else that of the same classes, else that of a champion that
    shares the most classes with it: a set that grew by a class is no first model. A new alias where
    there is none of these.
    """
    mine = set(classes)
    if name is not None:
        return next((each for each in known if each.name == name), Pointer(name=name))
    unnamed = [each for each in known if each.name is None]
    if same := [each for each in unnamed if _is_of(each, mine)]:
        return max(same, key=_changed_at)
    related = [each for each in unnamed if each.champion is not None and mine & {*each.classes}]
    nearest = max(
        related, key=lambda each: (len(mine & {*each.classes}), _changed_at(each)), default=None
    )
    return nearest or Pointer(classes=tuple(sorted(mine)))


def own_of(known: Iterable[Pointer], version: Version) -> Pointer:
    """Give the alias that a model becomes champion of: its own name's or classes', maybe new."""
    found = judged_in(known, version.registry, version.classes)
    if found.name is not None or _is_of(found, set(version.classes)):
        return found
    return Pointer(classes=tuple(sorted(version.classes)))


def named(known: Sequence[Pointer], text: str) -> Pointer | None:
    """Give the alias of a name, or of classes written as `label_of` does.

    Raises:
        InputError: the classes of several read alike.
    """
    found = [each for each in known if text == each.name] or [
        each for each in known if each.name is None and text == each.label
    ]
    if len(found) > 1:
        raise InputError(
            "registry",
            "name one champion",
            f"'{text}', which are the classes of {len(found)}",
            "Give one a name: models.py promote N --registry NAME.",
        )
    return found[0] if found else None


def require_named(known: Sequence[Pointer], text: str) -> Pointer:
    """Give the alias of a name or of classes, which must be there.

    Raises:
        InputError: there is none, or the classes of several read alike.
    """
    found = named(known, text)
    if found is None:
        there = f"Known: {quoted(known)}" if known else "None is known yet"
        raise InputError(
            "registry",
            "name a champion that is registered",
            f"'{text}'",
            f"{there}.",
        )
    return found


def only_one(
    known: Sequence[Pointer], what: str, able: Callable[[Pointer], bool] = lambda _: True
) -> Pointer:
    """Give the one alias that something can be done with; the first where it can with none.

    Raises:
        InputError: there are several.
    """
    fit = [each for each in known if able(each)] or list(known[:1]) or [Pointer()]
    if len(fit) > 1:
        raise InputError(
            "registry",
            "say which champion is meant where there are several",
            "none",
            f"{what} --registry NAME, with one of these names: {quoted(fit)}.",
        )
    return fit[0]


def whose(store: Path, alias: Pointer) -> str:
    """Say which champion is meant, where there are several aliases; else nothing."""
    return f" of {alias.label}" if len(pointers(store)) > 1 else ""


def to_type(store: Path, alias: Pointer) -> str:
    """Give the flag that names an alias to models.py, where it is needed; else nothing."""
    return f" --registry {quoted([alias])}" if len(pointers(store)) > 1 else ""


def quoted(known: Iterable[Pointer], between: str = ", ") -> str:
    """List aliases as one types them after --registry."""
    return between.join(shlex.quote(each.label) for each in known)


def point(
    store: Path, old: Pointer, kind: Kind, version: int, champion: Version | None, why: str
) -> Pointer:
    """Replace one alias, in one step for all of them; the registry's lock is held."""
    change = Change(at=now(), kind=kind, version=version, previous=old.champion, why=why)
    fresh = old.model_copy(
        update={
            "champion": champion and champion.number,
            "classes": old.classes if champion is None else tuple(sorted(champion.classes)),
            "changes": (*old.changes, change),
        }
    )
    known = pointers(store)
    path = store / REGISTRY / POINTER
    for left in path.parent.glob(f"{POINTER}.*.new"):  # nobody else writes: of a killed writer
        left.unlink()
    replaced = [fresh if each == old else each for each in known]
    write(path, _Aliases(aliases=(*replaced, *(() if old in known else (fresh,)))))
    return fresh


class _Aliases(BaseModel):
    """What is written to champion.json."""

    aliases: tuple[Pointer, ...]


def before(present: Pointer) -> int:
    """Give the champion that a rollback goes back to.

    Raises:
        InputError: there was none.
    """
    line: list[int | None] = []  # None where a champion was retired
    for change in present.changes:
        if change.kind == "rollback":
            line = _shortened(line) or [change.version]
        else:
            line.append(change.version if change.kind == "promotion" else None)
    earlier = _shortened(line)
    if not earlier or earlier[-1] is None:
        raise InputError(
            "rollback",
            "have an earlier champion to go back to",
            "none",
            "`flows/models.py list` shows what is registered.",
        )
    return earlier[-1]


def _shortened(line: list[int | None]) -> list[int | None]:
    """Leave out the newest champion, and the retirements before it."""
    rest = line[:-1]
    while rest and rest[-1] is None:
        rest = rest[:-1]
    return rest


def _is_of(pointer: Pointer, classes: set[str]) -> bool:
    """Tell whether an alias is that of these classes; a champion that is lost may be of any."""
    lost = not pointer.classes and pointer.champion is not None
    return lost or set(pointer.classes) == classes


def _changed_at(pointer: Pointer) -> str:
    return pointer.changes[-1].at if pointer.changes else ""
