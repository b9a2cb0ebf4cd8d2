"""Which model is champion, and since when.

`<store>/registry/champion.json` names the champion and tells how it came to be; it is replaced
in one step, so that a kill leaves the old champion or the new one. Changes are made under a lock
of the operating system. The models themselves are described in `tasks.versions`.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from reports.words import plural
from resnext.errors import InputError
from tasks.stage.run import REGISTRY
from tasks.versions import (
    CURE,
    About,
    Version,
    file_of,
    find,
    folder_of,
    folders,
    locked,
    make_version,
    now,
    place_of,
    read,
    require_tables,
    versions,
    whole,
    write,
)

__all__ = [
    "BETTER",
    "About",
    "Change",
    "Pointer",
    "Version",
    "admit",
    "champion",
    "file_of",
    "find",
    "finish_promotion",
    "folder_of",
    "place_of",
    "pointer",
    "promote",
    "require_pointer",
    "require_tables",
    "retire",
    "rollback",
    "versions",
    "whole",
]

POINTER = "champion.json"
BETTER = "better"
"""The verdict that makes a model champion."""

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
    """Who is champion, and every change that led there, oldest first."""

    model_config = ConfigDict(frozen=True)

    champion: int | None = None
    changes: tuple[Change, ...] = ()


def admit(store: Path, run: Path, about: About) -> Version:
    """Register a model that was judged and, if it is better, make it champion: in one step.

    If another one than it was judged against is champion by now, it is only registered, and
    leaves no basis, so that it is judged anew.

    Raises:
        InputError: the registry can't be read.
        OSError: the run holds no model, or the registry can't be written to.
    """
    with locked(store) as registry:
        present = pointer(store).champion
        if present != about.against:
            about = _overtaken(about, present)
        version = make_version(registry, run, about, after=_newest_named(store))
        if version.verdict == BETTER:
            _crown(store, "promotion", version.number, version.decision)
    return version


def finish_promotion(store: Path) -> Version | None:
    """Make the model champion that a kill left registered as better; None where there is none.

    Raises:
        InputError: the registry can't be read.
    """
    with locked(store):
        left = _unfinished(store)
        if left is not None:
            _crown(store, "promotion", left.number, left.decision)
    return left


def pointer(store: Path) -> Pointer:
    """Give who is champion and how that came; nobody where there is no registry."""
    path = store / REGISTRY / POINTER
    return read(Pointer, path) if path.exists() else Pointer()


def champion(store: Path) -> Version | None:
    """Give the champion; None where there is none.

    Raises:
        InputError: it is gone, or can't be read.
    """
    number = pointer(store).champion
    if number is None:
        return None
    folder = place_of(store, number)
    if not folder.is_dir():
        raise InputError(
            f"The champion must be in the registry, got version {number}, whose folder "
            f"'{folder}' is gone. {CURE.replace('file', 'folder')}"
        )
    return find(store, number)


def require_pointer(store: Path) -> None:
    """Check that where models are registered it is written down which one is champion, or none.

    Raises:
        InputError: it is not.
    """
    known, path = folders(store), store / REGISTRY / POINTER
    if known and not path.exists():
        raise InputError(
            f"The registry must say which model is champion, got {plural(len(known), 'model')} and "
            f"no '{path}'. Put it back, or name the champion: models.py promote N."
        )


def promote(store: Path, number: int, why: str) -> Pointer:
    """Make a version champion.

    Raises:
        InputError: there is no such version, its weights are gone or altered, or it is champion.
    """
    with locked(store):
        if pointer(store).champion == number:
            raise InputError(
                f"N must be another model than the champion, got {number}. Nothing was changed."
            )
        return _crown(store, "promotion", number, why)


def rollback(store: Path, why: str) -> Pointer:
    """Make the champion from before the present one, or from before a retirement, champion again.

    Taken twice, it goes back twice.

    Raises:
        InputError: there was none before, or its weights are gone or altered.
    """
    with locked(store):
        return _crown(store, "rollback", _before(pointer(store)), why)


def retire(store: Path, why: str) -> Pointer:
    """Leave nobody champion, so that the next retraining starts anew.

    Raises:
        InputError: nobody is champion.
    """
    with locked(store):
        last = pointer(store).champion
        if last is None:
            raise InputError(
                "retire must have a champion to retire, got none. Nothing was changed."
            )
        return _point(store, "retirement", last, None, why)


def _newest_named(store: Path) -> int:
    """Give the highest number that was ever champion, so that no new model is taken for it."""
    return max((change.version for change in pointer(store).changes), default=0)


def _overtaken(about: About, present: int | None) -> About:
    """Say of a model that it was not compared with the champion of now."""
    if present is None:
        words = f"not compared with a champion, since version {about.against} was retired meanwhile"
    else:
        words = f"not compared with version {present}, which became champion meanwhile"
    if about.against is not None:
        words += f"; {about.decision}"
    return about.model_copy(update={"verdict": "not compared", "decision": words, "basis": ""})


def _unfinished(store: Path) -> Version | None:
    """Find the newest model that was better than the present champion, and never became one."""
    if not (store / REGISTRY / POINTER).exists() and len(folders(store)) > 1:
        return None  # a pointer was there and is lost: no telling who should be champion
    present = pointer(store)
    once = {change.version for change in present.changes}
    left = [
        version
        for version in versions(store)
        if (version.verdict, version.against) == (BETTER, present.champion)
        and version.number not in once
        and _is_whole(store, version)
    ]
    return left[-1] if left else None


def _is_whole(store: Path, version: Version) -> bool:
    try:
        return whole(store, version).is_file()
    except InputError:
        return False


def _crown(store: Path, kind: Kind, number: int, why: str) -> Pointer:
    """Make a whole version champion; the lock is held."""
    whole(store, find(store, number))
    return _point(store, kind, number, number, why)


def _point(store: Path, kind: Kind, version: int, champion: int | None, why: str) -> Pointer:
    """Replace the pointer, in one step; the lock is held."""
    old, path = pointer(store), store / REGISTRY / POINTER
    change = Change(at=now(), kind=kind, version=version, previous=old.champion, why=why)
    fresh = Pointer(champion=champion, changes=(*old.changes, change))
    for left in path.parent.glob(f"{POINTER}.*.new"):  # nobody else writes: of a killed writer
        left.unlink()
    write(path, fresh)
    return fresh


def _before(present: Pointer) -> int:
    """Give the champion that a rollback goes back to."""
    line: list[int | None] = []  # None where a champion was retired
    for change in present.changes:
        if change.kind == "rollback":
            line = _shortened(line) or [change.version]
        else:
            line.append(change.version if change.kind == "promotion" else None)
    earlier = _shortened(line)
    if not earlier or earlier[-1] is None:
        raise InputError(
            "rollback must have an earlier champion to go back to, got none. "
            "`flows/models.py list` shows what is registered."
        )
    return earlier[-1]


def _shortened(line: list[int | None]) -> list[int | None]:
    """Leave out the newest champion, and the retirements before it."""
    rest = line[:-1]
    while rest and rest[-1] is None:
        rest = rest[:-1]
    return rest
