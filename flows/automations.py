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
import socket
import sys
from datetime import timedelta
from string import Template
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import yaml
from cyclopts import Parameter

from flows.cli import run as command
from flows.cli.flags import REPOSITORY
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
SHORTEST = 10  # seconds, that Prefect's proactive triggers allow
LONGEST = 30 * 24 * 3600  # seconds


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
        webhook: Name of the webhook block to call [default: none].
        url: Address to make that block with, or to change it to [default: the block is there].
        allow_private: With --url: the receiver may be on this machine or the own network
            [default: off].
        lost_after: Seconds without a heartbeat after which a run counts as crashed; at least three
            times the runs' PREFECT_FLOWS_HEARTBEAT_FREQUENCY, at most 2592000, which is 30 days
            [default: 600, or those three times where they are longer].
        remove: Remove the automations; the block stays [default: off].
    """
    _require_flags_that_fit(webhook, url, allow_private, remove)
    if url is not None:
        _require_callable(url, allow_private)
    _require_longer_than_heartbeats(lost_after)
    if server.current() is None:
        raise InputError(
            "PREFECT_API_URL",
            "name a Prefect server that goes on running",
            "none, and this project's own does not run",
            "Start it: make ui",
        )
    after = usual_wait() if lost_after is None else timedelta(seconds=lost_after)
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


def _require_flags_that_fit(
    webhook: str | None, url: str | None, allow_private: bool, remove: bool
) -> None:
    rules = (
        (
            remove != (webhook is not None),
            "webhook",
            "be given, or else --remove",
            "both" if remove else "neither",
            "Write as in: automations.py --webhook NAME",
        ),
        (
            url is not None or not allow_private,
            "allow_private",
            "be given with --url only",
            "no address",
            "Whether a block that exists may call the own network is set in the UI, under Blocks.",
        ),
        (url is None or webhook is not None, "url", "be given with --webhook only", "--remove", ""),
        (
            webhook is None or BLOCK_NAME.fullmatch(webhook),
            "webhook",
            "be lower-case letters, digits and dashes",
            f"'{webhook}'",
            "",
        ),
    )
    for kept, *wrong in rules:
        if not kept:
            raise InputError(*map(str, wrong))


def _require_longer_than_heartbeats(seconds: int | None) -> None:
    """Refuse a time in which a living run may be silent, or that Prefect does not reckon with."""
    if seconds is None:
        return
    if not SHORTEST <= seconds <= LONGEST:
        raise InputError(
            "lost_after",
            f"be from {SHORTEST} to {LONGEST} seconds (30 days)",
            seconds,
            f"Leave it out for {usual_wait().total_seconds():g}.",
        )
    shortest = _heartbeats_apart().total_seconds()
    if seconds < shortest:
        raise InputError(
            "lost_after",
            f"be at least {shortest:g} seconds, the time of {MISSED} heartbeats",
            seconds,
            "Give a longer time, or set PREFECT_FLOWS_HEARTBEAT_FREQUENCY (30 or "
            "more) here and where the runs start.",
        )


def _heartbeats_apart() -> timedelta:
    """Give the time of so many heartbeats, if runs have the setting that we have."""
    return timedelta(seconds=MISSED * (PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() or 0))


def _require_callable(url: str, allow_private: bool) -> None:
    """Refuse an address that Prefect can't call, or won't: then no notice would ever come.

    Prefect calls no host with a private address unless the block allows it. A name that this
    machine doesn't know is told on the terminal and let through: the server may know it.
    """
    host = _host_of(url)
    if not host:
        raise InputError(
            "url",
            "begin with http:// or https:// and name a host, and no port but a number",
            "something else",  # the address is a secret
            "Write as in: https://hooks.example.org/services/...",
        )
    try:
        if not allow_private:
            validate_restricted_url(url)
    except ValueError:  # whose text holds the address
        if _is_known(host):
            raise InputError(
                "url",
                "be no address of this machine or a private network",
                f"'{host}', which Prefect refuses to call",
                "Add --allow-private.",
            ) from None
        text = f"This machine doesn't know '{host}'. Unless the server does, no notice will come."
        print(text, file=sys.stderr)


def _host_of(url: str) -> str | None:
    """Give the host of an address of the web; None where there is none or it is malformed."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        malformed = parts.port == 0 or re.search(r"\s", url)
    except ValueError:
        return None
    return None if malformed or parts.scheme not in ("http", "https") else parts.hostname


def _is_known(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _find_block(name: str) -> UUID:
    """Give the id of a webhook block on the connected server."""
    try:
        with get_client(sync_client=True) as client:
            found = client.read_block_document_by_name(name, "webhook", include_secrets=False)
    except ObjectNotFound as error:
        raise InputError(
            "webhook",
            "be the name of a webhook block on the server",
            f"'{name}'",
            "Make one in its UI, under Blocks (with the header Content-Type: "
            "application/json), or give the address: --url https://...",
        ) from error
    return UUID(str(found.id))


def save_block(name: str, url: str, *, allow_private: bool) -> None:
    """Make a webhook block, whose address lies encrypted on the server, or change its address."""
    headers = {"Content-Type": "application/json"}  # Prefect sends a rendered text without one
    block = Webhook(url=url, headers=headers, allow_private_urls=allow_private)
    block.save(name, overwrite=True)


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="automations.py"))
