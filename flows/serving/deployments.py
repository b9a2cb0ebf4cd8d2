"""What runs without a work pool: the deployments of prefect.yaml, and a flow by the clock.

`flows/ui.py` serves the deployments, `flows/retrain.py --serve` its own schedule. Other machines
take prefect.yaml to Prefect's own `prefect deploy --all`.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml

from flows import REPOSITORY
from flows.serving import server
from flows.serving.address import is_taken
from flows.serving.signals import end_by_sigterm
from resnext.contracts.errors import InputError

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Schedule

log = logging.getLogger(__name__)

DEPLOYMENTS = REPOSITORY / "prefect.yaml"
OF_A_WORKER = ("work_pool", "schedules", "concurrency_limit")  # or said in other words
FIELDS = 5  # of a cron text
SHOWN = 3  # times
OURS = f"served from {server.HERE}:{REPOSITORY}"  # a tag


def deployments() -> list[dict[str, Any]]:
    """Give what prefect.yaml says of each deployment."""
    found: list[dict[str, Any]] = yaml.safe_load(DEPLOYMENTS.read_text("utf-8"))["deployments"]
    return found


def folder_of(deployment: Mapping[str, Any]) -> Path:
    """Give the folder of images that a deployment is about; the repository without one."""
    parameters = deployment.get("parameters", {})
    (folder,) = parameters.get("sources") or [parameters.get("data", {}).get("data", ".")]
    return REPOSITORY / str(folder)


def served() -> Iterator[RunnerDeployment]:
    """Give each deployment to serve from the repository, paused where its folder is missing."""
    for each in deployments():
        there = folder_of(each).is_dir()
        limit = each.get("concurrency_limit")
        deployment = RunnerDeployment.from_entrypoint(
            **{name: value for name, value in each.items() if name not in OF_A_WORKER},
            schedules=[
                Schedule(**plan | {"active": there and plan.get("active", True)})
                for plan in each.get("schedules") or ()
            ],
            concurrency_limit=ConcurrencyLimitConfig(**limit) if isinstance(limit, dict) else limit,
        )
        deployment.work_pool_name = deployment.work_queue_name = None  # also of one made before
        yield deployment


def next_runs(what: str, cron: str, timezone: str) -> str:
    """Say when a cron text comes next, three times, as Prefect's scheduler reckons.

    Raises:
        InputError: it has not five fields, none of its dates exists, or the time zone is unknown.
    """
    from prefect.server.schemas.schedules import CronSchedule

    if timezone not in available_timezones():
        zone = "--timezone" if what == "--cron" else f"{what} ('timezone')"
        raise InputError(zone, "be a time zone's name, as Europe/Berlin", f"'{timezone}'")
    try:
        schedule, fields = CronSchedule(cron=cron, timezone=timezone), len(cron.split())
    except ValueError:
        fields = 0
    if fields != FIELDS:  # Prefect takes six, with seconds, and names such as @daily too
        remedy = "Write five fields (minute, hour, day, month, weekday), as 0 3 * * 1 for Mondays."
        raise InputError(what, "be a cron expression", f"'{cron}'", remedy)
    try:
        dates = asyncio.run(schedule.get_dates(SHOWN))
    except ValueError as error:  # Prefect's server would look for it in vain
        got = f"'{cron}', which never comes"
        remedy = "Name a day that its month has."
        raise InputError(what, "name a date that exists", got, remedy) from error
    return f"{', '.join(f'{date:%a %Y-%m-%d %H:%M}' for date in dates)} ({timezone})"


def serve(flow: Flow[..., Any], cron: str, timezone: str, parameters: dict[str, Any]) -> None:
    """Run a flow by the clock until Ctrl-C, one run at a time; the second waits.

    A run that is stopped saves a checkpoint.

    Raises:
        InputError: see `server.connected`; or the server's deployment is somebody else's.
    """
    name = f"{flow.name}-served"
    end_by_sigterm()
    port = 0 if is_taken(server.PORT) else server.PORT
    log.info("%s runs at '%s' (%s) until Ctrl-C", flow.name, cron, timezone)
    log.info("next: %s", next_runs("--cron", cron, timezone))
    with server.connected(port=port) as url:
        if url != server.own_address():
            _require_ours(f"{flow.name}/{name}", url)
        log.info("run history: %s", url.removesuffix("/api"))
        flow.serve(
            name=name,
            tags=[OURS],
            schedule=Cron(cron, timezone=timezone),
            parameters=parameters,
            global_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
            ),
            print_starting_message=False,
        )
        log.info("stopped; the schedule is paused until it is served again")


def _require_ours(name: str, url: str) -> None:
    """Refuse to take over, and later to pause, a schedule that is served from somewhere else."""
    with get_client(sync_client=True) as client:
        try:
            tags = client.read_deployment_by_name(name).tags
        except ObjectNotFound:
            return
    if OURS not in tags:
        got = f"one on {url} that was made elsewhere ({', '.join(tags) or 'no tags'})"
        remedy = (
            "Unset PREFECT_API_URL to serve on a server of this machine, or, if nobody needs it: "
            f"prefect deployment delete '{name}'"
        )
        raise InputError("serve", f"have the deployment '{name}' for itself", got, remedy)
