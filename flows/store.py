"""List what the store holds, or throw away what no kept run uses.

$ python flows/store.py list
$ python flows/store.py prune --keep-runs 10
$ python flows/store.py prune --checkpoints

The checkpoint of a training that was stopped is kept until `--checkpoints` is said.
"""

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli import run as command
from flows.cli.flags import REPOSITORY
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import plural
from tasks.stage import prune as pruning
from tasks.stage.runs import run_record, run_status, runs


def main(
    action: Literal["list", "prune"],
    /,
    *,
    store: Path = REPOSITORY / "artifacts",
    keep_runs: int = 10,
    checkpoints: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List what the store holds, or remove old runs and every artifact that no run then uses.

    Args:
        action: list, or prune.
        store: Folder of all results [default: artifacts in the repository].
        keep_runs: How many of the newest runs that hold a model prune keeps; every run since the
            oldest of them and the one that `latest` names besides [default: 10].
        checkpoints: Let prune remove the checkpoints of stopped trainings too, after it has listed
            them; those trainings begin anew then [default: off].
        dry_run: Remove nothing, only tell [default: off].
    """
    if not store.is_dir():
        raise InputError(
            "store",
            "be a folder of results",
            f"'{store}'",
            "Nothing is there. Check the path.",
        )
    if keep_runs < 0:
        raise InputError(
            "keep_runs",
            "be 0 or more",
            keep_runs,
        )
    if action == "list":
        show(store)
    else:
        remove(store, keep_runs, dry_run, checkpoints)


def show(store: Path) -> None:
    """Print the artifacts and the runs."""
    entries = pruning.entries(store)
    for entry in entries:
        users = f"{len(entry.used_by)} runs" if len(entry.used_by) != 1 else "1 run"
        print(f"{entry.stage:<18} {entry.key:<22} {entry.state:<9} {size(entry.bytes)}  {users}")
    for run in runs(store):
        asked = run_record(run).get("asked", {})
        words = asked.get("command") or " ".join(map(_in_words, asked.values()))
        print(f"run {run.name}  {run_status(run)[:60]}  {words}")
    total = sum(entry.bytes for entry in entries)
    print(f"{len(entries)} artifacts, {size(total).strip()}; {len(runs(store))} runs")


def _in_words(asked: object) -> str:
    return " ".join(map(str, asked)) if isinstance(asked, list) else str(asked)


def remove(store: Path, keep_runs: int, dry_run: bool, checkpoints: bool = False) -> None:
    """Prune, and print what went; of checkpoints, what they are of, before they go."""
    saved = pruning.checkpoints(store)
    if checkpoints:
        for checkpoint in saved:
            print(in_words(store, checkpoint, time.time()))
    before = {entry.folder: entry.bytes for entry in pruning.entries(store)}
    gone = pruning.prune(store, keep_runs=keep_runs, dry_run=dry_run, checkpoints=checkpoints)
    for folder in gone:
        print(folder.relative_to(store))
    freed = size(sum(before.get(folder, 0) for folder in gone)).strip()
    print(f"{len(gone)} folders, {freed}, {'would be removed' if dry_run else 'removed'}")
    kept = [checkpoint for checkpoint in saved if checkpoint.folder not in gone]
    if kept:
        space = size(sum(checkpoint.bytes for checkpoint in kept)).strip()
        what = plural(len(kept), "checkpoint")
        more = "" if checkpoints else "; prune --checkpoints lists and removes them"
        print(f"{what} of trainings that can go on, {space}, kept{more}")


def in_words(store: Path, checkpoint: pruning.Checkpoint, now: float) -> str:
    """Say which training a checkpoint is of, how big and how old it is, and how it goes on."""
    recipe = checkpoint.inputs.get("recipe", {})
    network = f"{recipe['arch']} at {recipe['image_size']} px" if recipe else "an unknown network"
    what = [
        "under way" if checkpoint.running else "stopped",
        str(checkpoint.asked.get("data", "unknown pictures")),
        network,
        checkpoint.where or "an unknown epoch",
        size(checkpoint.bytes).strip(),
        f"{age(now - checkpoint.saved)} old",
    ]
    line = f"{checkpoint.folder.relative_to(store)}: {', '.join(what)}"
    again = checkpoint.asked.get("command")
    return f"{line}\n    goes on with: {again}" if again else line


def age(seconds: float) -> str:
    """Write a time that passed for people, in whole units."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return plural(int(seconds // length), unit)
    return plural(max(0, int(seconds)), "second")


def size(count: int) -> str:
    """Write a number of bytes for people, in eight columns."""
    return f"{count / 2**20:6.1f} MB" if count >= 2**20 else f"{count / 2**10:6.1f} kB"


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="store.py"))
