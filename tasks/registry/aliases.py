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
from tasks.registry.versions import Version, find_version, now, read, write
from tasks.stage.runs import REGISTRY

CHAMPIONS = "champion.json"
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


class Alias(BaseModel):
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

    aliases: tuple[Alias, ...] | None = None
    champion: int | None = None
    changes: tuple[Change, ...] = ()


def label_of(name: str | None, classes: Sequence[str]) -> str:
    """Call an alias by the name that it was given, else by its classes, of many the first."""
    if name is not None:
        return name
    shown = ", ".join(printable(each) for each in sorted(classes)[:SHOWN])
    more = len(classes) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "unknown classes"


def all_aliases(store: Path) -> tuple[Alias, ...]:
    """Give every alias of the registry; none where there is no registry.

    Raises:
        InputError: champion.json can't be read.
    """
    path = store / REGISTRY / CHAMPIONS
    if not path.exists():
        return ()
    file = read(_File, path)
    if file.aliases is not None:
        return file.aliases
    old = Alias(champion=file.champion, changes=file.changes)
    return (old.model_copy(update={"classes": _classes_of(store, old)}),)


def _classes_of(store: Path, old: Alias) -> tuple[str, ...]:
    """Find the classes of an alias that holds none: those of its newest champion that is there."""
    numbers = [old.champion, *(change.version for change in reversed(old.changes))]
    for number in numbers:
        if number is not None:
            try:
                return find_version(store, number).classes
            except InputError:
                continue
    return ()


def alias_to_beat(aliases: Iterable[Alias], name: str | None, classes: Iterable[str]) -> Alias:
    """Give the alias whose champion a model of these classes has to beat.

    That is the one that was named, else that of the same classes, else that of a champion that
    shares the most classes with it: a set that grew by a class is no first model. A new alias where
    there is none of these.
    """
    mine = set(classes)
    if name is not None:
        return next((each for each in aliases if each.name == name), Alias(name=name))
    unnamed = [each for each in aliases if each.name is None]
    if same := [each for each in unnamed if _is_of(each, mine)]:
        return max(same, key=_changed_at)
    related = [each for each in unnamed if each.champion is not None and mine & {*each.classes}]
    nearest = max(
        related, key=lambda each: (len(mine & {*each.classes}), _changed_at(each)), default=None
    )
    return nearest or Alias(classes=tuple(sorted(mine)))


def own_alias(aliases: Iterable[Alias], version: Version) -> Alias:
    """Give the alias that a model becomes champion of: its own name's or classes', maybe new."""
    found = alias_to_beat(aliases, version.registry, version.classes)
    if found.name is not None or _is_of(found, set(version.classes)):
        return found
    return Alias(classes=tuple(sorted(version.classes)))


def find_alias(aliases: Sequence[Alias], text: str) -> Alias | None:
    """Give the alias of a name, or of classes written as `label_of` does.

    Raises:
        InputError: the classes of several read alike.
    """
    found = [each for each in aliases if text == each.name] or [
        each for each in aliases if each.name is None and text == each.label
    ]
    if len(found) > 1:
        raise InputError(
            "registry",
            "name one champion",
            f"'{text}', which are the classes of {len(found)}",
            "Give one a name: models.py promote N --registry NAME.",
        )
    return found[0] if found else None


def require_alias(aliases: Sequence[Alias], text: str) -> Alias:
    """Give the alias of a name or of classes, which must be there.

    Raises:
        InputError: there is none, or the classes of several read alike.
    """
    found = find_alias(aliases, text)
    if found is None:
        there = f"Known: {quoted_labels(aliases)}" if aliases else "None is known yet"
        raise InputError("registry", "name a champion that is registered", f"'{text}'", f"{there}.")
    return found


def the_only_alias(
    aliases: Sequence[Alias], what: str, able: Callable[[Alias], int | None] = lambda _: 1
) -> Alias:
    """Give the one alias that something can be done with; the first where it can with none.

    Raises:
        InputError: there are several.
    """
    fit = [each for each in aliases if able(each) is not None] or list(aliases[:1]) or [Alias()]
    if len(fit) > 1:
        raise InputError(
            "registry",
            "say which champion is meant where there are several",
            "none",
            f"{what} --registry NAME, with one of these names: {quoted_labels(fit)}.",
        )
    return fit[0]


def of_alias(store: Path, alias: Alias) -> str:
    """Say which champion is meant, where there are several aliases; else nothing."""
    return f" of {alias.label}" if len(all_aliases(store)) > 1 else ""


def alias_flag(store: Path, alias: Alias) -> str:
    """Give the flag that names an alias to models.py, where it is needed; else nothing."""
    return f" --registry {quoted_labels([alias])}" if len(all_aliases(store)) > 1 else ""


def quoted_labels(aliases: Iterable[Alias], between: str = ", ") -> str:
    """List aliases as one types them after --registry."""
    return between.join(shlex.quote(each.label) for each in aliases)


def change_alias(
    store: Path, old: Alias, kind: Kind, version: int, champion: Version | None, why: str
) -> Alias:
    """Replace one alias, in one step for all of them; the registry's lock is held."""
    change = Change(at=now(), kind=kind, version=version, previous=old.champion, why=why)
    fresh = old.model_copy(
        update={
            "champion": champion and champion.number,
            "classes": old.classes if champion is None else tuple(sorted(champion.classes)),
            "changes": (*old.changes, change),
        }
    )
    aliases = all_aliases(store)
    path = store / REGISTRY / CHAMPIONS
    for left in path.parent.glob(f"{CHAMPIONS}.*.new"):  # nobody else writes: of a killed writer
        left.unlink()
    replaced = [fresh if each == old else each for each in aliases]
    write(path, _Aliases(aliases=(*replaced, *(() if old in aliases else (fresh,)))))
    return fresh


class _Aliases(BaseModel):
    """What is written to champion.json."""

    aliases: tuple[Alias, ...]


def earlier_champion(alias: Alias) -> int | None:
    """Give the champion that a rollback goes back to; None where there was none."""
    line: list[int | None] = []  # None where a champion was retired
    for change in alias.changes:
        if change.kind == "rollback":
            line = _shortened(line) or [change.version]
        else:
            line.append(change.version if change.kind == "promotion" else None)
    earlier = _shortened(line)
    return earlier[-1] if earlier else None


def _shortened(line: list[int | None]) -> list[int | None]:
    """Leave out the newest champion, and the retirements before it."""
    rest = line[:-1]
    while rest and rest[-1] is None:
        rest = rest[:-1]
    return rest


def _is_of(alias: Alias, classes: set[str]) -> bool:
    """Tell whether an alias is that of these classes; a champion that is lost may be of any."""
    lost = not alias.classes and alias.champion is not None
    return lost or set(alias.classes) == classes


def _changed_at(alias: Alias) -> str:
    return alias.changes[-1].at if alias.changes else ""
