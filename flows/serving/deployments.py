"""The deployments of prefect.yaml, as this machine serves them, and runs that were left behind.

`flows/ui.py` serves them without a work pool. Other machines take the same file to Prefect's own
`prefect deploy --all`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.cli.flags import REPOSITORY
from flows.serving import server

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig, StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Schedule
from prefect.states import Crashed

DEPLOYMENTS = REPOSITORY / "prefect.yaml"
OF_A_WORKER = ("work_pool", "schedules", "tags", "concurrency_limit")  # or said in other words


def deployments() -> list[dict[str, Any]]:
    """Give what prefect.yaml says of each deployment."""
    found: list[dict[str, Any]] = yaml.safe_load(DEPLOYMENTS.read_text("utf-8"))["deployments"]
    return found


def folder_of(deployment: Mapping[str, Any]) -> Path:
    """Give the folder of images that a deployment is about; the repository without one."""
    parameters = deployment.get("parameters", {})
    folder = parameters.get("source") or parameters.get("data", {}).get("data", ".")
    return REPOSITORY / str(folder)


def tag() -> str:
    """Give the tag of the runs that this machine's UI starts for this history: one UI at a time."""
    where = f"{server.HERE}:{server.history_folder()}"
    return f"ui-{hashlib.sha256(where.encode()).hexdigest()[:8]}"


def served() -> Iterator[RunnerDeployment]:
    """Give each deployment to serve from the repository, paused where its folder is missing."""
    for each in deployments():
        there = folder_of(each).is_dir()
        limit = each.get("concurrency_limit")
        deployment = RunnerDeployment.from_entrypoint(
            **{name: value for name, value in each.items() if name not in OF_A_WORKER},
            tags=[*each.get("tags", ()), tag()],
            schedules=[
                Schedule(**plan | {"active": there and plan.get("active", True)})
                for plan in each.get("schedules") or ()
            ],
            concurrency_limit=ConcurrencyLimitConfig(**limit) if isinstance(limit, dict) else limit,
        )
        deployment.work_pool_name = deployment.work_queue_name = None  # also of one made before
        yield deployment


def give_up_leftovers() -> None:
    """Mark as crashed what an earlier UI left unfinished; nothing runs it any more."""
    kinds = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    began = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[tag()]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)),
    )
    message = "Who ran it is gone. Run it again: it goes on from its newest checkpoint."
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=began):
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
