"""List the registered models, make one champion, go back to the one before, or have none.

$ python flows/models.py list
$ python flows/models.py promote 3
$ python flows/models.py rollback
$ python flows/models.py retire

There is a champion for each set of classes, and for each name that retrain.py was given. `promote`
takes the alias of the model; the others ask for `--registry` where there are several.

Predictions are made with the champion, where there is one, else with the newest model. After
`retire` there is none: the next retraining starts anew, and keeps nothing of the one before.
`rollback` takes that back.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli import run as command
from flows.cli.flags import REPOSITORY
from flows.serving import server
from flows.serving.address import ServerError
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import display_width, printable
from tasks.registry import registry
from tasks.registry.announce import announce_promotion
from tasks.registry.registry import Pointer, Version

BY_HAND = "by hand"


def main(
    action: Literal["list", "promote", "rollback", "retire"],
    number: int | None = None,
    /,
    *,
    name: Annotated[str | None, Parameter(name="--registry")] = None,
    store: Path = REPOSITORY / "artifacts",
) -> None:
    """List the registered models, make one champion, go back to the one before, or have none.

    Args:
        action: list, promote N, rollback (to the champion before, also after retire), or retire (no
            champion any more: the next retraining starts anew, predictions take the newest model).
        number: Which model to promote, by its number in the list.
        name: Whose champion is meant: a name that retrain.py was given, or classes as the list
            shows them; promote takes a new name too [default: the model's own classes or name, or
            the only one].
        store: Folder of all results [default: artifacts in the repository].
    """
    if not store.is_dir():
        raise InputError(
            "store",
            "be a folder of results",
            f"'{store}'",
            "Nothing is there. Check the path.",
        )
    if (action == "promote") != (number is not None):
        raise InputError(
            "N",
            "be given with promote and with nothing else",
            f"{action} {'without one' if number is None else number}",
            "Write as in: models.py promote 3",
        )
    if action == "list":
        print(table(registry.versions(store), registry.pointers(store)))
        return
    if action == "retire":
        retired = registry.retire(store, BY_HAND, name)
        whose = registry.whose(store, retired)
        print(f"No model is champion{whose} now. The next retraining starts anew.")
        return
    if number is not None:
        changed = registry.promote(store, number, BY_HAND, name)
    else:
        changed = registry.rollback(store, BY_HAND, name)
    print(f"Version {changed.champion} is champion{registry.whose(store, changed)} now.")
    announce(store, changed)


def announce(store: Path, changed: Pointer) -> None:
    """Tell the Prefect server that a run would use of the new champion; none is started for it."""
    change = changed.changes[-1]
    with suppress(InputError, ServerError):  # a server that is away is no reason to fail
        if server.current() is None:
            return
        with server.connected():
            announce_promotion(
                store, registry.find(store, change.version), f"{change.kind} {change.why}"
            )


def table(versions: Sequence[Version], aliases: Sequence[Pointer]) -> str:
    """Lay out the models for a terminal, champions marked, and the newest change of each alias."""
    if not versions:
        return "No model is registered yet. flows/retrain.py registers one."
    champions = {alias.champion for alias in aliases}
    labels = [registry.label_of(version.registry, version.classes) for version in versions]
    rows = [["", "N", "registered", "data", "network", "score", "decision"]]
    rows += [_row(version, version.number in champions) for version in versions]
    if len({*labels, *(alias.label for alias in aliases)}) > 1:
        rows = [
            [*row[:3], label, *row[3:]] for row, label in zip(rows, ["of", *labels], strict=True)
        ]
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, *(_newest(alias) for alias in aliases if alias.changes)])


def _newest(alias: Pointer) -> str:
    """Say since when a model is champion of an alias, or none is."""
    change = alias.changes[-1]
    if change.kind == "retirement":
        return (
            f"No champion since {change.at} of {alias.label}: version {change.version} was retired "
            f"({change.why})."
        )
    return (
        f"Champion of {alias.label} since {change.at}: version {change.version} ({change.kind}, "
        f"{change.why})."
    )


def _row(version: Version, champion: bool) -> list[str]:
    words = [version.data, version.architecture, version.score, version.decision]
    mark = "*" if champion else ""
    return [mark, str(version.number), version.created[:16], *map(printable, words)]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - display_width(cell))


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="models.py"))
