"""Which server a run uses, and how one of the project's own is shared, believed and ended."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock, Timeout

from flows.serving import address, server
from flows.serving.address import ServerError
from resnext.contracts.errors import InputError
from tests.flows.serving.serving import (
    answering,
    end,
    free_port,
    run_python,
    start_python,
    wait_until,
)

from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    PREFECT_UI_URL,
    temporary_settings,
)

CLIENT = """
import sys, time, pathlib
from flows.serving.server import connected
with connected(linger=3.0) as url:
    pathlib.Path(sys.argv[1]).write_text(url)
    time.sleep(float(sys.argv[2]))
"""
HOLDER = """
import sys, time
from filelock import FileLock
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""
CONNECT = """
from flows.serving.server import connected
with connected() as url:
    print(url)
"""
FOREVER = 600.0  # seconds


def start_client(home: Path, name: str) -> "subprocess.Popen[str]":
    return start_python(["-c", CLIENT, str(home / name), str(FOREVER)], home)


@pytest.mark.parametrize("why", [KeyboardInterrupt(), InputError("x", "be 1", 2)])
def test_a_server_whose_start_is_broken_off_is_ended(
    why: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(server, "_spawn", lambda *_: starting)

    def break_off(_: Path) -> dict[str, str]:
        raise why

    monkeypatch.setattr(server, "_recorded", break_off)
    try:
        with pytest.raises(type(why)):
            server._start(tmp_path, 0, 1.0)
        assert starting.poll() == -signal.SIGTERM
    finally:
        starting.kill()
        starting.wait()


@pytest.mark.slow
def test_runs_share_one_server_that_ends_after_the_last_even_if_it_was_killed(
    tmp_path: Path,
) -> None:
    first, second = (start_client(tmp_path, name) for name in ("first", "second"))
    place = tmp_path / server.FOLDER
    try:
        wait_until((tmp_path / "first").exists, "the first run got no server", 180.0)
        wait_until((tmp_path / "second").exists, "the second run got no server")
        url = (tmp_path / "first").read_text()
        assert url == (tmp_path / "second").read_text()
        assert url.startswith("http://127.0.0.1:")
        first.kill()
        first.wait()
        time.sleep(5.0)
        assert address.healthy(url), "the second run still needs it"
        assert (place / "prefect.db").exists()
        assert not (tmp_path / "prefect.db").exists(), "that is of other servers"
        with urllib.request.urlopen(f"{url.removesuffix('/api')}/ui-settings") as answer:
            assert json.load(answer)["api_url"] == url, "the pages ask another server"
    finally:
        for client in (first, second):
            client.kill()
            end(client)
    wait_until(lambda: not address.healthy(url), "the server outlived its runs", 20.0)
    assert not (place / "server.json").exists()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a Prefect home without a server, and no server or database in the settings."""
    unset = {PREFECT_API_URL, PREFECT_SERVER_DATABASE_CONNECTION_URL}
    with temporary_settings(updates={PREFECT_HOME: tmp_path}, restore_defaults=unset):
        yield tmp_path


def record(port: int, **differing: object) -> None:
    """Write down a server on a port of this machine; its process is this one, which lives."""
    url = f"http://127.0.0.1:{port}/api"
    facts = {"url": url, "host": server.HERE, "pid": os.getpid()}
    (server.history_folder() / "server.json").write_text(json.dumps(facts | differing))


@contextmanager
def recorded(port: int, **differing: object) -> Iterator[None]:
    """Be a server on a port for whoever looks for one: hold the lock, and write the record."""
    with FileLock(server.history_folder() / "server.lock"):
        record(port, **differing)
        yield


def test_a_server_is_believed_only_while_it_holds_its_lock(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(200, b"true") as port, answering(200, b"true") as started:
        fresh = f"http://127.0.0.1:{started}/api"
        monkeypatch.setattr(server, "_start", lambda *_: fresh)
        with recorded(port), server.connected() as url:
            assert url == server.current() == f"http://127.0.0.1:{port}/api"
        record(port)  # killed, or restored from a backup: pid and port live, and are another's
        with server.connected() as url:
            assert url == fresh
        record(port)
        assert server.current() is None
    assert not (home / server.FOLDER / "server.json").exists(), "it would deceive the next one"


def test_the_lock_of_a_server_that_was_killed_is_free(home: Path) -> None:
    place = server.history_folder()
    (place / "server.lock").touch()
    assert server.own_address() is None
    holder = start_python(["-c", HOLDER, str(place / "server.lock")], home)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert server.own_address() is None, "it starts, and has no record yet"
        record(9)
        assert server.own_address() == "http://127.0.0.1:9/api"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert server.own_address() is None
    finally:
        end(holder)


def test_a_server_on_another_machine_that_shares_the_folder_is_told_in_words(home: Path) -> None:
    with (
        recorded(9, host="elsewhere"),
        pytest.raises(InputError, match=r"by one machine at a time.* server runs on 'elsewhere'"),
        server.connected(),
    ):
        pytest.fail("connected to a port of another machine")
    assert home.exists()


@pytest.mark.usefixtures("home")
def test_a_server_that_hangs_is_named_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_TIMEOUT", 0.2)
    with (
        recorded(free_port(), pid=12345),
        pytest.raises(ServerError, match=r"does not answer, .* End its process, 12345"),
        server.connected(),
    ):
        pytest.fail("connected to nothing")


def test_a_server_that_does_not_start_is_told_with_its_log(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_spawn", lambda *_: subprocess.Popen([sys.executable, "-c", ""]))
    with pytest.raises(ServerError, match=r"did not start, see .*server\.log"), server.connected():
        pytest.fail("connected to nothing")
    with server._users(home / server.FOLDER).write_lock(blocking=False):
        pass  # it is no user


def test_the_database_is_ones_own_unless_the_user_chose_one(home: Path) -> None:
    own = f"sqlite+aiosqlite:///{home}/resnext-pipeline/prefect.db"
    place = server.history_folder()
    assert server._database(place) == {"PREFECT_SERVER_DATABASE_CONNECTION_URL": own}
    chosen = {PREFECT_SERVER_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{home}/prefect.db"}
    with temporary_settings(updates=chosen):
        assert server._database(place) == {}


@contextmanager
def attended(linger: float) -> Iterator[SimpleNamespace]:
    """Be a server, without Prefect, that is ended where it would be."""
    folder = server.history_folder()
    program = SimpleNamespace(started=True, should_exit=False)

    def run() -> None:
        users = server._users(folder)
        with server._taking_over(folder):
            server._attend(folder, "http://127.0.0.1:9/api", program, users, linger)
        users.close()  # as the end of the process does

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: server.own_address() is not None, "no record")
        yield program
    finally:
        (folder / "server.json").unlink(missing_ok=True)
        thread.join()


@pytest.mark.usefixtures("home")
def test_a_server_ends_when_nobody_has_used_it_for_a_while_and_who_comes_then_waits() -> None:
    folder = server.history_folder()
    with attended(linger=0.1) as program, server._users(folder).read_lock():
        time.sleep(1.5)
        assert not program.should_exit, "somebody uses it"
    with attended(linger=0.1) as program:
        wait_until(lambda: program.should_exit, "it is unused and does not end")
        assert server.own_address() is None
    users = server._users(folder)
    with FileLock(folder / "server.lock"):
        (folder / "server.json").write_text(json.dumps({"url": "", "host": server.HERE}))
        server._await_end(folder / "server.json", users, linger=0.0)
        with pytest.raises(Timeout):
            server._users(folder).acquire_read(blocking=False)
        users.release()


def test_a_server_that_nobody_can_find_ends(home: Path) -> None:
    program = SimpleNamespace(started=True, should_exit=False)
    users = server._users(server.history_folder())
    with pytest.raises(FileNotFoundError):  # as where the disk is full
        server._attend(home / "gone", "http://127.0.0.1:9/api", program, users, FOREVER)
    assert program.should_exit


@pytest.mark.usefixtures("home")
def test_who_wants_another_port_ends_an_unused_server_and_leaves_a_used_one() -> None:
    folder = server.history_folder()
    with attended(linger=FOREVER) as program:
        with server._users(folder).read_lock():
            server._end_unused(folder)
        server._end_unused(folder, but_on=9)
        assert not program.should_exit
        server._end_unused(folder, but_on=4321)
        assert program.should_exit
        assert server.own_address() is None


@pytest.mark.usefixtures("home")
def test_a_second_server_waits_for_the_end_of_the_first_or_leaves() -> None:
    place = server.history_folder()
    with recorded(9), pytest.raises(SystemExit):
        server._taking_over(place)
    (place / "server.json").unlink()
    first = FileLock(place / "server.lock", thread_local=False)
    first.acquire()  # which is ending: it has no record any more
    threading.Timer(1.0, first.release).start()
    begun = time.monotonic()
    with server._taking_over(place):
        assert time.monotonic() - begun >= 0.9


@pytest.mark.usefixtures("home")
def test_a_server_on_prefects_usual_port_is_not_used_unasked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as stack:
        ours = f"http://127.0.0.1:{stack.enter_context(answering(200, b'true'))}/api"
        monkeypatch.setattr(server, "_start", lambda *_: ours)
        if not address.is_taken(server.PORT):  # else somebody's is there already
            stack.enter_context(answering(200, b"true", port=server.PORT))
        assert server.current() is None
        assert stack.enter_context(server.connected()) == ours


@pytest.mark.usefixtures("home")
def test_a_port_that_somebody_elses_server_holds_is_told_in_words() -> None:
    with (
        answering(200, b"true") as port,
        pytest.raises(InputError, match=f"port must be free, got {port}"),
        server.own(port),
    ):
        pytest.fail("served where another one listens")


def test_the_server_of_the_active_profile_is_used(tmp_path: Path) -> None:
    with answering(200, b"true") as port:
        url = f"http://127.0.0.1:{port}/api"
        profile = f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{url}"\n'
        (tmp_path / "profiles.toml").write_text(profile)
        assert run_python(["-c", CONNECT], tmp_path) == (0, f"{url}\n")


def test_a_password_in_the_address_is_used_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "own", pytest.fail)
    with (
        answering(200, b"true") as port,
        temporary_settings(updates={PREFECT_API_URL: f"http://me:z%2Fe@bra@127.0.0.1:{port}/api"}),
        server.connected() as url,
    ):
        assert PREFECT_API_AUTH_STRING.value() == "me:z/e@bra"
        assert url == PREFECT_API_URL.value() == f"http://127.0.0.1:{port}/api"
        assert PREFECT_UI_URL.value() == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("status", [200, 401, 403, 404, None])
def test_what_is_no_server_is_not_taken_for_the_one_that_is_named(status: int | None) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(answering(status)) if status else 9
        named = {PREFECT_API_URL: f"http://me:zebra@127.0.0.1:{port}/api"}
        stack.enter_context(temporary_settings(updates=named))
        got = rf"\(status {status}\)" if status else "where nobody answers"
        told = stack.enter_context(
            pytest.raises(InputError, match=rf"must name a Prefect server .*{got}")
        )
        stack.enter_context(server.connected())
    assert "zebra" not in str(told.value)


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
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    with answering(200, b"true") as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        address.reach_loopback_directly()
        assert address.healthy("http://server.invalid/api")
        assert not address.healthy("http://127.0.0.1:9/api")


def test_a_home_that_is_no_folder_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        temporary_settings(updates={PREFECT_HOME: tmp_path / "file" / "home"}),
        pytest.raises(InputError, match="PREFECT_HOME must be a folder that can be written to"),
    ):
        server.history_folder()
