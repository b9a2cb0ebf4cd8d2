"""A Prefect server for people who run none: found where there is one, else started and shared.

Runs at the same moment share one server, since two on one SQLite file get in each other's way.
It is a process of its own, listens on loopback, writes to a log file instead of the terminal
and ends itself a while after the last run that used it, killed runs included: each run holds a
lock that the operating system lets go of.

Run as a module it is that server: `python -m flows.server HOME PORT LINGER`.
"""

import base64
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from resnext.errors import InputError

log = logging.getLogger(__name__)

WELL_KNOWN = "http://127.0.0.1:4200/api"  # `prefect server start`
START_TIMEOUT = 120.0  # seconds; the very first start makes a database
LINGER = 60.0  # seconds without a run before the shared server ends
NAME = "pipeline-server"


@contextmanager
def connected(*, linger: float = LINGER) -> Iterator[str]:
    """Make Prefect use a server while the body runs, and give its address.

    In this order: the one that Prefect's settings name, one on the usual port, the shared one,
    which ends itself `linger` seconds after the last run.

    Raises:
        InputError: the named server doesn't answer, the server asks for another password, or there
            is no place for the history.
        RuntimeError: the shared server doesn't start; the message names its log file.
    """
    from tasks.orchestrator import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    configured = PREFECT_API_URL.value()
    if configured:
        _require_answer(configured)
        _require_admission(configured)
        yield configured
        return
    _reach_loopback_directly()
    home = Path(PREFECT_HOME.value())
    with _in_use(home):
        url = WELL_KNOWN if _healthy(WELL_KNOWN) else _shared(home, linger)
        _require_admission(url)
        with temporary_settings(updates={PREFECT_API_URL: url}):
            yield url


def lasting() -> str | None:
    """Give the address of a server that no run of ours started and none will end.

    The one that Prefect's settings name, whether or not it answers, or one on the usual port.
    """
    from tasks.orchestrator import PREFECT_API_URL

    configured = PREFECT_API_URL.value()
    return configured or (WELL_KNOWN if _healthy(WELL_KNOWN) else None)


def _require_answer(url: str) -> None:
    if not _healthy(url, seconds=10.0):
        raise InputError(
            f"PREFECT_API_URL must name a server that answers, got {url!r}. "
            "Start it, or unset the variable (or `prefect config unset PREFECT_API_URL`)."
        )


def _require_admission(url: str) -> None:
    """Refuse a server that would refuse us: its health is told to everybody, all else is not."""
    from tasks.orchestrator import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    if PREFECT_API_KEY.value():  # of Prefect Cloud, which has addresses of its own
        return
    password = PREFECT_API_AUTH_STRING.value()
    if _status(f"{url}/admin/version", password, seconds=10.0) in (401, 403):
        raise InputError(
            "PREFECT_API_AUTH_STRING must be the user:password that the Prefect server at "
            f"{url} was started with (its PREFECT_SERVER_API_AUTH_STRING), got "
            f"{'another one' if password else 'none'}. Set it in the environment."
        )


def _reach_loopback_directly() -> None:
    """Keep Prefect's client and the server's process from asking a proxy for this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        os.environ[name] = ",".join(filter(None, [known, "127.0.0.1", "localhost"]))


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
        if url and _healthy(url):
            return url
        log.info("starting a Prefect server for the run history (a few seconds)")
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        process = _spawn(home, port, linger)
        end = time.monotonic() + START_TIMEOUT
        while not _healthy(url):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The Prefect server did not start, see {_log_file(home)}.")
            time.sleep(0.1)
        _record(home).write_text(json.dumps({"url": url, "pid": process.pid}), encoding="utf-8")
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


def _log_file(home: Path) -> Path:
    return home / f"{NAME}.log"


def _address(home: Path) -> str | None:
    try:
        url: str = json.loads(_record(home).read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError):
        return None
    return url


def _healthy(url: str, *, seconds: float = 2.0) -> bool:
    """Tell whether a server answers; one that asks for a password does."""
    return _status(f"{url}/health", None, seconds=seconds) in (200, 401, 403)


def _status(address: str, password: str | None, *, seconds: float) -> int | None:
    """Give the status of an answer; None without any."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
    try:
        request = urllib.request.Request(address)
        if password:
            token = base64.b64encode(password.encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        with direct.open(request, timeout=seconds) as answer:
            status: int = answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None
    return status


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
