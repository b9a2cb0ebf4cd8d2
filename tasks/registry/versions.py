"""The registered models: what is known of each, and its files.

`<store>/registry/NNNN/` is a version: `version.json`, and links to the files of the run that made
it. What a version uses is never pruned (see `tasks.stage.prune`). Which of them is champion is the
business of `tasks.registry.promotion`.
"""

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from resnext.contracts.errors import InputError
from resnext.contracts.json_files import json_text
from resnext.data.split.settings import JOINED_FILE
from tasks.stage.artifact import sha256_of
from tasks.stage.runs import MODEL, REGISTRY, USED, link_file, used_by
from tasks.stage.store import PARTIAL, is_altered, replace_file

log = logging.getLogger(__name__)

FACTS = "version.json"
LOCK = "registry.lock"
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
    """How it was divided, trained and evaluated, in words by name."""


class Version(About):
    """A registered model."""

    number: int
    run: str
    created: str
    weights: str
    """sha256 of model.safetensors."""
    tables: dict[str, str] = {}
    """sha256 of the tables that a retraining needs, by name."""


def make_version(registry: Path, run: Path, about: About, *, after: int) -> Version:
    """Keep the model of a finished run, numbered after all others; the registry's lock is held.

    Args:
        registry: The registry's folder.
        run: Folder of the run.
        about: What is known of the model.
        after: A number that was taken, whether or not its folder is still there.

    Raises:
        OSError: the run holds no model, or the registry can't be written to.
    """
    from tasks.stage.decorator import all_stages  # it imports Prefect, which `--help` does without

    version = Version(
        **about.model_dump(),
        number=_next_number(registry, after),
        run=run.name,
        created=now(),
        weights=sha256_of(run / MODEL),
        tables={name: sha256_of(run / name) for name in TABLES if (run / name).exists()},
    )
    folder = registry / f"{version.number:04}"
    partial = folder.with_name(f"{folder.name}{PARTIAL}")
    shutil.rmtree(partial, ignore_errors=True)  # of a registration that was killed
    partial.mkdir()
    for name in (name for each in all_stages() for name in each.registered):
        if (run / name).exists():
            link_file(partial / name, (run / name).resolve())
    (partial / USED).write_text("\n".join([*sorted(used_by(run)), ""]), encoding="utf-8")
    write(partial / FACTS, version)
    partial.rename(folder)
    return version


def _next_number(registry: Path, after: int) -> int:
    """Give the number after all that are or were taken, also by a folder that was moved aside."""
    taken = (NUMBER.match(path.name) for path in registry.iterdir() if path.suffix != PARTIAL)
    return max(after, *(int(found[0]) for found in taken if found), 0) + 1


def all_versions(store: Path) -> list[Version]:
    """Give every version, oldest first; one that can't be read is left out, with a warning."""
    found = []
    for folder in version_folders(store):
        try:
            found.append(read(Version, folder / FACTS))
        except InputError as error:
            log.warning("a registered model is left out. %s", error)
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
    raise InputError(
        "N",
        f"be the number of a registered model ({there})",
        number,
        "`flows/models.py list` shows them.",
    )


def require_alias_name(name: str) -> str:
    """Check what --registry is to call a champion.

    Raises:
        InputError: it could be taken for a list of classes, or is too long.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            "registry",
            "be up to 64 letters, digits, '.', '_' or '-'",
            f"{name!r}",
            "Write it as in: --registry skin",
        )
    return name


def registry_folder(store: Path) -> Path:
    """Give the registry's folder, made where it is missing."""
    registry = store / REGISTRY
    registry.mkdir(parents=True, exist_ok=True)
    return registry


def version_folder(store: Path, number: int) -> Path:
    """Give the folder of a version; it may not be there."""
    return store / REGISTRY / f"{number:04}"


def version_file(store: Path, version: Version, name: str) -> Path:
    """Give the place of one of a version's files; it may not be there."""
    return version_folder(store, version.number) / name


def intact_weights(store: Path, version: Version) -> Path:
    """Give a version's weights, which are as they were registered.

    Raises:
        InputError: they are gone or were altered.
    """
    return _as_registered(store, version, MODEL)


def require_tables(store: Path, version: Version) -> None:
    """Check the tables that a retraining needs of its champion.

    Raises:
        InputError: one is gone or was altered.
    """
    for name in dict.fromkeys([*NEEDED, *version.tables]):
        _as_registered(store, version, name)


def _as_registered(store: Path, version: Version, name: str) -> Path:
    file = version_file(store, version, name)
    if file.is_file() and not _differs(file, version):
        return file
    what = "was altered since" if file.is_file() else "is gone"
    raise InputError(
        f"Version {version.number}",
        f"hold {name} as it was registered",
        f"'{file}', which {what}",
        CURE,
    )


def _differs(file: Path, version: Version) -> bool:
    """Tell whether a file is another than was registered; of an old version, by the store."""
    known = {MODEL: version.weights, **version.tables}.get(file.name)
    return is_altered(file) if known is None else sha256_of(file) != known


@contextmanager
def locked(store: Path) -> Iterator[Path]:
    """Hold the registry's lock, the operating system's; give the registry's folder."""
    registry = registry_folder(store)
    with FileLock(registry / LOCK):
        yield registry


def write(path: Path, content: BaseModel) -> None:
    """Write one of the registry's files, in one step."""
    replace_file(path, json_text(content.model_dump(mode="json")).encode())


def read(model: type[Model], path: Path) -> Model:
    """Read one of the registry's files.

    Raises:
        InputError: it can't be read, or holds something else.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            "The registry",
            "hold what was written to it",
            f"'{path}', which can't be read ({reason})",
            f"Put it back, or move {_what_to_move(path)}.",
        ) from error


def _what_to_move(path: Path) -> str:
    """Say what to do without a file that is lost."""
    if path.name == FACTS:
        return "its folder away; if it is the champion's, promote another one: models.py promote N"
    return "it away and name the champion anew: models.py promote N"


def now() -> str:
    """Give the time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
