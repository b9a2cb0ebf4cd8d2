"""Whether a Prefect server answers at an address, and lets us in; ports of this machine."""

import base64
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from resnext.errors import InputError

START_TIMEOUT = 120.0  # seconds; the very first start makes a database


class ServerError(RuntimeError):
    """A Prefect server or worker does not start, or ended by itself; its log file says why."""


def healthy(url: str, *, seconds: float = 2.0) -> bool:
    """Tell whether a server answers; one that asks for a password does."""
    return status_of(f"{url}/health", None, seconds=seconds) in (200, 401, 403)


def status_of(address: str, password: str | None, *, seconds: float) -> int | None:
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


def is_taken(port: int) -> bool:
    """Tell whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Give the number of a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def require_answer(url: str) -> None:
    """Refuse an address from Prefect's settings at which nobody answers."""
    if not healthy(url, seconds=10.0):
        raise InputError(
            f"PREFECT_API_URL must name a server that answers, got {url!r}. "
            "Start it, or unset the variable (or `prefect config unset PREFECT_API_URL`)."
        )


def require_admission(url: str) -> None:
    """Refuse a server that would refuse us: its health is told to everybody, all else is not."""
    from tasks.orchestrator import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    if PREFECT_API_KEY.value():  # of Prefect Cloud, which has addresses of its own
        return
    password = PREFECT_API_AUTH_STRING.value()
    if status_of(f"{url}/admin/version", password, seconds=10.0) in (401, 403):
        raise InputError(
            "PREFECT_API_AUTH_STRING must be the user:password that the Prefect server at "
            f"{url} was started with (its PREFECT_SERVER_API_AUTH_STRING), got "
            f"{'another one' if password else 'none'}. Set it in the environment."
        )


def reach_loopback_directly() -> None:
    """Keep Prefect's client and the server's process from asking a proxy for this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        os.environ[name] = ",".join(filter(None, [known, "127.0.0.1", "localhost"]))


def await_answer(process: "subprocess.Popen[bytes]", port: int, output: Path) -> str:
    """Wait until a server that was started answers; give its address.

    Raises:
        ServerError: it ended, or does not answer in time; the message names its log file.
    """
    url = f"http://127.0.0.1:{port}/api"
    end = time.monotonic() + START_TIMEOUT
    while not healthy(url):
        if process.poll() is not None or time.monotonic() > end:
            raise ServerError(f"The Prefect server did not start, see {output}.")
        time.sleep(0.1)
    return url
