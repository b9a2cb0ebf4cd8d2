"""Stages under Prefect's task runners: key, lock and checked hit hold in threads and processes."""

import os
import time
from collections import Counter
from typing import Annotated, Any

import pytest

from resnext.contracts.errors import InputError
from tasks.stage.artifact import Artifact, Reads, Runtime, Work
from tasks.stage.decorator import stage
from tests.flows.serving.serving import wait_until

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.runtime import flow_run
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

RUNNERS = [
    pytest.param(ThreadPoolTaskRunner(max_workers=2), id="threads"),
    pytest.param(ProcessPoolTaskRunner(max_workers=2), id="processes", marks=pytest.mark.slow),
]


@stage(run_name="write {text}")
def write(work: Work, text: str) -> None:
    """Write a text, and note who did."""
    with (work.store / "builders.txt").open("a") as builders:
        builders.write(f"{text} {os.getpid()}\n")
    time.sleep(0.5)
    (work.out / "text.txt").write_text(text)


@stage()
def refuse(work: Work, written: Annotated[Artifact, Reads("text.txt")]) -> None:
    """Find the input wrong."""
    with (work.store / "tries.txt").open("a") as tries:
        tries.write(written.path("text.txt").read_text())
    raise InputError("--x", "be 1", 2)


def states(run: str) -> Counter[str]:
    """Count the states of a flow run's tasks."""
    this = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    with get_client(sync_client=True) as client:
        return Counter(str(t.state_name) for t in client.read_task_runs(flow_run_filter=this))


@pytest.mark.usefixtures("prefect_server")
def test_a_run_is_named_by_its_inputs_and_by_the_network_that_it_is_about(runtime: Runtime) -> None:
    runtime.store.mkdir()

    @flow
    def naming() -> str:
        write(runtime, "a")
        write(runtime.model_copy(update={"label": "fold 1"}), "b")
        return str(flow_run.id)

    this = FlowRunFilter(id=FlowRunFilterId(any_=[naming()]))

    def names() -> set[str]:
        with get_client(sync_client=True) as client:
            return {t.name for t in client.read_task_runs(flow_run_filter=this)}

    wait_until(lambda: names() == {"write a", "fold 1 write b"}, "other names")


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("runner", RUNNERS)
def test_stages_that_are_submitted_are_chained_computed_once_and_not_retried_on_wrong_input(
    runner: TaskRunner[Any], runtime: Runtime
) -> None:
    runtime.store.mkdir()

    @flow(task_runner=runner)
    def submitting() -> str:
        same = [write.submit(runtime, "a"), write.with_options(tags=["x"]).submit(runtime, "a")]
        mapped = write.map(runtime, ["b", "c"]).result()
        chained = refuse.submit(runtime, same[1])
        assert same[0].result() == same[1].result() == write.fn(runtime, "a")
        assert [artifact.path("text.txt").read_text() for artifact in mapped] == ["b", "c"]
        with pytest.raises(InputError, match="--x must be 1, got 2"):
            chained.result()
        return str(flow_run.id)

    run = submitting()
    wait_until(lambda: states(run) == {"Completed": 3, "Cached": 1, "Failed": 1}, "other states")
    built = [line.split() for line in (runtime.store / "builders.txt").read_text().splitlines()]
    assert sorted(text for text, _ in built) == ["a", "b", "c"], "one builder a key"
    elsewhere = isinstance(runner, ProcessPoolTaskRunner)
    assert all((int(process) != os.getpid()) is elsewhere for _, process in built)
    assert (runtime.store / "tries.txt").read_text() == "a"
    run = submitting()
    wait_until(lambda: states(run) == {"Cached": 4, "Failed": 1}, "not all are cached")


def test_a_stage_with_other_options_has_the_key_of_the_stage() -> None:
    assert write.with_options(retries=0).key("a") == write.key("a")
