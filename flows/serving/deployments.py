"""What our worker is about: deployments, their schedules, and runs that go on or were left behind.

It talks to the server that is connected, and starts nothing. What others have there is left alone,
whatever its name: a run is ours by the worker that carries it out.
"""

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from flows.cli.flags import REPOSITORY
from flows.serving import server
from tasks.orchestrator import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    Cancelling,
    Crashed,
    FlowRun,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    ObjectAlreadyExists,
    State,
    StateType,
    SyncPrefectClient,
    WorkPoolCreate,
    WorkPoolFilter,
    WorkPoolFilterName,
    get_client,
    temporary_settings,
)

POOL = "local"
DEPLOYMENTS = REPOSITORY / "prefect.yaml"
LOOK_EVERY = 0.5  # seconds
REQUEST_TIMEOUT = 10.0  # seconds for one request while we end


def make_pool() -> None:
    """Make the work pool where there is none; one that there is stays as its owner set it."""
    with suppress(ObjectAlreadyExists), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def worker_name() -> str:
    """Name the worker by machine and history, for each of which there is one at a time.

    Prefect labels a run with the name of the worker that carries it out.
    """
    place = f"{server.HERE}:{server.history_folder()}"
    return f"ui-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def deployments() -> list[dict[str, Any]]:
    """Give what prefect.yaml says of each deployment."""
    found: list[dict[str, Any]] = _said()["deployments"]
    return found


def asleep() -> dict[str, Path]:
    """Name each deployment whose schedule waits for a folder of pictures, and that folder."""
    return {
        each["name"]: folder
        for each in deployments()
        if each.get("schedules") and not (folder := REPOSITORY / folder_of(each)).is_dir()
    }


def write_deployments(file: Path) -> None:
    """Write what prefect.yaml says, with the schedules that wait for their pictures paused."""
    said, waiting = _said(), asleep()
    for each in said["deployments"]:
        for schedule in each.get("schedules") or () if each["name"] in waiting else ():
            schedule["active"] = False
    file.write_text(yaml.safe_dump(said), encoding="utf-8")


def _said() -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))
    return said


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
    """Give the runs of our worker that began and did not end."""
    kinds = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    began = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)))
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    worker = worker_name()
    found = client.read_flow_runs(flow_run_filter=began, work_pool_filter=pool)
    return [run for run in found if run.labels.get("prefect.worker.name") == worker]
