"""What the store holds, and throwing away what no kept run uses.

Nothing under a lock is touched: neither a run that lives nor a key that is being computed. Nor is
the checkpoint of a stopped training that can go on, unless that is asked for.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, Timeout

from tasks.stage.key import KEY_LENGTH
from tasks.stage.runs import (
    LATEST,
    MODEL,
    REGISTRY,
    RUNS,
    holders,
    read_or_nothing,
    run_lock,
    runs,
    used_by,
)
from tasks.stage.store import DAMAGED, PARTIAL, RECORD, SCRATCH, faults, lock_of

UNFINISHED = f"{re.escape(PARTIAL)}|{re.escape(SCRATCH)}|{re.escape(DAMAGED)}-.*"
KEY_FOLDER = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}({UNFINISHED})?")


@dataclass(frozen=True)
class Entry:
    """One folder of the store."""

    stage: str
    name: str
    folder: Path
    bytes: int
    used_by: tuple[str, ...]
    resumable: bool
    """It belongs to a computation that was stopped and can go on from where it was."""

    @property
    def key(self) -> str:
        """Give the key, also of a folder that is unfinished or was moved aside."""
        return self.name.split(".")[0]

    @property
    def state(self) -> str:
        """Say in one word what the folder is."""
        if PARTIAL in self.name or SCRATCH in self.name:
            return "checkpoint" if self.resumable else "partial"
        return "damaged" if DAMAGED in self.name else "finished"


def entries(store: Path) -> list[Entry]:
    """List the folders of the store, by stage and name."""
    users: dict[str, list[str]] = {}
    for holder in holders(store):
        for used in used_by(holder):
            users.setdefault(used, []).append(holder.name)
    found = []
    for folder in sorted(store.glob("*/*")):
        stage, name = folder.parent.name, folder.name
        if _is_ours(folder):
            used_here = tuple(users.get(f"{stage}/{name}", ()))
            size = sum(path.stat().st_size for path in _files(folder))
            found.append(Entry(stage, name, folder, size, used_here, _resumable(folder)))
    return found


def _resumable(folder: Path) -> bool:
    """Tell whether a folder is needed to go on with what was stopped.

    It is not where nothing was saved to go on from, or where the key was finished meanwhile.
    """
    if not folder.name.endswith((PARTIAL, SCRATCH)):
        return False
    finished = folder.with_name(folder.name.split(".")[0])
    saved = finished.with_name(f"{finished.name}{SCRATCH}")
    # A file that ends with .new was being written when its process was killed.
    return any(path.suffix != ".new" for path in _files(saved)) and faults(finished) != ([], [])


@dataclass(frozen=True)
class Checkpoint(Entry):
    """What a stopped computation left to go on with."""

    saved: float
    """When it was saved, in seconds since 1970."""
    where: str
    """How far it is, as text; empty where nobody wrote it down."""
    asked: Mapping[str, Any]
    """What was asked of its run; empty where it is from before that was written down."""
    inputs: Mapping[str, Any]
    running: bool


def checkpoints(store: Path) -> list[Checkpoint]:
    """List what stopped trainings left to go on with, and the checkpoints of those under way."""
    return [
        _checkpoint(store, entry)
        for entry in entries(store)
        if entry.resumable and entry.name.endswith(SCRATCH)
    ]


def _checkpoint(store: Path, entry: Entry) -> Checkpoint:
    text = entry.folder / "where.txt"
    started = read_or_nothing(entry.folder.with_name(f"{entry.key}{PARTIAL}") / RECORD)
    with _held(lock_of(store, entry.stage, entry.key)) as held:
        return Checkpoint(
            **vars(entry),
            saved=max(path.stat().st_mtime for path in _files(entry.folder)),
            where=text.read_text(encoding="utf-8").strip() if text.is_file() else "",
            asked=started.get("asked", {}),
            inputs=started.get("ingredients", {}).get("inputs", {}),
            running=not held,
        )


def _is_ours(folder: Path) -> bool:
    """Tell an artifact's folder from anything else that somebody keeps in there."""
    if not KEY_FOLDER.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    return folder.parent.name not in (RUNS, LATEST, REGISTRY) and not folder.parent.is_symlink()


def prune(
    store: Path, *, keep_runs: int, dry_run: bool = False, checkpoints: bool = False
) -> list[Path]:
    """Remove old runs, then every artifact that no run is left to use.

    Args:
        store: Root of the store.
        keep_runs: How many of the newest runs that hold a model to keep. Every run since the
            oldest of them is kept too, and the one that `latest` names.
        dry_run: Remove nothing, only say what would go.
        checkpoints: Remove what stopped trainings would go on from, too.

    Returns:
        The folders that were, or would be, removed.
    """
    latest = (store / LATEST).resolve()
    old = [run for run in _older(store, keep_runs) if run.resolve() != latest]
    doomed = [run for run in old if _remove(run, run_lock(run), dry_run)]
    gone = {run.name for run in doomed}
    for entry in entries(store):
        lock = lock_of(store, entry.stage, entry.key)
        unused = set(entry.used_by) <= gone and (checkpoints or not entry.resumable)
        if unused and _remove(entry.folder, lock, dry_run, store):
            doomed.append(entry.folder)
    return doomed


def _older(store: Path, keep_runs: int) -> list[Path]:
    """Give the runs before the newest `keep_runs` that hold a model, those being fewer none."""
    everything = runs(store)
    trained = [run for run in everything if (run / MODEL).exists()]
    if len(trained) < keep_runs:
        return []
    return everything[: everything.index(trained[-keep_runs])] if keep_runs else everything


def _remove(folder: Path, lock: BaseFileLock, dry_run: bool, store: Path | None = None) -> bool:
    """Remove a folder that no process holds; False where one does.

    With a store it is an artifact's, and stays where a run has taken it since it was listed.
    """
    with _held(lock) as held:
        if held and not dry_run:
            name = f"{folder.parent.name}/{folder.name}"
            if store and any(name in used_by(run) for run in holders(store)):
                return False
            shutil.rmtree(folder)
    return held


@contextmanager
def _held(lock: BaseFileLock) -> Iterator[bool]:
    """Try for a lock; its file goes with it, which filelock's other holders notice."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink()
        lock.release()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
