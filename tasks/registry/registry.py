"""Which model is champion, and since when: registering, promoting, going back, retiring.

Changes are made under a lock of the operating system. Who is champion of what stands in
`tasks.registry.aliases`, the models themselves in `tasks.registry.versions`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import plural
from tasks.registry.aliases import (
    POINTER,
    Change,
    Kind,
    Pointer,
    before,
    judged_in,
    label_of,
    named,
    only_one,
    own_of,
    point,
    pointers,
    quoted,
    require_named,
    to_type,
    whose,
)
from tasks.registry.versions import (
    CURE,
    About,
    Version,
    file_of,
    find,
    folder_of,
    folders,
    locked,
    make_version,
    place_of,
    require_name,
    require_tables,
    versions,
    whole,
)
from tasks.stage.runs import REGISTRY

__all__ = [
    "BETTER",
    "About",
    "Change",
    "Pointer",
    "Version",
    "admit",
    "champion",
    "champion_of",
    "file_of",
    "find",
    "finish_promotion",
    "folder_of",
    "judged_in",
    "label_of",
    "place_of",
    "pointer",
    "pointers",
    "promote",
    "quoted",
    "require_champion",
    "require_name",
    "require_named",
    "require_pointer",
    "require_tables",
    "retire",
    "rollback",
    "to_type",
    "versions",
    "versions_of",
    "whole",
    "whose",
]

BETTER = "better"
"""The verdict that makes a model champion."""


def admit(store: Path, run: Path, about: About) -> Version:
    """Register a model that was judged and, if it is better, make it champion: in one step.

    If another one than it was judged against is champion by now, it is only registered, and
    leaves no basis, so that it is judged anew.

    Raises:
        InputError: the registry can't be read.
        OSError: the run holds no model, or the registry can't be written to.
    """
    with locked(store) as registry:
        known = pointers(store)
        present = judged_in(known, about.registry, about.classes).champion
        if present != about.against:
            about = _overtaken(about, present)
        version = make_version(registry, run, about, after=_newest_named(known))
        if version.verdict == BETTER:
            _crown(store, own_of(known, version), "promotion", version.number, version.decision)
    return version


def finish_promotion(store: Path) -> Version | None:
    """Make the model champion that a kill left registered as better; None where there is none.

    Raises:
        InputError: the registry can't be read.
    """
    with locked(store):
        known = pointers(store)
        left = _unfinished(store, known)
        if left is not None:
            _crown(store, own_of(known, left), "promotion", left.number, left.decision)
    return left


def pointer(store: Path, name: str | None = None) -> Pointer:
    """Give who is champion under a name, or under the only alias; nobody where there is none.

    Raises:
        InputError: there is no such alias, or there are several and none was named.
    """
    known = pointers(store)
    if name is not None:
        return require_named(known, name)
    return only_one(known, "Give")


def champion(store: Path, name: str | None = None) -> Version | None:
    """Give the champion under a name, or under the only alias; None where there is none.

    Raises:
        InputError: it is gone, or can't be read, or it is not clear whose champion is meant.
    """
    return champion_of(store, pointer(store, name))


def champion_of(store: Path, present: Pointer) -> Version | None:
    """Give the champion of an alias; None where there is none.

    Raises:
        InputError: it is gone, or can't be read.
    """
    number = present.champion
    if number is None:
        return None
    folder = place_of(store, number)
    if not folder.is_dir():
        raise InputError(
            "The champion",
            "be in the registry",
            f"version {number}, whose folder '{folder}' is gone",
            CURE.replace("file", "folder"),
        )
    return find(store, number)


def require_champion(store: Path, name: str) -> Pointer:
    """Give the alias of a name, or of classes, that has a champion.

    Raises:
        InputError: there is no such alias, or nobody is champion.
    """
    found = pointer(store, name)
    if found.champion is None:
        raise InputError(
            "registry",
            "name a champion",
            f"'{name}', which has none since it was retired",
            "Take that back (models.py rollback), or name a file with `model`.",
        )
    return found


def versions_of(store: Path, present: Pointer) -> list[Version]:
    """Give the models of an alias, oldest first: of its name, or of its classes without one."""
    return [
        version
        for version in versions(store)
        if version.registry == present.name
        and (present.name is not None or {*version.classes} == {*present.classes})
    ]


def require_pointer(store: Path) -> None:
    """Check that where models are registered it is written down which one is champion, or none.

    Raises:
        InputError: it is not.
    """
    known, path = folders(store), store / REGISTRY / POINTER
    if known and not path.exists():
        raise InputError(
            "The registry",
            "say which model is champion",
            f"{plural(len(known), 'model')} and no '{path}'",
            "Put it back, or name the champion: models.py promote N.",
        )


def promote(store: Path, number: int, why: str, name: str | None = None) -> Pointer:
    """Make a version champion: of its own classes or name, or of the name that is given.

    Raises:
        InputError: there is no such version, its weights are gone or altered, it is champion, or
            the name is that of other classes.
    """
    with locked(store):
        known = pointers(store)
        version = find(store, number)
        present = own_of(known, version) if name is None else _to_promote_in(known, version, name)
        if present.champion == number:
            raise InputError(
                "N",
                "be another model than the champion",
                number,
                "Nothing was changed.",
            )
        return _crown(store, present, "promotion", number, why)


def _to_promote_in(known: tuple[Pointer, ...], version: Version, name: str) -> Pointer:
    """Give the alias of a name, a new one where there is none, that can hold a version."""
    present = named(known, name) or Pointer(name=require_name(name))
    if present.name is None and {*present.classes} != {*version.classes}:
        raise InputError(
            "N",
            f"be a model of the classes {present.label}",
            f"{version.number}, which is of {label_of(None, version.classes)}",
            "Leave `registry` out, or give another name.",
        )
    return present


def rollback(store: Path, why: str, name: str | None = None) -> Pointer:
    """Make the champion from before the present one, or from before a retirement, champion again.

    Taken twice, it goes back twice.

    Raises:
        InputError: there was none before, its weights are gone or altered, or it is not clear
            whose champion is meant.
    """
    with locked(store):
        known = pointers(store)
        present = _chosen(known, name, "Write: models.py rollback", _has_earlier)
        return _crown(store, present, "rollback", before(present), why)


def retire(store: Path, why: str, name: str | None = None) -> Pointer:
    """Leave nobody champion, so that the next retraining starts anew.

    Raises:
        InputError: nobody is champion, or it is not clear whose champion is meant.
    """
    with locked(store):
        known = pointers(store)
        present = _chosen(known, name, "Write: models.py retire", _has_champion)
        if present.champion is None:
            raise InputError(
                "retire",
                "have a champion to retire",
                "none",
                "Nothing was changed.",
            )
        return point(store, present, "retirement", present.champion, None, why)


def _chosen(
    known: tuple[Pointer, ...], name: str | None, what: str, able: Callable[[Pointer], bool]
) -> Pointer:
    """Give the alias that was named, else the only one that something can be done with."""
    return only_one(known, what, able) if name is None else require_named(known, name)


def _has_champion(present: Pointer) -> bool:
    return present.champion is not None


def _has_earlier(present: Pointer) -> bool:
    try:
        return before(present) is not None
    except InputError:
        return False


def _newest_named(known: Iterable[Pointer]) -> int:
    """Give the highest number that was ever champion, so that no new model is taken for it."""
    return max((change.version for each in known for change in each.changes), default=0)


def _overtaken(about: About, present: int | None) -> About:
    """Say of a model that it was not compared with the champion of now."""
    if present is None:
        words = f"not compared with a champion, since version {about.against} was retired meanwhile"
    else:
        words = f"not compared with version {present}, which became champion meanwhile"
    if about.against is not None:
        words += f"; {about.decision}"
    return about.model_copy(update={"verdict": "not compared", "decision": words, "basis": ""})


def _unfinished(store: Path, known: tuple[Pointer, ...]) -> Version | None:
    """Find the newest model that was better than its champion of now, and never became one."""
    if not (store / REGISTRY / POINTER).exists() and len(folders(store)) > 1:
        return None  # a pointer was there and is lost: no telling who should be champion
    once = {change.version for each in known for change in each.changes}
    left = [
        version
        for version in versions(store)
        if (version.verdict, version.against) == (BETTER, own_of(known, version).champion)
        and version.number not in once
        and _is_whole(store, version)
    ]
    return left[-1] if left else None


def _is_whole(store: Path, version: Version) -> bool:
    try:
        return whole(store, version).is_file()
    except InputError:
        return False


def _crown(store: Path, present: Pointer, kind: Kind, number: int, why: str) -> Pointer:
    """Make a whole version champion of an alias; the lock is held."""
    version = find(store, number)
    whole(store, version)
    return point(store, present, kind, number, version, why)
