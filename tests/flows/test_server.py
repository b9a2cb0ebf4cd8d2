import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import address, server
from resnext.errors import InputError
from tasks.orchestrator import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_UI_URL,
    temporary_settings,
)
from tests.flows.serving import answering

CLIENT = """
import sys, time, pathlib
from flows.server import connected
with connected(linger=3.0) as url:
    pathlib.Path(sys.argv[1]).write_text(url)
    time.sleep(float(sys.argv[2]))
"""


def start_client(home: Path, name: str, seconds: float) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PREFECT_HOME": str(home)}
    for variable in ("PREFECT_API_URL", "PREFECT_API_DATABASE_CONNECTION_URL"):
        environment.pop(variable, None)
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(home / name), str(seconds)], env=environment
    )


def wait_until(condition: object, what: str, seconds: float = 90.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.mark.skipif(address.healthy(server.WELL_KNOWN), reason="a server runs on the usual port")
def test_runs_share_one_server_that_ends_after_the_last_even_if_it_was_killed(
    tmp_path: Path,
) -> None:
    first, second = (start_client(tmp_path, name, 30.0) for name in ("first", "second"))
    try:
        wait_until((tmp_path / "first").exists, "the first run got no server")
        wait_until((tmp_path / "second").exists, "the second run got no server")
        url = (tmp_path / "first").read_text()
        assert url == (tmp_path / "second").read_text()
        assert url.startswith("http://127.0.0.1:")
        first.kill()
        first.wait()
        time.sleep(5.0)
        assert address.healthy(url), "the second run still needs it"
    finally:
        for client in (first, second):
            client.kill()
            client.wait()
    wait_until(lambda: not address.healthy(url), "the server outlived its runs", 20.0)
    assert not (tmp_path / "pipeline-server.json").exists()


def test_a_server_that_is_named_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_shared", pytest.fail)
    with (
        answering(200, b"true") as port,
        temporary_settings(updates={PREFECT_API_URL: f"http://127.0.0.1:{port}/api/"}),
        server.connected() as url,
    ):
        assert url == f"http://127.0.0.1:{port}/api"


def test_a_password_in_the_address_is_used_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_shared", pytest.fail)
    with (
        answering(200, b"true") as port,
        temporary_settings(updates={PREFECT_API_URL: f"http://me:z%2Fe@bra@127.0.0.1:{port}/api"}),
        server.connected() as url,
    ):
        assert PREFECT_API_AUTH_STRING.value() == "me:z/e@bra"
        assert url == PREFECT_API_URL.value() == f"http://127.0.0.1:{port}/api"
        assert PREFECT_UI_URL.value() == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_another_program_is_not_taken_for_the_server_that_is_named(status: int) -> None:
    with (
        answering(status) as port,
        temporary_settings(updates={PREFECT_API_URL: f"http://me:zebra@127.0.0.1:{port}/api"}),
        pytest.raises(
            InputError, match=rf"must name a Prefect server .* \(status {status}\)"
        ) as told,
        server.connected(),
    ):
        pytest.fail("connected to another program")
    assert "zebra" not in str(told.value)


def test_another_program_on_the_usual_port_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = "http://127.0.0.1:9/api"
    monkeypatch.setattr(server, "_shared", lambda *_: ours)
    with (
        answering(200) as port,
        temporary_settings(updates={PREFECT_HOME: tmp_path}, restore_defaults={PREFECT_API_URL}),
    ):
        monkeypatch.setattr(server, "WELL_KNOWN", f"http://127.0.0.1:{port}/api")
        assert server.lasting() is None
        with server.connected() as url:
            assert url == ours


def test_a_stale_record_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "pipeline-server.json").write_text('{"url": "http://127.0.0.1:9/api"}')
    assert server._address(tmp_path) == "http://127.0.0.1:9/api"
    assert not address.healthy("http://127.0.0.1:9/api")
    (tmp_path / "pipeline-server.json").write_text("{")
    assert server._address(tmp_path) is None


def test_a_named_server_that_does_not_answer_is_told_in_words() -> None:
    with (
        temporary_settings(updates={PREFECT_API_URL: "http://me:zebra@127.0.0.1:9/api"}),
        pytest.raises(InputError, match=r"got 'http://127\.0\.0\.1:9/api', where nobody answers"),
        server.connected(),
    ):
        pytest.fail("connected to nothing")


def test_loopback_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    address.reach_loopback_directly()
    address.reach_loopback_directly()
    assert os.environ["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost"
    monkeypatch.undo()


def test_a_server_elsewhere_is_reached_through_the_proxy_and_this_machine_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with answering(200, b"true") as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert address.healthy("http://server.invalid/api")
        assert not address.healthy("http://127.0.0.1:9/api")


def test_a_home_that_is_no_folder_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        temporary_settings(updates={PREFECT_HOME: tmp_path / "file" / "home"}),
        pytest.raises(InputError, match="PREFECT_HOME must be a folder that can be written to"),
    ):
        server.history_folder()
