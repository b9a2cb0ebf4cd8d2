"""A Prefect server for people who run none: found where there is one, else started and shared.

Runs at the same moment share one server, since two on one SQLite file get in each other's way.
It is a process of its own, listens on loopback, writes to a log file instead of the terminal
and ends itself a while after the last run that used it, killed runs included: each run holds a
lock that the operating system lets go of.

Run as a module it is that server: `python -m flows.server HOME PORT LINGER`.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flows.address import (
    START_TIMEOUT,
    ServerError,
    await_answer,
    free_port,
    healthy,
    named,
    reach_loopback_directly,
    require_admission,
)
from resnext.errors import InputError

log = logging.getLogger(__name__)

WELL_KNOWN = "http://127.0.0.1:4200/api"  # `prefect server start`
LINGER = 60.0  # seconds without a run before the shared server ends
LOCAL_RETRIES = 2  # a server on this machine that is gone does not come back by itself
NAME = "pipeline-server"


@contextmanager
def connected(*, linger: float = LINGER) -> Iterator[str]:
    """Make Prefect use a server while the body runs, and give its address.

    In this order: the one that Prefect's settings name, one on the usual port, the shared one,
    which ends itself `linger` seconds after the last run.

    Raises:
        InputError: the named server doesn't answer, the server asks for another password, or there
            is no place for the history.
        ServerError: the shared server doesn't start; the message names its log file.
    """
    from tasks.orchestrator import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_HOME,
        temporary_settings,
    )

    reach_loopback_directly()
    configured = PREFECT_API_URL.value()
    if configured:
        with named(configured) as url:
            yield url
        return
    home = Path(PREFECT_HOME.value())
    with _in_use(home):
        url = WELL_KNOWN if healthy(WELL_KNOWN) else _shared(home, linger)
        require_admission(url)
        with temporary_settings(
            updates={PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: LOCAL_RETRIES}
        ):
            yield url


@contextmanager
def instead_of_shared(start: Callable[[], tuple[str, int]]) -> Iterator[str]:
    """Start a server that the runs on this machine use while the body runs, and give its address.

    `start` gives its address and process id. The shared one is ended first, since two on one SQLite
    file get in each other's way.

    Raises:
        InputError: a run uses the shared one, or the body of another such call runs.
    """
    from tasks.orchestrator import PREFECT_HOME

    home = Path(PREFECT_HOME.value())
    if _has_users(home):
        raise InputError(
            f"PREFECT_HOME must be free, got '{home}', which a run uses. Wait until it has ended "
            "(flows/store.py list tells), or give another folder in that environment variable."
        )
    with _alone(home):
        with FileLock(home / f"{NAME}.lock"):  # no run starts a shared one meanwhile
            _end_shared(home)
            url, pid = start()
            _write_record(home, url, pid, lasting=True)
        try:
            yield url
        finally:
            if _address(home) == url:
                _record(home).unlink(missing_ok=True)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Let one program at a time serve the history."""
    lock = FileLock(home / f"{NAME}.lasting.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        url = _address(home)
        where = f" at {url.removesuffix('/api')}" if url else ""
        raise InputError(
            f"PREFECT_HOME must be free, got '{home}', whose history is served{where} already. "
            "Look there, stop that program first (flows/ui.py or flows/retrain.py --serve), or "
            "give another folder in that environment variable."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _end_shared(home: Path) -> None:
    """End the server of the record where it answers; nobody uses it."""
    url = _address(home)
    if url is None or not healthy(url):
        return
    try:
        os.kill(int(_recorded(home)["pid"]), signal.SIGTERM)
    except ProcessLookupError:  # what answers there is another one
        return
    end = time.monotonic() + START_TIMEOUT
    while healthy(url):
        if time.monotonic() > end:
            raise ServerError(f"The Prefect server at {url} did not end, see {_log_file(home)}.")
        time.sleep(0.1)
    _record(home).unlink(missing_ok=True)


def lasting() -> str | None:
    """Give the address of a server that does not end with the runs; None where there is none.

    The one that Prefect's settings name, whether or not it answers, one on the usual port, or
    that of `flows/ui.py` on another.
    """
    from tasks.orchestrator import PREFECT_API_URL, PREFECT_HOME

    configured = PREFECT_API_URL.value()
    if configured or healthy(WELL_KNOWN):
        return configured or WELL_KNOWN
    home = Path(PREFECT_HOME.value())
    url = _address(home)
    return url if url and _recorded(home).get("lasting") and healthy(url) else None


@contextmanager
def _in_use(home: Path) -> Iterator[None]:
    """Tell the shared server, by a held lock, that a run needs it."""
    lock = FileLock(_users(home) / f"{os.getpid()}-{uuid.uuid4().hex}.lock")
    with lock:
        yield
    Path(lock.lock_file).unlink(missing_ok=True)


def _shared(home: Path, linger: float) -> str:
    """Give the address of the shared server, started first where there is none."""
    with FileLock(home / f"{NAME}.lock"):
        url = _address(home)
        if url and healthy(url):
            return url
        log.info("starting a Prefect server for the run history (a few seconds)")
        port = free_port()
        process = _spawn(home, port, linger)
        url = await_answer(process, port, _log_file(home))
        _write_record(home, url, process.pid, lasting=False)
        return url


def _spawn(home: Path, port: int, linger: float) -> "subprocess.Popen[bytes]":
    """Start this module as a process that a Ctrl-C in the terminal does not reach."""
    with _log_file(home).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(home), str(port), str(linger)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"},
        )


def serve(home: Path, port: int, linger: float) -> None:
    """Run the server until nobody has used it for `linger` seconds."""
    import tasks.orchestrator  # noqa: F401 - its settings come before Prefect's import

    import uvicorn  # isort: skip
    from prefect.server.api.server import create_app  # isort: skip

    config = uvicorn.Config(
        create_app, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on"
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_end_when_idle, args=(home, server, linger), daemon=True).start()
    server.run()


def _end_when_idle(home: Path, server: Any, linger: float) -> None:
    idle_since = time.monotonic()
    while True:
        time.sleep(1.0)
        if _has_users(home):
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > linger:
            with FileLock(home / f"{NAME}.lock"):  # no run can begin to use it meanwhile
                if not _has_users(home):
                    _record(home).unlink(missing_ok=True)
                    server.should_exit = True
                    return


def _has_users(home: Path) -> bool:
    return any(not _released(path) for path in _users(home).glob("*.lock"))


def _released(path: Path) -> bool:
    """Tell whether a run is over, and clear away the lock file of one that was killed."""
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def history_folder() -> Path:
    """Give the folder of the run history, made where there is none.

    Raises:
        InputError: it can't be made or written to.
    """
    from tasks.orchestrator import PREFECT_HOME

    home = Path(PREFECT_HOME.value())
    _users(home)
    return home


def _users(home: Path) -> Path:
    folder = home / f"{NAME}.users"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"PREFECT_HOME must be a folder that can be written to, got '{home}' ({error}). "
            "Name another one in that environment variable."
        ) from error
    return folder


def _record(home: Path) -> Path:
    return home / f"{NAME}.json"


def _write_record(home: Path, url: str, pid: int, *, lasting: bool) -> None:
    text = json.dumps({"url": url, "pid": pid, "lasting": lasting})
    _record(home).write_text(text, encoding="utf-8")


def _log_file(home: Path) -> Path:
    return home / f"{NAME}.log"


def _address(home: Path) -> str | None:
    url = _recorded(home).get("url")
    return url if isinstance(url, str) else None


def _recorded(home: Path) -> dict[str, Any]:
    """Give what is written of the server that runs share; nothing where it can't be read."""
    try:
        record = json.loads(_record(home).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
