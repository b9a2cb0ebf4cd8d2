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
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
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
    temporary_settings,
)

POOL = "local"
DEPLOYMENTS = REPOSITORY / "prefect.yaml"
LOOK_EVERY = 0.5  # seconds
REQUEST_TIMEOUT = 10.0  # seconds for one request while we end


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

    A server that fails to answer is asked again. What could not be cancelled is told on the
    terminal, and no error, since what follows must end the programs all the same.

    Args:
        patience: Seconds to wait at most, and for one more request.
    """
    end = time.monotonic() + patience
    failure: Exception | None = None
    at_once = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: REQUEST_TIMEOUT}
    with temporary_settings(updates=at_once), get_client(sync_client=True) as client:
        while time.monotonic() < end:
            try:
                if not _cancel_unfinished(client):
                    return
                failure = None
            except Exception as error:
                failure = error
            time.sleep(LOOK_EVERY)
    if failure is not None:
        print(f"The server can't cancel what runs ({type(failure).__name__}).", flush=True)


def _cancel_unfinished(client: SyncPrefectClient) -> bool:
    """Cancel what runs, and tell whether anything did."""
    runs = _unfinished(client)
    for run in runs:
        if run.state is None or not run.state.is_cancelling():
            client.set_flow_run_state(run.id, Cancelling(), force=True)
            print(f"Cancelling the run '{run.name}' ...", flush=True)
    return bool(runs)


def _unfinished(client: SyncPrefectClient) -> list[FlowRun]:
    """Give the runs of the pool that began and did not end."""
    kinds = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    began = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)))
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    return client.read_flow_runs(flow_run_filter=began, work_pool_filter=pool)
