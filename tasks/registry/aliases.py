"""Who is champion of what: an alias for each set of classes, and for each name that was given.

`<store>/registry/champion.json` holds every alias and is replaced in one step, so that a kill
leaves the old champions or the new ones. One from before there were several holds one champion
with its history, and is read as the alias of that champion's classes.
"""

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few, printable
from tasks.registry.versions import Version, all_versions, read, write
from tasks.stage.runs import REGISTRY, now

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

    def is_of(self, classes: Iterable[str]) -> bool:
        """Tell whether it is that of these classes; a champion that is lost may be of any."""
        lost = not self.classes and self.champion is not None
        return lost or {*self.classes} == {*classes}


class _File(BaseModel):
    """What champion.json holds: aliases, or the one champion of before there were several."""

    aliases: tuple[Alias, ...] | None = None
    champion: int | None = None
    changes: tuple[Change, ...] = ()


def label_of(name: str | None, classes: Iterable[str]) -> str:
    """Call an alias by the name that it was given, else by its classes, of many the first."""
    shown = first_few(map(printable, sorted(classes)), most=SHOWN) or "unknown classes"
    return shown if name is None else name


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
    classes = {version.number: version.classes for version in all_versions(store)}
    numbers = [file.champion, *(change.version for change in reversed(file.changes))]
    known = next((classes[number] for number in numbers if number in classes), ())
    return (Alias(champion=file.champion, changes=file.changes, classes=known),)


def alias_to_beat(aliases: Iterable[Alias], name: str | None, classes: Iterable[str]) -> Alias:
    """Give the alias whose champion a model of these classes has to beat.

    That is the one that was named, else that of the same classes, else that of a champion that
    shares the most classes with it: a set that grew by a class is no first model. A new alias where
    there is none of these.
    """
    mine = {*classes}
    if name is not None:
        return next((each for each in aliases if each.name == name), Alias(name=name))
    unnamed = [each for each in aliases if each.name is None]
    same = [each for each in unnamed if each.is_of(mine)]
    related = [each for each in unnamed if each.champion is not None and mine & {*each.classes}]
    return max(
        same or related,
        key=lambda each: (len(mine & {*each.classes}), [change.at for change in each.changes[-1:]]),
        default=Alias(classes=tuple(sorted(mine))),
    )


def own_alias(aliases: Iterable[Alias], version: Version) -> Alias:
    """Give the alias that a model becomes champion of: its own name's or classes', maybe new."""
    found = alias_to_beat(aliases, version.registry, version.classes)
    mine = found.name is not None or found.is_of(version.classes)
    return found if mine else Alias(classes=tuple(sorted(version.classes)))


def find_alias(aliases: Iterable[Alias], text: str) -> Alias | None:
    """Give the alias of a name, or of classes written as `label_of` does; None without one.

    Raises:
        InputError: the classes of several read alike.
    """
    found = sorted(
        (each for each in aliases if text == each.label), key=lambda each: each.name is None
    )
    if len(found) > 1 and found[0].name is None:
        got = f"'{text}', which are the classes of {len(found)}"
        remedy = "Give one a name: models.py promote N --registry NAME."
        raise InputError("registry", "name one champion", got, remedy)
    return found[0] if found else None


def choose_alias(
    store: Path,
    name: str | None = None,
    able: Callable[[Alias], int | None] = lambda _: 1,
    command: str = "models.py",
) -> Alias:
    """Give the alias of a name or of classes; without a name the only one that `able` names.

    Where it names none, the first alias, or an empty one.

    Raises:
        InputError: there is no such alias, or there are several and none was named for `command`.
    """
    aliases = all_aliases(store)
    if name is not None:
        if found := find_alias(aliases, name):
            return found
        there = f"Known: {quoted_labels(aliases)}." if aliases else "None is known yet."
        raise InputError("registry", "name a champion that is registered", f"'{name}'", there)
    fit = [each for each in aliases if able(each) is not None] or [*aliases[:1], Alias()][:1]
    if len(fit) > 1:
        rule = "say which champion is meant where there are several"
        names = f"with one of these names: {quoted_labels(fit)}."
        raise InputError("registry", rule, "none", f"Write: {command} --registry NAME, {names}")
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
    fresh = Alias(
        name=old.name,
        classes=old.classes if champion is None else tuple(sorted(champion.classes)),
        champion=champion and champion.number,
        changes=(*old.changes, change),
    )
    aliases = all_aliases(store)
    path = store / REGISTRY / CHAMPIONS
    for left in path.parent.glob(f"{CHAMPIONS}.*.new"):  # nobody else writes: of a killed writer
        left.unlink()
    kept = [fresh if each == old else each for each in aliases]
    file = _File(aliases=(*kept, *([] if old in aliases else [fresh])))
    write(path, file, include={"aliases"})
    return fresh


def earlier_champion(alias: Alias) -> int | None:
    """Give the champion that a rollback goes back to; None where there was none."""
    line, earlier = list[int](), list[int]()  # the champions up to now, and those to go back to
    for change in alias.changes:
        if change.kind == "promotion":
            line, earlier = [*line, change.version], line
        elif change.kind == "retirement":
            earlier = line
        else:
            line = earlier or [change.version]
            earlier = line[:-1]
    return earlier[-1] if earlier else None
