"""List what the store holds, or throw away what no kept run uses.

$ python flows/store.py list
$ python flows/store.py prune --keep-runs 10
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows import command
from flows.flags import REPOSITORY
from resnext.errors import InputError
from tasks.stage import prune as pruning
from tasks.stage.run import run_record, run_status, runs


def main(
    action: Literal["list", "prune"],
    /,
    *,
    store: Path = REPOSITORY / "artifacts",
    keep_runs: int = 10,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List what the store holds, or remove old runs and every artifact that no run then uses.

    Args:
        action: list, or prune.
        store: Folder of all results [default: artifacts in the repository].
        keep_runs: How many of the newest runs that hold a model prune keeps; every run since the
            oldest of them and the one that `latest` names besides [default: 10].
        dry_run: Remove nothing, only tell [default: off].
    """
    if not store.is_dir():
        raise InputError(
            f"--store must be a folder of results, got '{store}'. Nothing is there. Check the path."
        )
    if keep_runs < 0:
        raise InputError(f"--keep-runs must be 0 or more, got {keep_runs}.")
    if action == "list":
        show(store)
    else:
        remove(store, keep_runs, dry_run)


def show(store: Path) -> None:
    """Print the artifacts and the runs."""
    entries = pruning.entries(store)
    for entry in entries:
        users = f"{len(entry.used_by)} runs" if len(entry.used_by) != 1 else "1 run"
        print(f"{entry.stage:<18} {entry.key:<22} {entry.state:<9} {size(entry.bytes)}  {users}")
    for run in runs(store):
        asked = " ".join(map(_in_words, run_record(run).get("asked", {}).values()))
        print(f"run {run.name}  {run_status(run)[:60]}  {asked}")
    total = sum(entry.bytes for entry in entries)
    print(f"{len(entries)} artifacts, {size(total).strip()}; {len(runs(store))} runs")


def _in_words(asked: object) -> str:
    return " ".join(map(str, asked)) if isinstance(asked, list) else str(asked)


def remove(store: Path, keep_runs: int, dry_run: bool) -> None:
    """Prune, and print what went."""
    before = {entry.folder: entry.bytes for entry in pruning.entries(store)}
    gone = pruning.prune(store, keep_runs=keep_runs, dry_run=dry_run)
    for folder in gone:
        print(folder.relative_to(store))
    freed = size(sum(before.get(folder, 0) for folder in gone)).strip()
    print(f"{len(gone)} folders, {freed}, {'would be removed' if dry_run else 'removed'}")


def size(count: int) -> str:
    """Write a number of bytes for people, in eight columns."""
    return f"{count / 2**20:6.1f} MB" if count >= 2**20 else f"{count / 2**10:6.1f} kB"


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="store.py"))
