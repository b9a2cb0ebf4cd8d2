"""Telling the run history: never in the way of a run."""

import logging
from uuid import UUID

import pytest

from tasks.callbacks.history import NEXT_TRY, Connection, add_tags

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES


def refuse() -> None:
    raise ConnectionError("nobody there")


def test_a_call_is_made_once_and_its_result_given() -> None:
    def call() -> tuple[int, float]:
        return PREFECT_CLIENT_MAX_RETRIES.value(), PREFECT_API_REQUEST_TIMEOUT.value()

    retries, patience = Connection().call(call) or (None, None)
    assert (retries, patience) == (0, 10.0)


def test_after_a_failure_nothing_is_tried_for_a_while_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("tasks.callbacks.history.time.monotonic", lambda: now)
    line, calls = Connection(), []
    with caplog.at_level(logging.WARNING):
        assert line.call(refuse) is None
        assert line.call(lambda: calls.append("too early")) is None
    assert calls == []
    (said,) = caplog.messages
    assert said == "The Prefect server is away (nobody there); the run goes on without it"
    now += NEXT_TRY + 1.0
    assert line.call(lambda: "heard") == "heard"


def test_an_interrupt_is_no_failure_of_the_server() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Connection().call(stop)


@pytest.mark.usefixtures("prefect_server")
def test_tags_are_added_to_those_that_a_run_has() -> None:
    @flow(name="tagged", persist_result=False)
    def tagged() -> str:
        add_tags(["one"])
        add_tags(["two", "one"])
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        return str(context.flow_run.id)

    found = tagged()
    with get_client(sync_client=True) as client:
        assert sorted(client.read_flow_run(UUID(found)).tags) == ["one", "two"]


def test_outside_a_run_there_is_nothing_to_tag() -> None:
    add_tags(["one"])
    assert FlowRunContext.get() is None
