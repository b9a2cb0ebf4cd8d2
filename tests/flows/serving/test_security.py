"""Who can reach the server, what is asked of them, and what is never written down."""

import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.serving import address, server
from tests.conftest import make_tree
from tests.flows.serving.serving import (
    REPOSITORY,
    end,
    environment,
    free_port,
    run_python,
    running_server,
    wait_until,
)

from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

PASSWORD = "admin:very-secret-zebra"
PICKLE = b"\x80"  # the first byte of every pickle since protocol 2
RESULT = """
import tasks
from prefect import flow

@flow(name="with-a-result", persist_result=True)
def with_a_result():
    return {"score": 0.5}

with_a_result()
"""


class Guarded:
    """A server with a password, and a run of the pipeline on it."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url, self.store = root, url, root / "store"
        self.home, self.server_home = root / "home", root / "server"
        self.home.mkdir()

    def scan(self, **settings: str) -> tuple[int, str]:
        program = str(REPOSITORY / "flows" / "full_pipeline.py")
        words = ["--data", str(self.root / "pictures"), "--store", str(self.store)]
        return run_python(
            [program, *words, "--only", "scan"], self.home, PREFECT_API_URL=self.url, **settings
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    root = tmp_path_factory.mktemp("security")
    make_tree(root / "pictures")
    with running_server(root / "server", PREFECT_SERVER_API_AUTH_STRING=PASSWORD) as url:
        yield Guarded(root, url)


@pytest.mark.slow
def test_the_server_that_a_run_starts_listens_on_loopback_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_SERVER_API_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment(tmp_path).items():
        monkeypatch.setenv(name, text)
    port = free_port()
    process = server._spawn(tmp_path, port, linger=300.0)
    try:
        wait_until(lambda: address.healthy(f"http://127.0.0.1:{port}/api"), "no server", 180.0)
        assert not answers_at("127.0.0.2", port)
    finally:
        end(process)


def answers_at(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_a_port_that_is_open_to_all_would_be_noticed() -> None:
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        assert answers_at("127.0.0.2", everywhere.getsockname()[1])


@pytest.mark.slow
def test_a_server_with_a_password_answers_nobody_without_it(guarded: Guarded) -> None:
    for page in ("/admin/version", "/admin/settings"):
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(guarded.url + page, timeout=30)
        refused.value.close()
    page = f"{guarded.url}/admin/version"
    assert address.ask(page, PASSWORD, seconds=30.0)[0] == 200
    assert address.ask(page, "admin:guess", seconds=30.0)[0] == 401


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "got"), [({}, "got none."), ({"PREFECT_API_AUTH_STRING": "a:b"}, "got another one.")]
)
def test_a_run_without_the_password_ends_in_words_with_exit_code_2(
    guarded: Guarded, given: dict[str, str], got: str
) -> None:
    code, said = guarded.scan(**given)
    assert code == 2, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert "PREFECT_API_AUTH_STRING must be the user:password that the Prefect server at" in last
    assert got in last
    assert "a:b" not in last
    assert PASSWORD not in said


@pytest.mark.slow
def test_connecting_with_the_password_works(guarded: Guarded) -> None:
    named = {PREFECT_API_URL: guarded.url}
    with (
        temporary_settings(updates=named | {PREFECT_API_AUTH_STRING: PASSWORD}),
        server.connected() as url,
    ):
        assert url == guarded.url
    with_login = {PREFECT_API_URL: guarded.url.replace("//", f"//{PASSWORD}@")}
    with temporary_settings(updates=with_login), server.connected() as url:
        assert url == guarded.url


@pytest.mark.slow
def test_the_password_of_a_run_is_written_nowhere(guarded: Guarded) -> None:
    code, said = guarded.scan(PREFECT_API_AUTH_STRING=PASSWORD)
    assert code == 0, said
    secret = PASSWORD.partition(":")[2]
    assert secret not in said
    database = guarded.server_home / "prefect.db"
    wait_until(lambda: b"full-pipeline" in everything(guarded.server_home), "no run is recorded")
    assert database.exists()
    files = [path for path in guarded.root.rglob("*") if path.is_file()]
    assert any(path.is_relative_to(guarded.store) for path in files)
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def everything(folder: Path) -> bytes:
    """Give the bytes of the database and what belongs to it, one after the other."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("prefect.db*")))


@pytest.mark.slow
def test_nothing_is_kept_as_a_pickle_and_results_are_json(guarded: Guarded) -> None:
    settings = {"PREFECT_API_URL": guarded.url, "PREFECT_API_AUTH_STRING": PASSWORD}
    assert guarded.scan(PREFECT_API_AUTH_STRING=PASSWORD)[0] == 0
    code, said = run_python(["-c", RESULT], guarded.home, **settings)
    assert code == 0, said
    results = [path for path in (guarded.home / "storage").rglob("*") if path.is_file()]
    assert [json.loads(path.read_bytes()) for path in results] == [{"score": 0.5}]
    kept = [*results, *(path for path in guarded.store.rglob("*") if path.is_file())]
    assert [path for path in kept if path.read_bytes()[:1] == PICKLE] == []
