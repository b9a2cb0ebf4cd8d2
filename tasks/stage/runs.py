"""Run folders: one link a file to what a run used, under the fixed file names.

`<store>/runs/<UTC time>-<run id>/` also holds `run.json`: what was asked, which artifacts were
used and how it ended. The names sort by age. A run holds its folder's lock while it lives, so that
nothing it uses is pruned. `<store>/latest` points at the run of the full pipeline that ended last.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from resnext.contracts.errors import InputError, StoppedError
from resnext.contracts.json_files import json_text, read_json
from tasks.stage.artifact import Artifact
from tasks.stage.store import replace_file

RUNS = "runs"
LATEST = "latest"
REGISTRY = "registry"
USED = "artifacts.txt"
RUN_RECORD = "run.json"
MODEL = "model.safetensors"
METRICS = "metrics.json"
STAMP = "%Y%m%dT%H%M%SZ"
RUN_NAME = re.compile(r"\d{8}T\d{6}Z-.{1,8}")


@contextmanager
def open_run(store: Path, run_id: str, asked: Mapping[str, Any]) -> Iterator[Path]:
    """Make a run folder, hold it while the body runs, and write down how it ended.

    Args:
        store: Root of the store.
        run_id: Any text that tells runs apart; its first 8 characters go into the name.
        asked: What was asked of the run, in JSON values.
    """
    folder = store / RUNS / f"{_stamp(store)}-{run_id[:8]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    record = {"run_id": run_id, "asked": dict(asked), "started": now(), "status": "running"}
    with run_lock(folder):  # before the folder is there, so that nothing prunes it
        folder.mkdir()
        _write(folder, record)
        ending: dict[str, Any] = {"status": "finished"}
        try:
            yield folder
        except (KeyboardInterrupt, StoppedError):
            ending["status"] = "interrupted"
            raise
        except BaseException as error:
            ending["status"] = f"failed: {str(error) or type(error).__name__}"
            raise
        finally:
            ending |= {"ended": now(), "artifacts": sorted(used_by(folder))}
            failed = ending["status"] != "finished"  # on a full disk, say: that error counts then
            with suppress(OSError) if failed else nullcontext():
                _write(folder, record | ending)


def _stamp(store: Path) -> str:
    """Give the time, but one after the newest run: a clock that was set back hides no new run."""
    now = datetime.now(UTC)
    for newest in runs(store)[-1:]:
        with suppress(ValueError):  # a name of somebody else's
            stamp = max(newest.name[:16], _ended(newest))
            last = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
            now = max(now, last + timedelta(seconds=1))
    return now.strftime(STAMP)


def _ended(run: Path) -> str:
    """Stamp when a run ended, by its own name at the earliest; empty for one that did not."""
    ended = run_record(run).get("ended")
    return max(run.name[:16], f"{datetime.fromisoformat(ended):{STAMP}}") if ended else ""


def run_lock(folder: Path) -> FileLock:
    """Give the lock that a run holds while it lives, not yet held."""
    return FileLock(folder.with_name(f"{folder.name}.lock"))


def link(run: Path, artifact: Artifact) -> None:
    """Link an artifact's files into a run folder and note that the run uses it.

    Files in folders below the artifact (the images of the demonstration set) get no link.
    """
    with (run / USED).open("a", encoding="utf-8") as used:
        used.write(f"{artifact.stage}/{artifact.key}\n")
    for name in [*artifact.files, *artifact.clock_files]:
        if "/" not in name:
            link_file(run / name, artifact.folder / name)


def used_by(run: Path) -> set[str]:
    """Give the `stage/key` of every artifact that a run used, also in folders inside of its own.

    Raises:
        InputError: a list of them is damaged, so that nobody knows what may be removed.
    """
    return {name for path in run.rglob(USED) for name in _used(path)}


def _used(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        remedy = "It is damaged. Put it back, or move its folder out of the store."
        raise InputError(f"'{path}'", "be text as it was written", str(error), remedy) from error


def point_latest(store: Path, run: Path) -> None:
    """Make `latest` point at a run, in one step."""
    link_file(store / LATEST, run)


def runs(store: Path) -> list[Path]:
    """Give the run folders, oldest first; anything else that lies there is none."""
    found = (path for path in (store / RUNS).glob("*") if RUN_NAME.fullmatch(path.name))
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def holders(store: Path) -> list[Path]:
    """Give the folders whose artifacts are in use: runs, and versions of the registry."""
    return [*runs(store), *sorted(path.parent for path in (store / REGISTRY).glob(f"*/{USED}"))]


def read_or_nothing(file: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where it is not there, or only half of it."""
    try:
        return read_json(file)
    except InputError:
        return {}


def run_record(run: Path) -> dict[str, Any]:
    """Read run.json; empty where it is not there."""
    return read_or_nothing(run / RUN_RECORD)


def asked_of(folder: Path | None) -> dict[str, Any]:
    """Give what was asked of a run, also of a folder inside of its own; nothing without a run."""
    run = folder and run_around(folder)
    asked: dict[str, Any] = run_record(run).get("asked", {}) if run else {}
    return asked


def run_around(folder: Path) -> Path | None:
    """Give the run whose folder this is, or one inside of; None without one."""
    around = (folder, *folder.parents)
    return next((each for each in around if (each / RUN_RECORD).is_file()), None)


def is_over(run: Path | None) -> bool:
    """Tell whether a run has ended, also by a kill, on any machine that shares the store."""
    return run is not None and run_status(run) != "running"


def run_status(run: Path) -> str:
    """Say how a run ended: finished, failed and why, or interrupted; running, killed if not."""
    status = str(run_record(run).get("status", "unfinished"))
    if status != "running":
        return status
    try:
        with run_lock(run).acquire(timeout=0):
            status = str(run_record(run).get("status"))  # it may have ended in between
            return "killed" if status == "running" else status
    except (Timeout, OSError):  # held, or a store that can't be written to
        return status


def run_metrics(run: Path) -> dict[str, Any]:
    """Read metrics.json of a run; empty where it has none that can be read."""
    return read_or_nothing(run / METRICS)


def newest_model(store: Path) -> Path | None:
    """Give the weights of the run that ended last, as `latest` does, of those that hold any."""
    models = [run / MODEL for run in runs(store) if (run / MODEL).is_file()]
    return max(models, key=lambda model: (_ended(model.parent), model.parent.name), default=None)


def link_file(link: Path, target: Path) -> None:
    """Put a relative link in place, whatever stood there; a hard link where there are no others."""
    fresh = link.with_name(f"{link.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    if link.is_dir() and not link.is_symlink():  # not ours: a link can't take its place
        link.rename(link.with_name(f"{link.name}.aside-{os.getpid()}"))
    try:
        fresh.symlink_to(os.path.relpath(target, link.parent), target_is_directory=target.is_dir())
    except OSError:
        if target.is_dir():
            raise
        fresh.hardlink_to(target)
    fresh.replace(link)


def _write(run: Path, record: Mapping[str, Any]) -> None:
    replace_file(run / RUN_RECORD, json_text(record).encode())


def now() -> str:
    """Give the time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
