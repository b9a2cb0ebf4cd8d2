"""Whose runs and schedules are touched, and a server that is half dead must hold nothing up."""

import socket
import time
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from prefect.states import Running

from flows import ui
from flows.serving import deployments as pool
from flows.serving import server
from resnext.contracts.errors import InputError
from tasks.orchestrator import (
    PREFECT_API_URL,
    StateType,
    SyncPrefectClient,
    flow,
    get_client,
    temporary_settings,
)
from tests.flows.serving.serving import answering


def test_a_server_that_refuses_to_cancel_is_asked_for_a_while_and_then_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = time.monotonic()
    with (
        answering(503) as port,
        temporary_settings(updates={PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}),
    ):
        pool.cancel_runs(1.0)
    assert 1.0 <= time.monotonic() - begun < 30.0
    assert capsys.readouterr().out.startswith("The server can't cancel what runs (")


def test_a_server_that_answers_nothing_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pool, "REQUEST_TIMEOUT", 0.5)
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with temporary_settings(updates={PREFECT_API_URL: url}):
            pool.cancel_runs(1.0)
    assert time.monotonic() - begun < 30.0
    assert capsys.readouterr().out.startswith("The server can't cancel what runs (")


def test_whoever_stops_the_page_twice_does_not_wait_for_what_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped_again(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ui, "cancel_runs", stopped_again)
    ui._save_what_runs()
    assert "Not waiting for what runs." in capsys.readouterr().out


@flow(name="somebody-elses")
def somebody_elses() -> None: ...


@flow(name="full-pipeline")
def namesake() -> None: ...


def running(client: SyncPrefectClient, of: object, worker: str) -> UUID:
    """Have a run of a deployment named like ours, in a pool named like ours, that a worker does."""
    flow_id = client.create_flow(of)  # type: ignore[arg-type]
    deployment = client.create_deployment(flow_id, "batch-predict", work_pool_name=pool.POOL)
    run = client.create_flow_run_from_deployment(deployment).id
    client.set_flow_run_state(run, Running(), force=True)
    body = {"prefect.worker.name": worker}
    client.request("PATCH", "/flow_runs/{id}/labels", path_params={"id": run}, json=body)
    return run


@pytest.mark.usefixtures("prefect_server")
def test_only_what_our_worker_runs_is_given_up_or_cancelled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with get_client(sync_client=True) as client:
        pool.make_pool()
        pool.make_pool()
        theirs = [
            running(client, somebody_elses, "ui-4200"),
            running(client, namesake, "ProcessWorker of a colleague"),
        ]
        ours = running(client, somebody_elses, pool.worker_name())
        pool.give_up_leftovers()
        left = running(client, namesake, pool.worker_name())
        pool.cancel_runs(1.0)
        states = {
            run: found.state.type
            for run in [ours, left, *theirs]
            if (found := client.read_flow_run(run)).state is not None
        }
    assert states[ours] == StateType.CRASHED
    assert states[left] == StateType.CANCELLING
    assert [states[run] for run in theirs] == [StateType.RUNNING, StateType.RUNNING]
    assert capsys.readouterr().out.count("Cancelling the run") == 1


def test_a_schedule_without_its_pictures_is_paused_where_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REPOSITORY", tmp_path)
    (tmp_path / "data" / "new").mkdir(parents=True)
    assert pool.asleep() == {"retrain-weekly": tmp_path / "data" / "45-data"}
    pool.write_deployments(tmp_path / "prefect.yaml")
    written = yaml.safe_load((tmp_path / "prefect.yaml").read_text(encoding="utf-8"))
    said = yaml.safe_load(pool.DEPLOYMENTS.read_text(encoding="utf-8"))
    assert said["deployments"][1]["schedules"][0].pop("active") is True
    assert written["deployments"][1]["schedules"][0].pop("active") is False
    assert written == said


def test_the_page_says_when_each_schedule_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "asleep", dict)
    told = [line for line in ui._schedules() if "next: " in line]
    assert [line.endswith("03:00 (UTC)") for line in told] == [True, False]
    assert [line.count("Mon ") for line in told[:1]] == [3]


def test_a_schedule_in_the_file_that_never_comes_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = {"name": "weekly", "description": "", "schedules": [{"cron": "0 3 31 2 *"}]}
    monkeypatch.setattr(ui, "deployments", lambda: [never])
    monkeypatch.setattr(server, "own", pytest.fail)
    with pytest.raises(
        InputError, match=r"The schedule of weekly in prefect\.yaml must name a date"
    ):
        ui.main()
