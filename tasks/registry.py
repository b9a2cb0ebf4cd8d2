"""Which model is champion, and since when.

`<store>/registry/NNNN/` is a version: `version.json`, and links to the files of the run that made
it. `<store>/registry/champion.json` names the champion and tells how it came to be; it is replaced
in one step, so that a kill leaves the old champion or the new one. Changes are made under a lock
of the operating system. What a version uses is never pruned (see `tasks.stage.prune`).
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from resnext.errors import InputError
from tasks.stage.artifact import sha256_of
from tasks.stage.run import MODEL, REGISTRY, USED, link_file, used_by
from tasks.stage.store import PARTIAL, replace_file

POINTER = "champion.json"
FACTS = "version.json"
LOCK = "registry.lock"
KEPT = (
    MODEL, "calibration.json", "metrics.json", "predictions.csv", "split.csv", "manifest.csv",
    "report.html",
)  # fmt: skip
"""Files of a run that a version links."""


Model = TypeVar("Model", bound=BaseModel)
Kind = Literal["promotion", "rollback"]


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


class Version(About):
    """A registered model."""

    number: int
    run: str
    created: str
    weights: str
    """sha256 of model.safetensors."""


class Change(BaseModel):
    """One promotion or rollback."""

    model_config = ConfigDict(frozen=True)

    at: str
    kind: Kind
    version: int
    previous: int | None
    why: str


class Pointer(BaseModel):
    """Who is champion, and every change that led there, oldest first."""

    model_config = ConfigDict(frozen=True)

    champion: int | None = None
    changes: tuple[Change, ...] = ()


def register(store: Path, run: Path, about: About) -> Version:
    """Keep the model of a finished run as a new version.

    Raises:
        OSError: the run holds no model, or the registry can't be written to.
    """
    with _locked(store) as registry:
        number = max((version.number for version in versions(store)), default=0) + 1
        version = Version(
            **about.model_dump(),
            number=number,
            run=run.name,
            created=_now(),
            weights=sha256_of(run / MODEL),
        )
        folder = registry / f"{number:04}"
        partial = folder.with_name(f"{folder.name}{PARTIAL}")
        shutil.rmtree(partial, ignore_errors=True)  # of a registration that was killed
        partial.mkdir()
        for name in KEPT:
            if (run / name).exists():
                link_file(partial / name, (run / name).resolve())
        (partial / USED).write_text("\n".join([*sorted(used_by(run)), ""]), encoding="utf-8")
        _write(partial / FACTS, version)
        partial.rename(folder)
    return version


def versions(store: Path) -> list[Version]:
    """Give every version, oldest first."""
    folders = sorted(path for path in (store / REGISTRY).glob("[0-9]*") if path.suffix != PARTIAL)
    return [_read(Version, folder / FACTS) for folder in folders]


def pointer(store: Path) -> Pointer:
    """Give who is champion and how that came; nobody where there is no registry."""
    path = store / REGISTRY / POINTER
    return _read(Pointer, path) if path.exists() else Pointer()


def champion(store: Path) -> Version | None:
    """Give the champion; None where there is none yet."""
    number = pointer(store).champion
    return None if number is None else find(store, number)


def find(store: Path, number: int) -> Version:
    """Give one version.

    Raises:
        InputError: there is no such version.
    """
    known = versions(store)
    for version in known:
        if version.number == number:
            return version
    there = f"1 to {len(known)}" if known else "none yet"
    raise InputError(
        f"N must be the number of a registered model ({there}), got {number}. "
        "`flows/models.py list` shows them."
    )


def folder_of(store: Path) -> Path:
    """Give the registry's folder, made where it is missing."""
    registry = store / REGISTRY
    registry.mkdir(parents=True, exist_ok=True)
    return registry


def file_of(store: Path, version: Version, name: str) -> Path:
    """Give the place of one of a version's files; it may not be there."""
    return store / REGISTRY / f"{version.number:04}" / name


def promote(store: Path, number: int, why: str) -> Pointer:
    """Make a version champion.

    Raises:
        InputError: there is no such version, its weights are gone or altered, or it is champion.
    """
    with _locked(store):
        if pointer(store).champion == number:
            raise InputError(
                f"N must be another model than the champion, got {number}. Nothing was changed."
            )
        return _crown(store, "promotion", number, why)


def rollback(store: Path, why: str) -> Pointer:
    """Make the champion that the present one was promoted over champion again.

    Taken twice, it goes back twice.

    Raises:
        InputError: there was none before, or its weights are gone or altered.
    """
    with _locked(store):
        return _crown(store, "rollback", _before(pointer(store)), why)


def _crown(store: Path, kind: Kind, number: int, why: str) -> Pointer:
    """Replace the pointer, in one step; the lock is held."""
    whole(store, find(store, number))
    now = pointer(store)
    change = Change(at=_now(), kind=kind, version=number, previous=now.champion, why=why)
    fresh = Pointer(champion=number, changes=(*now.changes, change))
    _write(store / REGISTRY / POINTER, fresh)
    return fresh


def _before(now: Pointer) -> int:
    line: list[int] = []
    for change in now.changes:
        if change.kind == "promotion":
            line.append(change.version)
        else:
            line.pop()
    if len(line) < 2:
        raise InputError(
            "rollback must have an earlier champion to go back to, got none. "
            "`flows/models.py list` shows what is registered."
        )
    return line[-2]


def whole(store: Path, version: Version) -> Path:
    """Give a version's weights, which are as they were registered.

    Raises:
        InputError: they are gone or were altered.
    """
    weights = file_of(store, version, MODEL)
    if not weights.is_file() or sha256_of(weights) != version.weights:
        what = "were altered since" if weights.is_file() else "are gone"
        raise InputError(
            f"Version must hold its weights as they were registered, got {version.number}, whose "
            f"weights {what}. Promote another one: models.py promote N."
        )
    return weights


@contextmanager
def _locked(store: Path) -> Iterator[Path]:
    registry = folder_of(store)
    with FileLock(registry / LOCK):
        yield registry


def _write(path: Path, content: BaseModel) -> None:
    text = json.dumps(content.model_dump(mode="json"), indent=1, ensure_ascii=False)
    replace_file(path, f"{text}\n".encode())


def _read(model: type[Model], path: Path) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The registry must hold what was written to it, got '{path}', which can't be read "
            f"({reason}). Put the file back, or move its folder away."
        ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
