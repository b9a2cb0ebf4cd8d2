"""What is in the work pool: deployments, their schedules, and runs that go on or were left behind.

It talks to the server that is connected, and starts nothing.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.flags import REPOSITORY
from tasks.orchestrator import (
    Cancelling,
    Crashed,
    FlowRun,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    State,
    StateType,
    SyncPrefectClient,
    WorkPoolFilter,
    WorkPoolFilterName,
    get_client,
)

POOL = "local"
DEPLOYMENTS = REPOSITORY / "prefect.yaml"
LOOK_EVERY = 0.5  # seconds


def deployments() -> list[dict[str, Any]]:
    """Give what prefect.yaml says of each deployment."""
    found: list[dict[str, Any]] = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))[
        "deployments"
    ]
    return found


def pause_schedules() -> dict[str, Path]:
    """Pause the schedule of each deployment whose folder of pictures is not there; name them."""
    missing = {
        each["name"]: folder
        for each in deployments()
        if each.get("schedules") and not (folder := REPOSITORY / folder_of(each)).is_dir()
    }
    with get_client(sync_client=True) as client:
        for found in client.read_deployments():
            for schedule in found.schedules if found.name in missing else ():
                client.update_deployment_schedule(found.id, schedule.id, active=False)
    return missing


def folder_of(deployment: Mapping[str, Any]) -> str:
    """Give the folder of pictures that a deployment is about; the repository without one."""
    parameters = deployment.get("parameters", {})
    return str(parameters.get("source") or parameters.get("data", {}).get("data", "."))


def give_up_leftovers() -> None:
    """Mark as crashed what an earlier worker left unfinished; nothing runs it any more."""
    state: State[Any] = Crashed(
        message="Its worker is gone. Run it again: it goes on from its newest checkpoint."
    )
    with get_client(sync_client=True) as client:
        for run in _unfinished(client):
            client.set_flow_run_state(run.id, state, force=True)


def cancel_runs(patience: float) -> None:
    """Cancel what runs, and wait until it has ended: a worker that is stopped kills its runs.

    Args:
        patience: Seconds to wait at most.
    """
    end = time.monotonic() + patience
    with get_client(sync_client=True) as client:
        while (runs := _unfinished(client)) and time.monotonic() < end:
            for run in runs:
                if run.state is None or not run.state.is_cancelling():
                    print(f"Cancelling the run '{run.name}' ...", flush=True)
                    client.set_flow_run_state(run.id, Cancelling(), force=True)
            time.sleep(LOOK_EVERY)


def _unfinished(client: SyncPrefectClient) -> list[FlowRun]:
    """Give the runs of the pool that began and did not end."""
    kinds = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    began = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)))
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    return client.read_flow_runs(flow_run_filter=began, work_pool_filter=pool)
