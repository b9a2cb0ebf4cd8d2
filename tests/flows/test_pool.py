"""What ends the programs of the page must not hang on a server that is half dead."""

import socket
import time

import pytest

from flows import pool, ui
from tasks.orchestrator import PREFECT_API_URL, temporary_settings
from tests.flows.serving import answering


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
