"""The registered models: what is known of each, and its files.

`<store>/registry/NNNN/` is a version: `version.json`, and links to the files of the run that made
it. What a version uses is never pruned (see `tasks.stage.prune`). Which of them is champion is the
business of `tasks.registry.promotion`.
"""

import logging
import re
import shutil
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from resnext.contracts.errors import InputError
from resnext.contracts.json_files import json_text
from resnext.data.split.settings import JOINED_FILE
from tasks.stage.artifact import sha256_of
from tasks.stage.runs import MODEL, REGISTRY, USED, link_file, now, used_by
from tasks.stage.store import PARTIAL, is_altered, replace_file

log = logging.getLogger(__name__)

FACTS = "version.json"
NEEDED = ("split.csv", "manifest.csv")
"""Tables of a champion that a retraining can't do without."""
TABLES = (*NEEDED, JOINED_FILE)
"""Tables that a retraining reads; versions of before the last one was written lack it."""
CURE = (
    "Put the file back, make another model champion (models.py promote N), or do without a "
    "champion (models.py retire)."
)
NUMBER = re.compile(r"\d{4,}")
NAME = re.compile(r"\w[\w.-]{0,63}")

Model = TypeVar("Model", bound=BaseModel)


class About(BaseModel):
    """What is known of a model when it is registered."""

    model_config = ConfigDict(frozen=True)

    data: str
    architecture: str
    classes: tuple[str, ...]
    score: str
    decision: str
    basis: str
    """What it was made from and judged by, as a digest: equal where nothing is new."""
    verdict: str = ""
    """How it was judged in a word; "better" makes it champion."""
    against: int | None = None
    """The champion that it was judged against; None where there was none."""
    registry: str | None = None
    """What --registry said; None where its classes say whose champion it can be."""
    use: int | None = None
    """Which decision on its test groups it was (see `uses`); None where there was none."""
    settings: dict[str, str] = {}
    """How it was split, trained and evaluated, as text by name."""


class Version(About):
    """A registered model."""

    number: int
    run: str
    created: str
    weights: str
    """sha256 of model.safetensors."""
    tables: dict[str, str] = {}
    """sha256 of the tables that a retraining needs, by name."""


def make_version(store: Path, run: Path, about: About, *, after: int) -> Version:
    """Keep the model of a finished run; the registry's lock is held.

    Args:
        store: Root of the store.
        run: Folder of the run.
        about: What is known of the model.
        after: A number that was taken, whether or not its folder is still there. The version gets
            the next one, also after folders that were moved aside.

    Raises:
        OSError: the run holds no model, or the registry can't be written to.
    """
    from tasks.stage.decorator import all_stages  # it imports Prefect, which `--help` does without

    registry = store / REGISTRY
    taken = (NUMBER.match(path.name) for path in registry.iterdir() if path.suffix != PARTIAL)
    number = 1 + max([after, *(int(found[0]) for found in taken if found)])
    version = Version(
        **about.model_dump(),
        number=number,
        run=run.name,
        created=now(),
        weights=sha256_of(run / MODEL),
        tables={name: sha256_of(run / name) for name in TABLES if (run / name).exists()},
    )
    folder = registry / f"{number:04}"
    partial = folder.with_name(f"{folder.name}{PARTIAL}")
    shutil.rmtree(partial, ignore_errors=True)  # of a registration that was killed
    partial.mkdir()
    for name in (name for each in all_stages() for name in each.record.registered):
        if (run / name).exists():
            link_file(partial / name, (run / name).resolve())
    (partial / USED).write_text("\n".join([*sorted(used_by(run)), ""]), encoding="utf-8")
    write(partial / FACTS, version)
    partial.rename(folder)
    return version


def all_versions(store: Path) -> list[Version]:
    """Give every version, oldest first; one that can't be read is left out, with a warning."""
    found = []
    for folder in version_folders(store):
        try:
            found.append(read(Version, folder / FACTS))
        except InputError as error:
            log.warning("A registered model is left out. %s", error)
    return found


def version_folders(store: Path) -> list[Path]:
    """Give the folders of the versions, oldest first, readable or not."""
    there = (path for path in (store / REGISTRY).glob("*") if NUMBER.fullmatch(path.name))
    return sorted((path for path in there if path.is_dir()), key=lambda path: int(path.name))


def find_version(store: Path, number: int) -> Version:
    """Give one version, whatever the others are like.

    Raises:
        InputError: there is no such version, or it can't be read.
    """
    folder = version_folder(store, number)
    if folder.is_dir():
        return read(Version, folder / FACTS)
    known = version_folders(store)
    there = f"{int(known[0].name)} to {int(known[-1].name)}" if known else "none yet"
    rule = f"be the number of a registered model ({there})"
    raise InputError("N", rule, number, "`flows/models.py list` shows them.")


def require_alias_name(name: str) -> str:
    """Check what --registry is to call a champion.

    Raises:
        InputError: it could be taken for a list of classes, or is too long.
    """
    if not NAME.fullmatch(name):
        rule = "be up to 64 letters, digits, '.', '_' or '-'"
        raise InputError("registry", rule, repr(name), "Write it as in: --registry skin")
    return name


def version_folder(store: Path, number: int) -> Path:
    """Give the folder of a version; it may not be there."""
    return store / REGISTRY / f"{number:04}"


def version_file(store: Path, version: Version, name: str) -> Path:
    """Give the path of one of a version's files; it may not be there."""
    return version_folder(store, version.number) / name


def intact_weights(store: Path, version: Version) -> Path:
    """Give a version's weights, which are as they were registered.

    Raises:
        InputError: they are gone or were altered.
    """
    require_intact(store, version, [MODEL])
    return version_file(store, version, MODEL)


def require_tables(store: Path, version: Version) -> None:
    """Check the tables that a retraining needs of its champion.

    Raises:
        InputError: one is gone or was altered.
    """
    require_intact(store, version, [*dict.fromkeys([*NEEDED, *version.tables])])


def require_intact(store: Path, version: Version, names: list[str]) -> None:
    """Check files of a version; of an old one, whose digests it lacks, by the store's record.

    Raises:
        InputError: one is gone or was altered.
    """
    digests = {MODEL: version.weights, **version.tables}
    for name in names:
        file, known = version_file(store, version, name), digests.get(name)
        if not file.is_file():
            fault = "is gone"
        elif is_altered(file) if known is None else sha256_of(file) != known:
            fault = "was altered since"
        else:
            continue
        rule = f"hold {name} as it was registered"
        raise InputError(f"Version {version.number}", rule, f"'{file}', which {fault}", CURE)


def write(path: Path, content: BaseModel, **how: Any) -> None:
    """Write one of the registry's files, in one step; `how` chooses the fields."""
    replace_file(path, json_text(content.model_dump(mode="json", **how)).encode())


def read(model: type[Model], path: Path) -> Model:
    """Read one of the registry's files.

    Raises:
        InputError: it can't be read, or holds something else.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        got = f"'{path}', which can't be read ({str(error).splitlines()[0]})"
        remedy = "Put it back, or move it away and name the champion anew: models.py promote N."
        if path.name == FACTS:
            remedy = (
                "Put it back, or move its folder away; if it is the champion's, promote another "
                "one: models.py promote N."
            )
        raise InputError("The registry", "hold what was written to it", got, remedy) from error
