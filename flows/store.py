"""List what the store holds, or throw away what no kept run uses.

$ python flows/store.py list --sort score
$ python flows/store.py list --artifacts
$ python flows/store.py prune --keep-runs 10
$ python flows/store.py prune --checkpoints

The checkpoint of a training that was stopped is kept until `--checkpoints` is given.
"""

import sys
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

from rich.filesize import decimal

from flows.cli import run as command
from flows.cli.plan import existing_store
from flows.cli.terminal import table
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import plural, share_with_interval
from resnext.models.model_file import read_card
from tasks.stage import prune as pruning
from tasks.stage.runs import MODEL, run_metrics, run_record, run_status, runs


def main(
    action: Literal["list", "prune"],
    /,
    *,
    store: Path | None = None,
    sort: Literal["date", "score"] = "date",
    artifacts: bool = False,
    keep_runs: int = 10,
    checkpoints: bool = False,
    dry_run: bool = False,
) -> None:
    """List what the store holds, or remove old runs and every artifact that no run then uses.

    Args:
        action: list, or prune
        store: folder of all results [default: artifacts in the repository]
        sort: with list: runs to show first, the newest (date), or those of the best balanced
            accuracy (score) [default: date]
        artifacts: with list: show the artifacts too [default: off]
        keep_runs: with prune: how many of the newest runs that hold a model to keep; every run
            since the oldest of them stays too, and the one that `latest` names [default: 10]
        checkpoints: with prune: list the checkpoints of stopped trainings, and remove them; those
            trainings begin anew then [default: off]
        dry_run: with prune: remove nothing, only say what would go [default: off]
    """
    folder = existing_store(store)
    if keep_runs < 0:
        raise InputError("keep_runs", "be 0 or more", keep_runs)
    if action == "list":
        print_list(folder, sort, artifacts)
    else:
        remove(folder, keep_runs, dry_run, checkpoints)


def print_list(store: Path, sort: str, with_artifacts: bool) -> None:
    """Print the runs, then the artifacts if they are asked for, then how much there is of both."""
    entries, found = pruning.entries(store), runs(store)[::-1]
    artifacts: dict[tuple[str, ...], dict[str, str]] = {}
    sizes: Counter[tuple[str, ...]] = Counter()
    for entry in entries:  # a checkpoint is two folders
        what = (entry.stage, entry.key, entry.state, *([] if entry.resumable else [entry.name]))
        sizes[what] += entry.bytes
        artifacts[what] = {
            "stage": entry.stage,
            "artifact": entry.key,
            "state": entry.state,
            "size": decimal(sizes[what]),
            "used by": plural(len(entry.used_by), "run"),
        }
    if sort == "score":
        found.sort(key=lambda run: -(run_metrics(run).get("balanced_accuracy") or 0.0))
    for rows in ([_row(run) for run in found], [*artifacts.values()] * with_artifacts):
        if rows:
            print(f"{table(rows, plain=('run', 'command'))}\n")
    total = decimal(sizes.total())
    print(f"{plural(len(artifacts), 'artifact')}, {total}; {plural(len(found), 'run')}")


def _row(run: Path) -> dict[str, str]:
    """Say of a run when it began, on what data it was, how good it is, and how it ended."""
    record, metrics = run_record(run), run_metrics(run)
    asked, network = record.get("asked", {}), ""
    if "network" not in asked:  # an old record: then a model says it, if there is one
        with suppress(InputError):
            network = read_card(run / MODEL).architecture
    return {
        "date": str(record.get("started", ""))[:16].replace("T", " "),
        "data": Path(str(asked.get("data", ""))).name,
        "network": asked.get("network", network),
        "score": share_with_interval(metrics, "balanced_accuracy") if metrics else "",
        "duration": _duration(record),
        "state": shorten(run_status(run), 60, placeholder=" ..."),
        "run": run.name,
        "command": str(asked.get("command", "")),
    }


def _duration(record: dict[str, Any]) -> str:
    """Give hours, minutes and seconds from the start of a run to its end; empty without one."""
    if "ended" not in record:
        return ""
    began, ended = (datetime.fromisoformat(record[name]) for name in ("started", "ended"))
    return str(ended - began)


def remove(store: Path, keep_runs: int, dry_run: bool, checkpoints: bool = False) -> None:
    """Prune, and print what went; of checkpoints, what they are of, before they go."""
    saved = pruning.checkpoints(store)
    if checkpoints:
        for checkpoint in saved:
            print(describe(store, checkpoint))
    before = {entry.folder: entry.bytes for entry in pruning.entries(store)}
    gone = pruning.prune(store, keep_runs=keep_runs, dry_run=dry_run, checkpoints=checkpoints)
    for folder in gone:
        print(folder.relative_to(store))
    freed = decimal(sum(before.get(folder, 0) for folder in gone))
    print(f"{len(gone)} folders, {freed}, {'would be removed' if dry_run else 'removed'}")
    kept = [checkpoint for checkpoint in saved if checkpoint.folder not in gone]
    if kept:
        space = decimal(sum(checkpoint.bytes for checkpoint in kept))
        what = plural(len(kept), "checkpoint")
        more = "" if checkpoints else "; prune --checkpoints lists and removes them"
        print(f"{what} of trainings that can go on, {space}, kept{more}")


def describe(store: Path, checkpoint: pruning.Checkpoint) -> str:
    """Say which training a checkpoint is of, how big and how old it is, and its command."""
    recipe = checkpoint.inputs.get("recipe", {})
    network = f"{recipe['arch']} at {recipe['image_size']} px" if recipe else "an unknown network"
    what = [
        "under way" if checkpoint.running else "stopped",
        str(checkpoint.asked.get("data", "unknown images")),
        network,
        checkpoint.where or "an unknown epoch",
        decimal(checkpoint.bytes),
        f"saved {datetime.fromtimestamp(checkpoint.saved):%Y-%m-%d %H:%M}",
    ]
    line = f"{checkpoint.folder.relative_to(store)}: {', '.join(what)}"
    again = checkpoint.asked.get("command")
    return f"{line}\n    goes on with: {again}" if again else line


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="store.py"))
