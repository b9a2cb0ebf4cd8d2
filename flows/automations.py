"""Have the Prefect server call a webhook when a run fails and when a model is promoted.

$ python flows/automations.py --webhook NAME
$ python flows/automations.py --webhook NAME --url https://...    # makes that webhook block first
$ python flows/automations.py --remove

The server also gives up runs whose process ended without a word: those that send no heartbeat any
more. Automations stand in `automations.yaml`, live on the server and are made on one that goes on
running (`make ui`, or PREFECT_API_URL). Nothing is sent by the runs themselves.
"""

import json
import re
import sys
from datetime import timedelta
from string import Template
from typing import Annotated
from uuid import UUID

import yaml
from cyclopts import Parameter
from pydantic import HttpUrl, TypeAdapter, ValidationError

from flows import REPOSITORY
from flows.cli import run as command
from flows.serving import server
from resnext.contracts.errors import InputError

from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_UI_URL
from prefect.utilities.urls import validate_restricted_url

AUTOMATIONS = REPOSITORY / "automations.yaml"
NO_BLOCK = UUID(int=0)
BLOCK_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LOST_AFTER = timedelta(minutes=10)  # a heartbeat every 3 minutes is Prefect's default: 3 are missed
MISSED = 3  # heartbeats at least: one that is lost or late is no sign of an end
SHORTEST, LONGEST = 10, 30 * 24 * 3600  # seconds; Prefect's triggers allow no shorter ones


def main(
    *,
    webhook: str | None = None,
    url: str | None = None,
    allow_private: Annotated[bool, Parameter(negative="")] = False,
    lost_after: int | None = None,
    remove: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Have the Prefect server call a webhook when a run fails and when a model is promoted.

    Args:
        webhook: name of the webhook block to call [default: none]
        url: address to make that block with, or to change it to [default: the block is there]
        allow_private: with --url: the receiver may be on this machine, in your own network, or at
            an address that this machine cannot look up [default: off]
        lost_after: seconds without a heartbeat after which a run counts as crashed; at least three
            times the runs' PREFECT_FLOWS_HEARTBEAT_FREQUENCY, at most 2592000, which is 30 days
            [default: 600, or those three times where they are longer]
        remove: remove the automations; the block stays [default: off]
    """
    rules = (
        (
            remove != (webhook is not None),
            "webhook", "be given, or else --remove", "both" if remove else "neither",
        ),
        (webhook or not url, "url", "be given with --webhook only", "--remove"),
        (url or not allow_private, "allow_private", "be given with --url only", "no address"),
        (
            webhook is None or BLOCK_NAME.fullmatch(webhook),
            "webhook", "be lower-case letters, digits and dashes", f"'{webhook}'",
        ),
    )  # fmt: skip
    for kept, argument, rule, got in rules:
        if not kept:
            raise InputError(argument, rule, got)
    if url is not None:
        _require_callable(url, allow_private)
    after = usual_wait() if lost_after is None else _time_without_heartbeat(lost_after)
    if server.current() is None:
        rule = "name a Prefect server that goes on running"
        got = "none, and this project's own does not run"
        raise InputError("PREFECT_API_URL", rule, got, "Start it: make ui")
    with server.connected():
        if webhook is None:
            print(f"Removed {_remove_automations()} of {len(automations())} automations.")
            return
        if url is not None:
            save_block(webhook, url, allow_private=allow_private)
        for each in automations(_find_block(webhook), after):
            create_or_update(each)
    print(f"The webhook block '{webhook}' is called when a run fails and when a model is promoted.")
    print(f"A run without a heartbeat for {after.total_seconds():g} s counts as crashed.")


def automations(block: UUID = NO_BLOCK, after: timedelta = LOST_AFTER) -> list[Automation]:
    """Read the automations: of a failed run, of a promoted model, of a lost heartbeat.

    Runs send a heartbeat at their start and every PREFECT_FLOWS_HEARTBEAT_FREQUENCY seconds (180 by
    default, 30 at least): a living run whose next one is due later than `after` would be given up.
    """
    text = Template(AUTOMATIONS.read_text(encoding="utf-8")).substitute(
        WEBHOOK=block,
        UI_URL=json.dumps(PREFECT_UI_URL.value() or ""),
        LOST_AFTER=f"{after.total_seconds():g}",
    )
    return [Automation.model_validate(each) for each in yaml.safe_load(text)]


def usual_wait() -> timedelta:
    """Give the time without a heartbeat after which a run counts as crashed, if nobody says."""
    return max(LOST_AFTER, _heartbeats_apart())


def watch_heartbeats_where_none_does() -> None:
    """Watch the heartbeats on the connected server, unless it does with a time of its owner's."""
    create_or_update(automations(after=usual_wait())[-1], update=False)


def create_or_update(automation: Automation, *, update: bool = True) -> None:
    """Create an automation on the connected server, or update the one of its name.

    One that was switched off in the UI stays off.
    """
    with get_client(sync_client=True) as client:
        known = client.read_automations_by_name(automation.name)
    if not known:
        automation.create()
    elif update:
        kept = {"id": known[0].id, "enabled": known[0].enabled}
        automation.model_copy(update=kept).update()


def _remove_automations() -> int:
    """Remove this project's automations from the connected server; tell how many there were."""
    with get_client(sync_client=True) as client:
        known = [
            found for each in automations() for found in client.read_automations_by_name(each.name)
        ]
        for automation in known:
            client.delete_automation(automation.id)
    return len(known)


def _time_without_heartbeat(seconds: int) -> timedelta:
    """Check a time that a living run must not be silent for, and that Prefect can wait."""
    shortest = max(SHORTEST, _heartbeats_apart().total_seconds())
    if not shortest <= seconds <= LONGEST:
        rule = f"be from {shortest:g} ({MISSED} heartbeats) to {LONGEST} seconds (30 days)"
        remedy = f"Leave it out for {usual_wait().total_seconds():g}."
        raise InputError("lost_after", rule, seconds, remedy)
    return timedelta(seconds=seconds)


def _heartbeats_apart() -> timedelta:
    """Give the time of so many heartbeats, if runs have the setting that we have."""
    return timedelta(seconds=MISSED * (PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() or 0))


def _require_callable(url: str, allow_private: bool) -> None:
    """Refuse an address that Prefect can't call, or won't: then no notice would ever come.

    Prefect calls no host that is private or that it can't find, unless the block allows it. No
    message holds the address, which is a secret.
    """
    try:
        host = TypeAdapter(HttpUrl).validate_python(url).host
    except ValidationError:
        host = None
    if host is None or ":///" in url:  # which would make a path the host
        rule = "begin with http:// or https:// and name a host, and no port but a number"
        remedy = "Write as in: https://hooks.example.org/services/..."
        raise InputError("url", rule, "something else", remedy)
    try:
        if not allow_private:
            validate_restricted_url(url)
    except ValueError:
        rule = "name a host that this machine finds, and not in a private network"
        got = f"'{host}', which Prefect refuses to call"
        raise InputError("url", rule, got, "Add --allow-private.") from None


def _find_block(name: str) -> UUID:
    """Give the id of a webhook block on the connected server."""
    try:
        with get_client(sync_client=True) as client:
            found = client.read_block_document_by_name(name, "webhook", include_secrets=False)
    except ObjectNotFound as error:
        remedy = (
            "Make one in its UI, under Blocks (with the header Content-Type: application/json), or "
            "give the address: --url https://..."
        )
        rule = "be the name of a webhook block on the server"
        raise InputError("webhook", rule, f"'{name}'", remedy) from error
    return UUID(str(found.id))


def save_block(name: str, url: str, *, allow_private: bool) -> None:
    """Make a webhook block, whose address lies encrypted on the server, or change its address."""
    headers = {"Content-Type": "application/json"}  # Prefect sends a rendered text without one
    block = Webhook(url=url, headers=headers, allow_private_urls=allow_private)
    block.save(name, overwrite=True)


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="automations.py"))
