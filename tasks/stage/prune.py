"""What the store holds, and throwing away what no kept run uses.

Nothing under a lock is touched: neither a run that lives nor a key that is being computed.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, Timeout

from tasks.stage.key import KEY_LENGTH
from tasks.stage.run import LATEST, MODEL, REGISTRY, RUNS, holders, run_lock, runs, used_by
from tasks.stage.store import DAMAGED, PARTIAL, SCRATCH, lock_of

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

    @property
    def key(self) -> str:
        """Give the key, also of a folder that is unfinished or was moved aside."""
        return self.name.split(".")[0]

    @property
    def state(self) -> str:
        """Say in one word what the folder is."""
        if PARTIAL in self.name or SCRATCH in self.name:
            return "partial"
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
            found.append(Entry(stage, name, folder, _size(folder), used_here))
    return found


def _is_ours(folder: Path) -> bool:
    """Tell an artifact's folder from anything else that somebody keeps in there."""
    if not KEY_FOLDER.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    return folder.parent.name not in (RUNS, LATEST, REGISTRY) and not folder.parent.is_symlink()


def prune(store: Path, *, keep_runs: int, dry_run: bool = False) -> list[Path]:
    """Remove old runs, then every artifact that no run is left to use.

    Args:
        store: Root of the store.
        keep_runs: How many of the newest runs that hold a model to keep. Every run since the
            oldest of them is kept too, and the one that `latest` names.
        dry_run: Remove nothing, only tell.

    Returns:
        The folders that were, or would be, removed.
    """
    old = [run for run in _older(store, keep_runs) if not _is_latest(store, run)]
    doomed = [run for run in old if _remove_run(run, dry_run)]
    gone = {run.name for run in doomed}
    unused = [entry for entry in entries(store) if set(entry.used_by) <= gone]
    return doomed + [entry.folder for entry in unused if _remove_entry(store, entry, dry_run)]


def _older(store: Path, keep_runs: int) -> list[Path]:
    """Give the runs before the newest `keep_runs` that hold a model, those being fewer none."""
    everything = runs(store)
    if keep_runs == 0:
        return everything
    trained = [run for run in everything if (run / MODEL).exists()]
    if len(trained) < keep_runs:
        return []
    return everything[: everything.index(trained[-keep_runs])]


def _remove_run(run: Path, dry_run: bool) -> bool:
    """Remove a run that no process holds; False where one does."""
    with _held(run_lock(run)) as held:
        if held and not dry_run:
            shutil.rmtree(run)
    return held


def _remove_entry(store: Path, entry: Entry, dry_run: bool) -> bool:
    """Remove an entry that no process holds and no run has taken since it was listed."""
    with _held(lock_of(store, entry.stage, entry.key)) as held:
        if held and not dry_run:
            if any(f"{entry.stage}/{entry.name}" in used_by(run) for run in holders(store)):
                return False
            shutil.rmtree(entry.folder)
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
        with contextlib.suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink()
        lock.release()


def _is_latest(store: Path, run: Path) -> bool:
    return (store / LATEST).resolve() == run.resolve()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
