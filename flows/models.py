"""List the registered models, make one champion, go back to the one before, or have none.

$ python flows/models.py list
$ python flows/models.py promote 3
$ python flows/models.py rollback
$ python flows/models.py retire

There is a champion for each set of classes, and for each name that retrain.py was given.
Predictions are made with the champion, where there is one, else with the newest model.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli import run as command
from flows.cli import terminal
from flows.cli.plan import existing_store
from flows.serving import server
from flows.serving.address import ServerError
from resnext.contracts.errors import InputError
from tasks.registry.aliases import Alias, all_aliases, label_of, of_alias
from tasks.registry.promotion import promote, retire, rollback
from tasks.registry.versions import Version, all_versions, find_version

BY_HAND = "by hand"


def main(
    action: Literal["list", "promote", "rollback", "retire"],
    number: int | None = None,
    /,
    *,
    name: Annotated[str | None, Parameter(name="--registry")] = None,
    store: Path | None = None,
) -> None:
    """List the registered models, make one champion, go back to the one before, or have none.

    Args:
        action: list, promote N, rollback (to the champion before, also after retire), or retire (no
            champion any more: the next retraining starts anew, predictions take the newest model)
        number: which model to promote, by its number in the list
        name: whose champion is meant: a name that retrain.py was given, or classes as the list
            shows them; promote takes a new name too [default: the model's own classes or name, or
            the only one]
        store: folder of all results [default: artifacts in the repository]
    """
    folder = existing_store(store)
    if (action == "promote") != (number is not None):
        rule, got = "be given with promote and with nothing else", number or "none"
        raise InputError("N", rule, f"{action} {got}", "Write as in: models.py promote 3")
    if action == "list":
        print(table(all_versions(folder), all_aliases(folder)))
        return
    if action == "retire":
        whose = of_alias(folder, retire(folder, BY_HAND, name))
        print(f"No model is champion{whose} now. The next retraining starts anew.")
        return
    if number is not None:
        changed = promote(folder, number, BY_HAND, name)
    else:
        changed = rollback(folder, BY_HAND, name)
    print(f"Version {changed.champion} is champion{of_alias(folder, changed)} now.")
    announce(folder, changed)


def announce(store: Path, changed: Alias) -> None:
    """Tell the Prefect server that a run would use of the new champion; none is started for it."""
    change = changed.changes[-1]
    with suppress(InputError, ServerError):  # a server that is away is no reason to fail
        if server.current() is None:
            return
        from tasks.registry.announce import announce_promotion  # it imports Prefect

        with server.connected():
            version = find_version(store, change.version)
            announce_promotion(store, version, f"{change.kind} {change.why}")


def table(versions: Sequence[Version], aliases: Sequence[Alias]) -> str:
    """Lay out the models for a terminal, champions marked, and the newest change of each alias."""
    if not versions:
        return "No model is registered yet. flows/retrain.py registers one."
    champions = {alias.champion for alias in aliases}
    rows = [
        {
            "": "*" if each.number in champions else "",
            "N": each.number,
            "registered": each.created[:16],
            "of": label_of(each.registry, each.classes),
            "data": each.data,
            "network": each.architecture,
            "score": each.score,
            "decision": each.decision,
        }
        for each in versions
    ]
    if len({*(row["of"] for row in rows), *(alias.label for alias in aliases)}) == 1:
        for row in rows:
            del row["of"]
    changes = [_newest(alias) for alias in aliases if alias.changes]
    return "\n".join([terminal.table(rows), *changes])


def _newest(alias: Alias) -> str:
    """Say since when a model is champion of an alias, or none is."""
    change, number = alias.changes[-1], f"version {alias.changes[-1].version}"
    if change.kind == "retirement":
        since = f"No champion since {change.at} of {alias.label}"
        return f"{since}: {number} was retired ({change.why})."
    since = f"Champion of {alias.label} since {change.at}"
    return f"{since}: {number} ({change.kind}, {change.why})."


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="models.py"))
