"""The store: finished folders, checked when they are met again, built by one process at a time.

`<store>/<stage>/<key>/` holds finished files and an `artifact.json` that names and hashes them.
Work happens in `<key>.partial/`, which outlives a kill and is taken up again under the lock; a
finished folder is flushed to disk and renamed into place. The lock is the operating system's,
so a killed process can't leave it held.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from resnext.contracts.formatting import first_few
from resnext.contracts.json_files import write_json
from tasks.stage.artifact import Artifact, sha256_of

log = logging.getLogger(__name__)

RECORD = "artifact.json"
PARTIAL = ".partial"
DAMAGED = ".damaged"
SCRATCH = ".scratch"
# Below this many bytes a file is hashed at every hit; a bigger one where its size, time of
# change or inode is another than when it was written, and when asked.
HASH_BELOW = 64 * 2**20


@contextmanager
def locked(store: Path, stage: str, key: str) -> Iterator[None]:
    """Hold the lock of one key, or of the registry, waiting for another process that holds it."""
    lock = lock_of(store, stage, key)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("waiting for another run that holds %s/%s", stage, key)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_of(store: Path, stage: str, key: str) -> FileLock:
    """Give the lock of one key, not yet held."""
    path = store / stage / f"{key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def begin(
    store: Path, stage: str, key: str, ingredients: Mapping[str, Any], asked: Mapping[str, Any]
) -> Path:
    """Give the folder to work in, where it is written down what is being made, and for what.

    What a killed process left there is still in it. `finish` replaces the note by the record.
    """
    folder = store / stage / f"{key}{PARTIAL}"
    folder.mkdir(parents=True, exist_ok=True)
    write_json({"ingredients": ingredients, "asked": asked}, folder / RECORD)
    return folder


def scratch_folder(store: Path, stage: str, key: str) -> Path:
    """Name the folder for what only a stopped run needs, to go on; it may not be there."""
    return store / stage / f"{key}{SCRATCH}"


def load(store: Path, stage: str, key: str, *, verify: bool = False) -> Artifact | None:
    """Give a finished artifact whose files are as they were written, else None.

    Where files are missing the rest is removed; where they were altered the folder is moved
    aside. Both are said, so that the caller can simply compute it again.
    """
    folder = store / stage / key
    if not os.path.lexists(folder):
        return None
    missing, altered = faults(folder, verify=verify)
    if missing:
        log.warning("%s/%s lacks %s: computing it again", stage, key, first_few(missing))
        shutil.rmtree(folder)
        return None
    if altered:
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        aside = folder.rename(folder.with_name(f"{key}{DAMAGED}-{stamp}-{os.getpid()}"))
        log.warning(
            "%s/%s was altered after it was written (%s): moved aside to %s, computing it again",
            stage, key, first_few(altered), aside.name,
        )  # fmt: skip
        return None
    return _artifact(folder, _record(folder))


def stored(file: Path) -> Artifact | None:
    """Give the artifact that a file, or what a link leads to, belongs to; None if to none."""
    folder = file.resolve().parent
    if not (folder / RECORD).is_file():
        return None
    return load(folder.parent.parent, folder.parent.name, folder.name)


def faults(folder: Path, *, verify: bool = False) -> tuple[list[str], list[str]]:
    """Name the files of a finished folder that are missing, and those that were altered."""
    record = _record(folder)
    if not record:
        return [], [RECORD]
    names = [*record["files"], *record["clock_files"]]
    missing = [name for name in names if not (folder / name).is_file()]
    return missing, [
        name
        for name, facts in record["files"].items()
        if name not in missing and not _as_written(folder / name, facts, verify)
    ]


def facts_of(partial: Path, clock_files: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Hash the files in a folder, apart from the record and those that hold clock times."""
    left_out = {RECORD, *clock_files}
    return {name: _facts(partial / name) for name in _names(partial) if name not in left_out}


def finish(
    partial: Path,
    stage: str,
    key: str,
    facts: Mapping[str, Mapping[str, Any]],
    ingredients: Mapping[str, Any],
) -> Artifact:
    """Flush a partial folder to disk and rename it to its key; one that is there is replaced.

    Raises:
        OSError: a file could not be written, for instance on a full disk.
    """
    names = [name for name in _names(partial) if name != RECORD]
    record = {
        "stage": stage,
        "key": key,
        "files": facts,
        "clock_files": [name for name in names if name not in facts],
        "ingredients": ingredients,
    }
    write_json(record | {"seal": _seal(record)}, partial / RECORD)
    for path in [partial, *partial.rglob("*")]:
        _flush(path)
    folder = partial.parent / key
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    _flush(folder.parent)
    return _artifact(folder, record)


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that a reader or a kill never meets half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_bytes(data)
    _flush(fresh)
    fresh.replace(path)


def is_altered(file: Path) -> bool:
    """Tell whether a file that lies in a store differs from what was written down of it there.

    A file that lies elsewhere never does.
    """
    real = file.resolve()
    if not (real.parent / RECORD).is_file():
        return False
    _, altered = faults(real.parent)
    return bool({real.name, RECORD} & set(altered))


def _record(folder: Path) -> dict[str, Any]:
    """Read artifact.json; an absent, damaged or edited one is an empty record."""
    if folder.is_symlink():
        return {}
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        seal = record.pop("seal")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}
    own = (record.get("stage"), record.get("key")) == (folder.parent.name, folder.name)
    return record if own and seal == _seal(record) else {}


def _seal(record: Mapping[str, Any]) -> str:
    """Hash a record, so that a changed one is known."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _artifact(folder: Path, record: Mapping[str, Any]) -> Artifact:
    return Artifact(
        stage=record["stage"],
        key=record["key"],
        folder=folder,
        files={name: facts["sha256"] for name, facts in record["files"].items()},
        clock_files=tuple(record["clock_files"]),
    )


def _facts(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {
        "sha256": sha256_of(path),
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "inode": stat.st_ino,
    }


def _as_written(path: Path, facts: Mapping[str, Any], verify: bool) -> bool:
    stat = path.stat()
    untouched = (stat.st_mtime_ns, stat.st_ino) == (facts["mtime_ns"], facts["inode"])
    believed = untouched and not verify and stat.st_size >= HASH_BELOW
    return bool(stat.st_size == facts["bytes"] and (believed or sha256_of(path) == facts["sha256"]))


def _names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _flush(path: Path) -> None:
    """Force a file or a folder's list of names to disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows can't open a folder, and needs no such flush
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
