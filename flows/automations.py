"""Have the Prefect server call a webhook when a run fails and when a model is promoted.

$ python flows/automations.py --webhook NAME
$ python flows/automations.py --webhook NAME --url https://...    # makes that webhook block first
$ python flows/automations.py --remove

The server also gives up runs whose process ended without a word: those that send no heartbeat any
more. Automations live on the server and are made on one that goes on running (`make ui`, or
PREFECT_API_URL). Nothing is sent by the runs themselves.

Source: https://docs.prefect.io/v3/advanced/detect-zombie-flows for the lost heartbeat. Departs
from it in that only this project's flows are watched.
"""

import json
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from flows.cli import run as command
from flows.serving import server
from flows.serving.webhook import BLOCK_NAME, find_block, require_callable, save_block
from resnext.contracts.errors import InputError
from tasks.orchestrator import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_UI_URL,
    Automation,
    CallWebhook,
    ChangeFlowRunState,
    EventTrigger,
    Posture,
    ResourceSpecification,
    StateType,
    get_client,
)
from tasks.registry.announce import PROMOTED, REGISTRY

FLOWS = ("full-pipeline", "retrain", "batch-predict", "compare")
FAILURE = "resnext-pipeline: a run failed or crashed"
PROMOTION = "resnext-pipeline: a model was promoted"
SILENCE = "resnext-pipeline: a run lost its heartbeat"
NAMES = (FAILURE, PROMOTION, SILENCE)

HEARTBEAT = "prefect.flow-run.heartbeat"
BAD_ENDS = {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")}
GOOD_ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Cancelled", "Suspended")}

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
    if lost_after is not None:
        _require_in_bounds(lost_after)
    after = usual_wait() if lost_after is None else timedelta(seconds=lost_after)
    watch = watch_heartbeats(after)  # wrong input is said before a server is asked
    _require_longer_than_heartbeats(after)
    _require_lasting_server()
    with server.connected():
        if webhook is None:
            print(f"Removed {remove_automations()} of {len(NAMES)} automations.")
            return
        if url is not None:
            save_block(webhook, url, allow_private=allow_private)
        block = find_block(webhook)
        create_automations([failure_notice(block), promotion_notice(block), watch])
    print(f"The webhook block '{webhook}' is called when a run fails and when a model is promoted.")
    print(f"A run without a heartbeat for {after.total_seconds():g} s counts as crashed.")


def usual_wait() -> timedelta:
    """Give the time without a heartbeat after which a run counts as crashed, if nobody says."""
    return max(LOST_AFTER, _heartbeats_apart())


def watch_heartbeats_where_none_does() -> None:
    """Watch the heartbeats on the connected server, unless it does with a time of its owner's."""
    if not _by_name(SILENCE):
        watch_heartbeats(usual_wait()).create()


def create_automations(automations: Iterable[Automation]) -> None:
    """Create automations on the connected server, or update those of the same name.

    One that was switched off in the UI stays off.
    """
    for automation in automations:
        known = _by_name(automation.name)
        if known:
            changed = {"id": known[0].id, "enabled": known[0].enabled}
            automation.model_copy(update=changed).update()
        else:
            automation.create()


def remove_automations() -> int:
    """Remove this project's automations from the connected server; tell how many there were."""
    known = [automation for name in NAMES for automation in _by_name(name)]
    with get_client(sync_client=True) as client:
        for automation in known:
            client.delete_automation(automation.id)
    return len(known)


def failure_notice(block: UUID) -> Automation:
    """Call a webhook block when a run of this project failed or crashed."""
    ended = 'event.payload["validated_state"]'
    link = _link()
    said = f"({ended}.message or '')"
    payload = _json_of(
        text=f"flow.name ~ ' \"' ~ flow_run.name ~ '\" ' ~ ({ended}.name | lower) ~ ': ' ~ {said}"
        f" ~ ' ' ~ {link}",
        event="'run failed'",
        flow="flow.name",
        flow_run="flow_run.name",
        id="flow_run.id | string",
        state=f"{ended}.name",
        message=said,
        link=link,
    )
    return Automation(
        name=FAILURE,
        description="Calls a webhook. Made by flows/automations.py.",
        trigger=EventTrigger(
            expect=BAD_ENDS, match=_any_flow_run(), match_related=_flows(), threshold=1
        ),
        actions=[CallWebhook(block_document_id=block, payload=payload)],
    )


def promotion_notice(block: UUID) -> Automation:
    """Call a webhook block when a model became champion."""
    fact = "event.payload.{}".format
    payload = _json_of(
        text="'Version ' ~ event.payload.version ~ ' is champion now (' ~ event.payload.score"
        " ~ '): ' ~ event.payload.why",
        event="'model promoted'",
        version=fact("version"),
        why=fact("why"),
        score=fact("score"),
        data=fact("data"),
        network=fact("network"),
        flow_run="flow_run.name",  # none where it was promoted by hand
        id="flow_run.id | string if flow_run else ''",
        link=f"{_link()} if flow_run else ''",
    )
    return Automation(
        name=PROMOTION,
        description="Calls a webhook. Made by flows/automations.py.",
        trigger=EventTrigger(
            expect={PROMOTED},
            match=ResourceSpecification({"prefect.resource.id": f"{REGISTRY}.*"}),
            threshold=1,
        ),
        actions=[CallWebhook(block_document_id=block, payload=payload)],
    )


def watch_heartbeats(after: timedelta) -> Automation:
    """Mark a run as crashed that sent no heartbeat for a time and did not end either.

    Runs send one at their start and every PREFECT_FLOWS_HEARTBEAT_FREQUENCY seconds (180 by
    default, 30 at least): a living run whose next one is due later than `after` would be marked.

    Raises:
        InputError: the time is shorter than Prefect allows, or longer than it reckons with.
    """
    _require_in_bounds(after.total_seconds())
    seconds = f"{after.total_seconds():g}"
    return Automation(
        name=SILENCE,
        description="Marks a run as crashed. Made by flows/automations.py.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT} | BAD_ENDS | GOOD_ENDS,
            match=_any_flow_run(),
            match_related=_flows(),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=after,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"the process ended without a word: no heartbeat for {seconds} s",
            )
        ],
    )


def _require_flags_that_fit(
    webhook: str | None, url: str | None, allow_private: bool, remove: bool
) -> None:
    if remove == (webhook is not None):
        raise InputError(
            "webhook",
            "be given, or else --remove",
            "both" if remove else "neither",
            "Write as in: automations.py --webhook NAME",
        )
    if url is None and allow_private:
        raise InputError(
            "allow_private",
            "be given with --url only",
            "no address",
            "Whether a block that exists may call the own network is set in the UI, under Blocks.",
        )
    if url is not None and webhook is None:
        raise InputError(
            "url",
            "be given with --webhook only",
            "--remove",
        )
    if url is not None:
        require_callable(url, allow_private=allow_private)
    if webhook is not None and not BLOCK_NAME.fullmatch(webhook):
        raise InputError(
            "webhook",
            "be lower-case letters, digits and dashes",
            f"'{webhook}'",
        )


def _require_in_bounds(seconds: float) -> None:
    if not SHORTEST <= seconds <= LONGEST:
        raise InputError(
            "lost_after",
            f"be from {SHORTEST} to {LONGEST} seconds (30 days)",
            int(seconds),
            f"Leave it out for {usual_wait().total_seconds():g}.",
        )


def _heartbeats_apart() -> timedelta:
    """Give the time of so many heartbeats, if runs have the setting that we have."""
    return timedelta(seconds=MISSED * (PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() or 0))


def _require_longer_than_heartbeats(after: timedelta) -> None:
    """Refuse a time in which a living run may be silent."""
    shortest = _heartbeats_apart()
    if after < shortest:
        raise InputError(
            "lost_after",
            f"be at least {shortest.total_seconds():g} seconds, the time of {MISSED} heartbeats",
            f"{after.total_seconds():g}",
            "Give a longer time, or set PREFECT_FLOWS_HEARTBEAT_FREQUENCY (30 or "
            "more) here and where the runs start.",
        )


def _require_lasting_server() -> None:
    if server.current() is None:
        raise InputError(
            "PREFECT_API_URL",
            "name a Prefect server that goes on running",
            "none, and this project's own does not run",
            "Start it: make ui",
        )


def _by_name(name: str) -> list[Any]:
    with get_client(sync_client=True) as client:
        return list(client.read_automations_by_name(name))


def _any_flow_run() -> ResourceSpecification:
    return ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"})


def _flows() -> ResourceSpecification:
    return ResourceSpecification(
        {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)}
    )


def _link() -> str:
    """Give the expression for a run's page: by the server's own address, else by ours for it."""
    pages = json.dumps(f"{PREFECT_UI_URL.value() or ''}/runs/flow-run/")
    return f"((flow_run | ui_url) or ({pages} ~ flow_run.id))"


def _json_of(**values: str) -> str:
    """Write a template whose result is a JSON object, out of Jinja expressions.

    What is undefined becomes an empty string. "text" is what Slack and Mattermost show.
    """
    pairs = (
        f'"{key}": {{{{ ({value}) | default("", true) | tojson }}}}'
        for key, value in values.items()
    )
    return "{" + ", ".join(pairs) + "}"


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="automations.py"))
