"""Which model is champion, and since when: registering, promoting, going back, retiring.

Changes are made under a lock of the operating system. Who is champion of what stands in
`tasks.registry.aliases`, the models themselves in `tasks.registry.versions`.
"""

from contextlib import AbstractContextManager, suppress
from pathlib import Path

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import plural
from tasks.registry.aliases import (
    CHAMPIONS,
    Alias,
    Kind,
    alias_to_beat,
    all_aliases,
    change_alias,
    choose_alias,
    earlier_champion,
    find_alias,
    label_of,
    own_alias,
)
from tasks.registry.versions import (
    CURE,
    About,
    Version,
    all_versions,
    find_version,
    intact_weights,
    make_version,
    require_alias_name,
    version_folder,
    version_folders,
)
from tasks.stage.runs import REGISTRY
from tasks.stage.store import locked

BETTER = "better"
"""The verdict that makes a model champion."""


def register(store: Path, run: Path, about: About) -> Version:
    """Register a model that was judged and, if it is better, make it champion: in one step.

    If another one than it was judged against is champion by now, it is only registered, and
    leaves no basis, so that it is judged anew.

    Raises:
        InputError: the registry can't be read.
        OSError: the run holds no model, or the registry can't be written to.
    """
    with _locked(store):
        aliases = all_aliases(store)
        champion = alias_to_beat(aliases, about.registry, about.classes).champion
        if champion != about.against:
            about = _overtaken(about, champion)
        # No new model gets the number of a champion whose folder is gone.
        version = make_version(store, run, about, after=max(_once_champions(aliases), default=0))
        if version.verdict == BETTER:
            alias = own_alias(aliases, version)
            _make_champion(store, alias, "promotion", version.number, version.decision)
    return version


def finish_promotion(store: Path) -> Version | None:
    """Make the model champion that a kill left registered as better; None where there is none.

    Raises:
        InputError: the registry can't be read.
    """
    with _locked(store):
        aliases = all_aliases(store)
        left = _unfinished(store, aliases)
        if left is not None:
            _make_champion(store, own_alias(aliases, left), "promotion", left.number, left.decision)
    return left


def champion_of(store: Path, alias: Alias) -> Version | None:
    """Give the champion of an alias; None where there is none.

    Raises:
        InputError: it is gone, or can't be read.
    """
    number = alias.champion
    if number is None:
        return None
    folder = version_folder(store, number)
    if not folder.is_dir():
        got = f"version {number}, whose folder '{folder}' is gone"
        remedy = CURE.replace("file", "folder")
        raise InputError("The champion", "be in the registry", got, remedy)
    return find_version(store, number)


def versions_of(store: Path, alias: Alias) -> list[Version]:
    """Give the models of an alias, oldest first: of its name, or of its classes without one."""
    return [
        version
        for version in all_versions(store)
        if version.registry == alias.name
        and (alias.name is not None or {*version.classes} == {*alias.classes})
    ]


def require_champions_file(store: Path) -> None:
    """Check that where models are registered it is written down which one is champion, or none.

    Raises:
        InputError: it is not.
    """
    folders, path = version_folders(store), store / REGISTRY / CHAMPIONS
    if folders and not path.exists():
        got = f"{plural(len(folders), 'model')} and no '{path}'"
        remedy = "Put it back, or name the champion: models.py promote N."
        raise InputError("The registry", "say which model is champion", got, remedy)


def promote(store: Path, number: int, why: str, name: str | None = None) -> Alias:
    """Make a version champion: of its own classes or name, or of the name that is given.

    Raises:
        InputError: there is no such version, its weights are gone or altered, it is champion, or
            the name is that of other classes.
    """
    with _locked(store):
        aliases, version = all_aliases(store), find_version(store, number)
        if name is None:
            alias = own_alias(aliases, version)
        else:
            alias = find_alias(aliases, name) or Alias(name=require_alias_name(name))
        if alias.name is None and {*alias.classes} != {*version.classes}:
            got = f"{number}, which is of {label_of(None, version.classes)}"
            remedy = "Leave `registry` out, or give another name."
            raise InputError("N", f"be a model of the classes {alias.label}", got, remedy)
        if alias.champion == number:
            rule = "be another model than the champion"
            raise InputError("N", rule, number, "Nothing was changed.")
        return _make_champion(store, alias, "promotion", number, why)


def rollback(store: Path, why: str, name: str | None = None) -> Alias:
    """Make the champion before the one of now, or before a retirement, champion again.

    Taken twice, it goes back twice.

    Raises:
        InputError: there was none before, its weights are gone or altered, or it is not clear
            whose champion is meant.
    """
    with _locked(store):
        alias = choose_alias(store, name, earlier_champion, "models.py rollback")
        number = earlier_champion(alias)
        if number is None:
            remedy = "`flows/models.py list` shows what is registered."
            raise InputError("rollback", "have an earlier champion to go back to", "none", remedy)
        return _make_champion(store, alias, "rollback", number, why)


def retire(store: Path, why: str, name: str | None = None) -> Alias:
    """Leave nobody champion, so that the next retraining starts anew.

    Raises:
        InputError: nobody is champion, or it is not clear whose champion is meant.
    """
    with _locked(store):
        alias = choose_alias(store, name, lambda each: each.champion, "models.py retire")
        if alias.champion is None:
            raise InputError("retire", "have a champion to retire", "none", "Nothing was changed.")
        return change_alias(store, alias, "retirement", alias.champion, None, why)


def _locked(store: Path) -> AbstractContextManager[None]:
    return locked(store, REGISTRY, "registry")


def _once_champions(aliases: tuple[Alias, ...]) -> set[int]:
    """Give the number of each model that is champion or ever was."""
    return {change.version for each in aliases for change in each.changes}


def _overtaken(about: About, champion: int | None) -> About:
    """Say of a model that it was not compared with the champion of now."""
    if champion is None:
        text = f"not compared with a champion, since version {about.against} was retired meanwhile"
    else:
        text = f"not compared with version {champion}, which became champion meanwhile"
    if about.against is not None:
        text += f"; {about.decision}"
    return about.model_copy(update={"verdict": "not compared", "decision": text, "basis": ""})


def _unfinished(store: Path, aliases: tuple[Alias, ...]) -> Version | None:
    """Find the newest model that was better than its champion of now, and never became one."""
    if not (store / REGISTRY / CHAMPIONS).exists() and len(version_folders(store)) > 1:
        return None  # the file was there and is lost: no telling who should be champion
    once = _once_champions(aliases)
    for version in reversed(all_versions(store)):
        champion = own_alias(aliases, version).champion
        better = (version.verdict, version.against) == (BETTER, champion)
        if better and version.number not in once:
            with suppress(InputError):
                intact_weights(store, version)
                return version
    return None


def _make_champion(store: Path, alias: Alias, kind: Kind, number: int, why: str) -> Alias:
    """Make a version, whose weights are intact, champion of an alias; the lock is held."""
    version = find_version(store, number)
    intact_weights(store, version)
    return change_alias(store, alias, kind, number, version, why)
