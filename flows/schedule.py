"""Serve a flow on a schedule from this process, without a work pool and a worker."""

import logging
import signal
from contextlib import ExitStack
from typing import Any

from flows import address, page, server
from flows.flags import ScheduleFlags
from resnext.errors import InputError
from tasks.orchestrator import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    Cron,
    CronSchedule,
    Flow,
)
from tasks.watch import signals_to_end

log = logging.getLogger(__name__)


def require_schedule(flags: ScheduleFlags) -> None:
    """Check when to run.

    Raises:
        InputError: it is no cron expression, the time zone is unknown, or nothing is to be served.
    """
    if not flags.serve:
        for name in ("cron", "timezone"):
            if getattr(flags, name) is not None:
                raise InputError(f"--{name} must go with --serve, got it alone. Add --serve.")
        return
    cron, timezone = flags.when
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValueError as error:
        wrong_zone = "timezone" in str(error).lower()
        rule = "a time zone's name, as Europe/Berlin" if wrong_zone else "a cron expression"
        remedy = "" if wrong_zone else " Write five fields, as in '0 3 * * 1' for Mondays at 03:00."
        flag, value = ("timezone", timezone) if wrong_zone else ("cron", cron)
        raise InputError(f"--{flag} must be {rule}, got '{value}'.{remedy}") from error


def serve(flow: Flow[..., Any], flags: ScheduleFlags, parameters: dict[str, Any]) -> None:
    """Run a flow by the clock until Ctrl-C, one run at a time; the second waits.

    A server is started for it where none goes on running. A run that is stopped saves a checkpoint.

    Raises:
        InputError: no Prefect server answers where the settings say, it asks for another password,
            or there is no port for a new one.
    """
    cron, timezone = flags.when
    with ExitStack() as stack:
        _stop_as_by_sigterm()
        address.reach_loopback_directly()
        found = server.lasting() or stack.enter_context(page.served(page.PORT)).url
        url = stack.enter_context(address.named(found))
        log.info("%s runs at '%s' (%s) until Ctrl-C", flow.name, cron, timezone)
        log.info("run history: %s", url.removesuffix("/api"))
        flow.serve(
            name=f"{flow.name}-served",
            schedule=Cron(cron, timezone=timezone),
            parameters=parameters,
            global_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
            ),
            print_starting_message=False,
        )
        log.info("stopped; the schedule is paused until it is served again")


def _stop_as_by_sigterm() -> None:
    """Pass on as SIGTERM whatever asks to end: then Prefect cancels what runs, and pauses.

    At a KeyboardInterrupt it would do neither, and wait for the end of a training.
    """
    page.stop_by_signals()
    for each in {signal.SIGINT, *signals_to_end()} - {signal.SIGTERM}:
        signal.signal(each, _pass_on)


def _pass_on(*_: object) -> None:
    page.mute_a_closed_terminal()
    signal.raise_signal(signal.SIGTERM)
