"""The project's own Prefect server, for people who run none: found where it runs, else started.

There is one for a Prefect home, which runs at the same moment and the UI share: a process of its
own that listens on loopback, keeps a database of its own, writes to a log file and ends itself a
while after the last program that used it. A server that somebody else started is used only where
PREFECT_API_URL names it.

Everything lies in `<PREFECT_HOME>/resnext-pipeline`. Locks of the operating system keep programs
apart that start, end or are killed at any moment:

* `server.lock` is held by the server for its life, so that there is one on the database;
* `server.json`, its record, is written by the holder of that lock, and believed only then; a server
  whose record is gone ends;
* `users.lock` is shared by the programs that use the server. A server that ends holds it alone, so
  that who comes meanwhile waits, and then starts another one.

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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import AcquireReturnProxy, FileLock, ReadWriteLock, Timeout

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

URL = "PREFECT_API_URL"
FOLDER = "resnext-pipeline"  # below Prefect's home
# Homes are shared among machines on Linux; elsewhere a machine's name may change with the network.
HERE = socket.gethostname() if sys.platform == "linux" else ""
START_TIMEOUT = 120.0  # seconds; the very first start makes a database
ANSWER_TIMEOUT = 30.0  # seconds; a server on a busy machine is slow
POLL_EVERY = 0.5  # seconds
PORT = 4200  # where people look for a Prefect server
LINGER = 60.0  # seconds without a user before the server ends
LOCAL_RETRIES = 2  # a server on this machine that is gone does not come back by itself


@contextmanager
def connected(*, port: int = 0, linger: float = LINGER) -> Iterator[str]:
    """Make Prefect use a server while the body runs, and give its address.

    The one that Prefect's settings name, the active profile included, else the project's own.

    Raises:
        InputError: the named server doesn't answer, the server asks for another password, or the
            folder of the history can't be written to.
        ServerError: the own server doesn't start; the message names its log file.
    """
    from prefect.settings import PREFECT_API_URL

    reach_loopback_directly()
    configured = PREFECT_API_URL.value()
    with named(configured) if configured else own(port, linger=linger) as url:
        yield url


def current() -> str | None:
    """Give the address of the server that a run would use, and start none; None without one."""
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value() or own_address()


def may_be_current() -> bool:
    """Tell whether a run would use a server that is there, without importing Prefect.

    Only the environment, the profiles and the project's own server are looked at.
    """
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser().absolute()
    profiles = home / "profiles.toml"
    with suppress(OSError, UnicodeDecodeError):
        if URL in os.environ or URL in profiles.read_text(encoding="utf-8"):
            return True
    return (home / FOLDER).is_dir() and bool(_recorded(home / FOLDER))


def own_address() -> str | None:
    """Give the address of the project's own server; None where it doesn't run."""
    return _recorded(history_folder()).get("url")


@contextmanager
def own(port: int = 0, *, linger: float = LINGER) -> Iterator[str]:
    """Make Prefect use the project's own server while the body runs, and give its address.

    One that others use is used where it is. Given a port, one that nobody uses is started anew
    there, and ends with the body unless others use it by then.

    Raises:
        InputError: see `connected`; or the port is taken.
        ServerError: see `connected`.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    reach_loopback_directly()
    folder = history_folder()
    if port:
        _end_unused(folder, but_on=port)
    try:
        with _users(folder).read_lock():
            url = _found(folder) or _start(folder, port, linger)
            here = {PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: LOCAL_RETRIES}
            with temporary_settings(updates=here):
                require_admission(url)
                yield url
    finally:
        if port:
            _end_unused(folder)


def history_folder() -> Path:
    """Give the folder of the project's server and its history, made where there is none.

    Raises:
        InputError: it can't be made or written to.
    """
    from prefect.settings import PREFECT_HOME

    folder = Path(PREFECT_HOME.value()).absolute() / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule, got = "be a folder that can be written to", f"'{folder.parent}' ({error})"
        remedy = "Name another one in that environment variable."
        raise InputError("PREFECT_HOME", rule, got, remedy) from error
    return folder


def _users(folder: Path) -> ReadWriteLock:
    return ReadWriteLock(folder / "users.lock", is_singleton=False)


def _recorded(folder: Path) -> dict[str, Any]:
    """Give url, host and pid of the server that holds its lock; nothing where none does.

    A record without a server, of one that was killed or of a restored home, is thrown away.

    Raises:
        InputError: it runs on another machine that shares the folder, so that we can't reach it.
    """
    record = folder / "server.json"
    try:
        with FileLock(folder / "server.lock", timeout=0):
            record.unlink(missing_ok=True)
            return {}
    except Timeout:
        pass
    try:
        found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:  # the holder is starting or ending
        return {}
    if found["host"] != HERE:
        got = f"'{folder.parent}', whose server runs on '{found['host']}'"
        remedy = (
            "Wait until it has ended there, or name another folder in that environment variable."
        )
        raise InputError("PREFECT_HOME", "be used by one machine at a time", got, remedy)
    return found


def _found(folder: Path) -> str | None:
    """Give the address of the server that runs."""
    record = _recorded(folder)
    url: str | None = record.get("url")
    if url and not healthy(url, seconds=ANSWER_TIMEOUT):
        raise ServerError(
            f"The Prefect server at {url} does not answer, see {folder / 'server.log'}. End its "
            f"process, {record['pid']}, and run the same command again."
        )
    return url


def _start(folder: Path, port: int, linger: float) -> str:
    """Start a server; give its address, or that of another one that answers first."""
    if port and is_taken(port):
        remedy = (
            "Something listens there, a Prefect server perhaps. Stop it, or name another port: "
            "flows/ui.py --port N"
        )
        raise InputError("port", "be free", port, remedy)
    if not port:  # who wants it on a port has said that it starts
        log.info("starting a Prefect server for the run history (a few seconds)")
    process, end = _spawn(folder, port, linger), time.monotonic() + START_TIMEOUT
    try:
        while True:
            over = process.poll() is not None or time.monotonic() > end
            if url := _recorded(folder).get("url"):
                return str(url)
            if over:
                raise ServerError(f"The Prefect server did not start, see {folder / 'server.log'}.")
            time.sleep(0.1)
    except BaseException:  # Ctrl-C, say: nobody uses it, and it would hold its port a while
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ANSWER_TIMEOUT)
        raise


def _spawn(folder: Path, port: int, linger: float) -> "subprocess.Popen[bytes]":
    """Start this module as a process that a Ctrl-C in the terminal does not reach."""
    with (folder / "server.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.serving.server", str(folder), str(port), str(linger)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | _database(folder),
        )


def _database(folder: Path) -> dict[str, str]:
    """Give the setting of the server's database, unless the user has made it.

    Prefect's own default is one in its home, which any other server would use as well.
    """
    from prefect.settings import get_current_settings

    if {"connection_url", "driver"} & get_current_settings().server.database.model_fields_set:
        return {}
    url = f"sqlite+aiosqlite:///{(folder / 'prefect.db').as_posix()}"
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}


def _end_unused(folder: Path, but_on: int = 0) -> None:
    """End the server if nobody uses it, unless it is on a certain port, and wait for that."""
    with suppress(Timeout), _users(folder).write_lock(blocking=False):
        url = _recorded(folder).get("url")
        if url is None or urlsplit(url).port == but_on:
            return
        (folder / "server.json").unlink(missing_ok=True)
        try:
            with FileLock(folder / "server.lock", timeout=START_TIMEOUT):
                return
        except Timeout as error:
            reason = f"The Prefect server did not end, see {folder / 'server.log'}."
            raise ServerError(reason) from error


def serve(folder: Path, port: int, linger: float) -> None:
    """Run the server until nobody has used it for `linger` seconds; port 0 is any free one."""
    users = _users(folder)  # once it is ours alone, it stays so until this process has ended
    with _taking_over(folder), socket.create_server(("127.0.0.1", port)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        # Before Prefect's import; its pages ask that address, and not the usual one.
        own = {"PREFECT_API_URL": url, "PREFECT_SERVER_UI_API_URL": url}
        os.environ.update(own | {"PREFECT__SERVER_FINAL": "1"})
        import uvicorn

        from prefect.server.api.server import create_app

        config = uvicorn.Config(
            create_app, factory=True, log_level="error", lifespan="on", timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        attend = partial(_attend, folder, url, server, users, linger)
        threading.Thread(target=attend, daemon=True).start()
        server.run(sockets=[listening])


def _taking_over(folder: Path) -> "AcquireReturnProxy[FileLock]":
    """Take the server's lock; leave where another one serves."""
    while True:
        try:
            return FileLock(folder / "server.lock").acquire(timeout=POLL_EVERY)
        except Timeout:
            if (folder / "server.json").exists():
                sys.exit()


def _attend(folder: Path, url: str, server: Any, users: ReadWriteLock, linger: float) -> None:
    """Write the record once the server answers; end the server when nobody uses it any more."""
    try:
        while not server.started:
            time.sleep(0.05)
        text = json.dumps({"url": url, "host": HERE, "pid": os.getpid()})
        (folder / "server.partial").write_text(text, encoding="utf-8")
        (folder / "server.partial").replace(folder / "server.json")
        _await_end(folder / "server.json", users, linger)
    finally:  # without a record nobody would find it
        server.should_exit = True


def _await_end(record: Path, users: ReadWriteLock, linger: float) -> None:
    """Wait until nobody has used the server for a while, from when on nobody can."""
    idle_since = time.monotonic()
    while record.exists():
        time.sleep(POLL_EVERY)
        try:
            users.acquire_write(blocking=False)
        except Timeout:
            idle_since = time.monotonic()
            continue
        if time.monotonic() - idle_since > linger:
            record.unlink(missing_ok=True)
        else:
            users.release()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
