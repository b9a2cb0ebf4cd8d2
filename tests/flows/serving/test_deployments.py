"""Whose runs and schedules are touched, and a server that is half dead must hold nothing up."""

from pathlib import Path
from uuid import UUID

import pytest

from flows import ui
from flows.serving import deployments as pool
from flows.serving import server
from resnext.contracts.errors import InputError
from tests.conftest import REPOSITORY

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.states import Running


@flow(name="somebody-elses")
def somebody_elses() -> None: ...


@flow(name="full-pipeline")
def namesake() -> None: ...


def started(client: SyncPrefectClient, of: object, tags: list[str]) -> UUID:
    """Have a run that goes on, of a deployment named like ours, with these tags."""
    flow_id = client.create_flow(of)  # type: ignore[arg-type]
    deployment = client.create_deployment(flow_id, "batch-predict", tags=tags)
    run = client.create_flow_run_from_deployment(deployment).id
    client.set_flow_run_state(run, Running(), force=True)
    return run


@pytest.mark.usefixtures("prefect_server")
def test_only_what_our_ui_started_is_given_up() -> None:
    with get_client(sync_client=True) as client:
        theirs = [
            started(client, somebody_elses, ["ui-4200"]),
            started(client, namesake, ["on demand"]),
        ]
        ours = started(client, namesake, ["on demand", pool.tag()])
        pool.give_up_leftovers()
        states = {
            run: found.state.type
            for run in [ours, *theirs]
            if (found := client.read_flow_run(run)).state is not None
        }
    assert states[ours] == StateType.CRASHED
    assert [states[run] for run in theirs] == [StateType.RUNNING, StateType.RUNNING]


def test_a_schedule_without_its_images_is_paused_where_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REPOSITORY", tmp_path)
    monkeypatch.chdir(REPOSITORY)
    (tmp_path / "data" / "new").mkdir(parents=True)
    made = {each.name: each for each in pool.served()}
    active = {name: [plan.active for plan in each.schedules or ()] for name, each in made.items()}
    assert active == {
        "full-pipeline": [],
        "retrain-weekly": [False],
        "batch-predict": [True],
        "compare": [],
    }
    said = {each["name"]: each for each in pool.deployments()}
    for name, each in made.items():
        assert each.entrypoint == said[name]["entrypoint"]
        assert each.parameters == said[name].get("parameters", {})
        assert each.tags == [*said[name]["tags"], pool.tag()]
        assert each.work_pool_name is None


def test_the_page_says_when_each_schedule_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "folder_of", lambda _: Path())
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
