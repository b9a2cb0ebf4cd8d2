"""List the registered models, make one champion, go back to the one before, or have none.

$ python flows/models.py list
$ python flows/models.py promote 3
$ python flows/models.py rollback
$ python flows/models.py retire

Predictions are made with the champion, where there is one, else with the newest model. After
`retire` there is none: the next retraining starts anew, and keeps nothing of the one before.
`rollback` takes that back.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from flows import command, server
from flows.flags import REPOSITORY
from reports.words import display_width, printable
from resnext.errors import InputError
from tasks import registry
from tasks.announce import announce_promotion
from tasks.registry import Change, Pointer, Version

BY_HAND = "by hand"


def main(
    action: Literal["list", "promote", "rollback", "retire"],
    number: int | None = None,
    /,
    *,
    store: Path = REPOSITORY / "artifacts",
) -> None:
    """List the registered models, make one champion, go back to the one before, or have none.

    Args:
        action: list, promote N, rollback (to the champion before, also after retire), or retire (no
            champion any more: the next retraining starts anew, predictions take the newest model).
        number: Which model to promote, by its number in the list.
        store: Folder of all results [default: artifacts in the repository].
    """
    if not store.is_dir():
        raise InputError(
            f"--store must be a folder of results, got '{store}'. Nothing is there. Check the path."
        )
    if (action == "promote") != (number is not None):
        raise InputError(
            f"N must be given with promote and with nothing else, got {action} "
            f"{'without one' if number is None else number}. Write as in: models.py promote 3"
        )
    if action == "list":
        print(table(registry.versions(store), registry.pointer(store)))
        return
    if action == "retire":
        registry.retire(store, BY_HAND)
        print("No model is champion now. The next retraining starts anew.")
        return
    if number is not None:
        changed = registry.promote(store, number, BY_HAND)
    else:
        changed = registry.rollback(store, BY_HAND)
    print(f"Version {changed.champion} is champion now.")
    announce(store, changed)


def announce(store: Path, changed: Pointer) -> None:
    """Tell the Prefect server that a run would use of the new champion; none is started for it."""
    change = changed.changes[-1]
    with suppress(InputError):  # a server that is away is no reason to fail
        if server.current() is None:
            return
        with server.connected():
            announce_promotion(
                store, registry.find(store, change.version), f"{change.kind} {change.why}"
            )


def table(versions: Sequence[Version], pointer: Pointer) -> str:
    """Lay out the models for a terminal, the champion marked, and the newest change."""
    if not versions:
        return "No model is registered yet. flows/retrain.py registers one."
    rows = [["", "N", "registered", "data", "network", "score", "decision"]]
    rows += [_row(version, pointer.champion) for version in versions]
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]
    if pointer.changes:
        lines.append(_newest(pointer.changes[-1]))
    return "\n".join(lines)


def _newest(change: Change) -> str:
    """Say since when a model is champion, or none is."""
    if change.kind == "retirement":
        return (
            f"No champion since {change.at}: version {change.version} was retired ({change.why})."
        )
    return f"Champion since {change.at}: version {change.version} ({change.kind}, {change.why})."


def _row(version: Version, champion: int | None) -> list[str]:
    mark = "*" if version.number == champion else ""
    words = [version.data, version.architecture, version.score, version.decision]
    return [mark, str(version.number), version.created[:16], *map(printable, words)]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - display_width(cell))


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="models.py"))
