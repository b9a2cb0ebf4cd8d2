"""The project's own Prefect server, for people who run none: found where it runs, else started.

There is one for a Prefect home. Runs at the same moment and the UI share it. It is a process of its
own with pages, schedules and automations, listens on loopback, keeps a database of its own, writes
to a log file instead of the terminal and ends itself a while after the last program that used it.
Servers that somebody else started are used only where PREFECT_API_URL names one.

Everything lies in `<PREFECT_HOME>/resnext-pipeline`. Four things, each an operating system's lock
or guarded by one, keep programs that start, end or are killed at any moment apart:

* `server.lock` is held by the server for its life, so that there is one on the database;
* `server.json`, the record, is written by the server that holds that lock, and believed only then;
* `users/*.lock` are held by the programs that need the server;
* `door.lock` is held by whoever looks at these three or starts a server.

Run as a module it is that server: `python -m flows.serving.server FOLDER PORT LINGER`.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import AcquireReturnProxy, FileLock, Timeout

from flows.serving.address import (
    ServerError,
    healthy,
    is_taken,
    named,
    reach_loopback_directly,
    require_admission,
)
from resnext.contracts.errors import InputError

log = logging.getLogger(__name__)

FOLDER = "resnext-pipeline"  # below Prefect's home
# Homes are shared among machines on Linux; elsewhere a machine's name may change with the network.
HERE = socket.gethostname() if sys.platform == "linux" else ""
START_TIMEOUT = 120.0  # seconds; the very first start makes a database
ANSWER_TIMEOUT = 30.0  # seconds; a server on a busy machine is slow
LOOK_EVERY = 0.5  # seconds
PORT = 4200  # where people look for a Prefect server
LINGER = 60.0  # seconds without a user before the server ends
LOCAL_RETRIES = 2  # a server on this machine that is gone does not come back by itself


@contextmanager
def connected(*, port: int = 0, linger: float = LINGER) -> Iterator[str]:
    """Make Prefect use a server while the body runs, and give its address.

    The one that Prefect's settings name, the active profile included, else the project's own.

    Raises:
        InputError: the named server doesn't answer, the server asks for another password, or there
            is no place for the history.
        ServerError: the own server doesn't start; the message names its log file.
    """
    from tasks.orchestrator import PREFECT_API_URL

    reach_loopback_directly()
    configured = PREFECT_API_URL.value()
    with named(configured) if configured else own(port, linger=linger) as url:
        yield url


def current() -> str | None:
    """Give the address of the server that a run would use, and start none; None without one."""
    from tasks.orchestrator import PREFECT_API_URL

    return PREFECT_API_URL.value() or own_address()


def own_address() -> str | None:
    """Give the address of the project's own server; None where it doesn't run."""
    place = history_folder()
    with _door(place):
        return _recorded(place).get("url")


@contextmanager
def own(port: int = 0, *, linger: float = LINGER) -> Iterator[str]:
    """Make Prefect use the project's own server while the body runs, and give its address.

    One that others use is taken where it is. Given a port, one that nobody uses is started anew
    there, and ends with the body unless others use it by then.

    Raises:
        InputError: see `connected`; or the port is taken.
        ServerError: see `connected`.
    """
    from tasks.orchestrator import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    reach_loopback_directly()
    place = history_folder()
    user = FileLock(place / "users" / f"{os.getpid()}-{uuid.uuid4().hex}.lock")
    with _door(place):
        url = _found(place, port) or _start(place, port, linger)
        user.acquire()
    here = {PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: LOCAL_RETRIES}
    try:
        with temporary_settings(updates=here):
            require_admission(url)
            yield url
    finally:
        user.release()
        Path(user.lock_file).unlink(missing_ok=True)
        if port:
            with _door(place):
                _end_unused(place)


def history_folder() -> Path:
    """Give the folder of the project's server and its history, made where there is none.

    Raises:
        InputError: it can't be made or written to.
    """
    from tasks.orchestrator import PREFECT_HOME

    home = Path(PREFECT_HOME.value())
    try:
        (home / FOLDER / "users").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "PREFECT_HOME",
            "be a folder that can be written to",
            f"'{home}' ({error})",
            "Name another one in that environment variable.",
        ) from error
    return home / FOLDER


def _door(place: Path) -> FileLock:
    return FileLock(place / "door.lock")


# ---------------------------------------------------------------- at the door, which we hold


def _recorded(place: Path) -> dict[str, Any]:
    """Give url, host and pid of the server that holds its lock; nothing where none does.

    A record without a server, of one that was killed or of a restored home, is thrown away.

    Raises:
        InputError: it runs on another machine that shares the folder, so that we can't reach it.
    """
    record = place / "server.json"
    try:
        with FileLock(place / "server.lock", timeout=0):
            record.unlink(missing_ok=True)
            return {}
    except Timeout:
        pass
    try:
        found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:  # the holder is starting or ending
        return {}
    if found["host"] != HERE:
        raise InputError(
            "PREFECT_HOME",
            "be used by one machine at a time",
            f"'{place.parent}', whose server runs on '{found['host']}'",
            "Wait until it has ended there, or name another folder in that environment variable.",
        )
    return found


def _found(place: Path, port: int) -> str | None:
    """Give the address of the server that runs, unless it is unused and another port is wanted."""
    record = _recorded(place)
    url: str | None = record.get("url")
    if url is None or (port not in (0, urlsplit(url).port) and _end_unused(place)):
        return None
    if not healthy(url, seconds=ANSWER_TIMEOUT):
        raise ServerError(
            f"The Prefect server at {url} does not answer, see {place / 'server.log'}. End its "
            f"process, {record['pid']}, and run the same command again."
        )
    return url


def _start(place: Path, port: int, linger: float) -> str:
    """Start a server, and give its address once it answers."""
    if port and is_taken(port):
        raise InputError(
            "port",
            "be free",
            port,
            "Something listens there, a Prefect server perhaps. Stop it, or name "
            "another port: flows/ui.py --port N",
        )
    if not port:  # who wants it on a port has said that it starts
        log.info("starting a Prefect server for the run history (a few seconds)")
    process = _spawn(place, port, linger)
    try:
        return _url_of(process, place)
    except BaseException:  # Ctrl-C, say: nobody uses it, and it would hold its port a while
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ANSWER_TIMEOUT)
        raise


def _url_of(process: "subprocess.Popen[bytes]", place: Path) -> str:
    """Give the address of the server that is starting, once it answers."""
    end = time.monotonic() + START_TIMEOUT
    while True:
        over = process.poll() is not None or time.monotonic() > end
        if url := _recorded(place).get("url"):
            return str(url)
        if over:
            raise ServerError(f"The Prefect server did not start, see {place / 'server.log'}.")
        time.sleep(0.1)


def _spawn(place: Path, port: int, linger: float) -> "subprocess.Popen[bytes]":
    """Start this module as a process that a Ctrl-C in the terminal does not reach."""
    with (place / "server.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.serving.server", str(place), str(port), str(linger)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | _database(place),
        )


def _database(place: Path) -> dict[str, str]:
    """Give the setting of the server's database, unless the user has made it.

    Prefect's own default is one in its home, which any other server would use as well.
    """
    from tasks.orchestrator import get_current_settings

    if {"connection_url", "driver"} & get_current_settings().server.database.model_fields_set:
        return {}
    url = f"sqlite+aiosqlite:///{(place / 'prefect.db').as_posix()}"
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}


def _end_unused(place: Path) -> bool:
    """End the server if nobody uses it, wait for that, and tell whether it did."""
    if _has_users(place):
        return False
    (place / "server.leave").touch()
    try:
        with FileLock(place / "server.lock", timeout=START_TIMEOUT):
            (place / "server.leave").unlink(missing_ok=True)
    except Timeout as error:
        raise ServerError(f"The Prefect server did not end, see {place / 'server.log'}.") from error
    return True


def _has_users(place: Path) -> bool:
    return any(not _released(path) for path in (place / "users").glob("*.lock"))


def _released(path: Path) -> bool:
    """Tell whether a user is gone, and clear away the lock file of one that was killed."""
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


# ---------------------------------------------------------------- the server's process


def serve(place: Path, port: int, linger: float) -> None:
    """Run the server until nobody has used it for `linger` seconds; port 0 is any free one."""
    with _taking_over(place), socket.create_server(("127.0.0.1", port)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        # Before Prefect's import; its pages ask that address, and not the usual one.
        own = {"PREFECT_API_URL": url, "PREFECT_SERVER_UI_API_URL": url}
        os.environ.update(own | {"PREFECT__SERVER_FINAL": "1"})
        import tasks.orchestrator  # noqa: F401 - its settings come before Prefect's import

        import uvicorn  # isort: skip
        from prefect.server.api.server import create_app  # isort: skip

        config = uvicorn.Config(
            create_app, factory=True, log_level="error", lifespan="on", timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        threading.Thread(target=_attend, args=(place, url, server, linger), daemon=True).start()
        server.run(sockets=[listening])


def _taking_over(place: Path) -> AcquireReturnProxy[FileLock]:
    """Take the server's lock, once the server before has ended; leave where another one serves."""
    while True:
        try:
            return FileLock(place / "server.lock").acquire(timeout=LOOK_EVERY)
        except Timeout:
            if (place / "server.json").exists():
                sys.exit()


def _attend(place: Path, url: str, server: Any, linger: float) -> None:
    """Write the record once the server answers; end it when it is unused, or asked to leave."""
    try:
        _announce(place, url, server)
        _await_end(place, linger)
    finally:  # without a record nobody would find it
        server.should_exit = True


def _announce(place: Path, url: str, server: Any) -> None:
    (place / "server.leave").unlink(missing_ok=True)  # meant for one before
    while not server.started:
        time.sleep(0.05)
    text = json.dumps({"url": url, "host": HERE, "pid": os.getpid()})
    (place / "server.partial").write_text(text, encoding="utf-8")
    (place / "server.partial").replace(place / "server.json")


def _await_end(place: Path, linger: float) -> None:
    """Wait until the server is to end, and throw away its record so that nobody comes any more."""
    record = place / "server.json"
    idle_since = time.monotonic()
    while record.exists():
        time.sleep(LOOK_EVERY)
        if _has_users(place):
            idle_since = time.monotonic()
        elif (place / "server.leave").exists():  # whoever wrote it waits at the door
            record.unlink()
        elif time.monotonic() - idle_since > linger:
            with suppress(Timeout), _door(place).acquire(timeout=0):  # nobody comes in meanwhile
                if not _has_users(place):
                    record.unlink()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
