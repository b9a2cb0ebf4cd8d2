"""Whether a Prefect server answers at an address, and lets us in."""

import base64
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.parse import unquote

from resnext.contracts.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost")
LOGIN = re.compile(r"(?<=//).*@")  # to the last @: a password may hold any sign
HEALTHY = (200, b"true")  # other programs may answer any request, but in other words
REFUSED = (401, 403)


class ServerError(RuntimeError):
    """A Prefect server does not start, or ended by itself; its log file says why."""


def ask(address: str, password: str | None = None, *, seconds: float) -> tuple[int | None, bytes]:
    """Give the status of an answer and how its body begins; None without any."""
    try:
        request = urllib.request.Request(address)
        if password:
            token = base64.b64encode(password.encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        with urllib.request.build_opener().open(request, timeout=seconds) as answer:
            return answer.status, answer.read(16)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, b""
    except (OSError, ValueError, HTTPException):
        return None, b""


def healthy(url: str, *, seconds: float = 2.0) -> bool:
    """Tell whether a Prefect server answers; one that asks for a password does without it."""
    return ask(f"{url}/health", seconds=seconds) == HEALTHY


def is_taken(port: int) -> bool:
    """Tell whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def without_login(url: str) -> tuple[str, str | None]:
    """Part an address from the user:password in it, None where there is none."""
    found = LOGIN.search(url)
    login = unquote(found.group()[:-1]) if found else None
    return LOGIN.sub("", url).rstrip("/"), login


@contextmanager
def named(url: str) -> Iterator[str]:
    """Make Prefect use a server that its settings name, and give its address without a login.

    Prefect gets a user:password of the address apart from it, since addresses are shown.

    Raises:
        InputError: see `require_admission`.
    """
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    plain, login = without_login(url)
    updates = {PREFECT_API_URL: plain} | ({PREFECT_API_AUTH_STRING: login} if login else {})
    with temporary_settings(updates=updates):
        require_admission(plain)
        yield plain


def require_admission(url: str) -> None:
    """Check that a Prefect server answers and takes our password: all may ask for its health.

    Raises:
        InputError: no Prefect server answers there, or it asks for another password.
    """
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    password, in_cloud = PREFECT_API_AUTH_STRING.value(), bool(PREFECT_API_KEY.value())
    status, body = ask(f"{url}/health", password, seconds=10.0)
    if in_cloud and status in (200, *REFUSED):  # Prefect Cloud has other addresses and answers
        return
    if (status, body) != HEALTHY:
        who = "nobody answers" if status is None else f"another program does (status {status})"
        rule, got = "name a Prefect server that answers", f"{url!r}, where {who}"
        remedy = "Start it, or unset the variable (or `prefect config unset PREFECT_API_URL`)."
        raise InputError("PREFECT_API_URL", rule, got, remedy)
    if ask(f"{url}/admin/version", password, seconds=10.0)[0] in REFUSED:
        rule = (
            f"be the user:password that the Prefect server at {url} was started with (its "
            "PREFECT_SERVER_API_AUTH_STRING)"
        )
        got = "another one" if password else "none"
        raise InputError("PREFECT_API_AUTH_STRING", rule, got, "Set it in the environment.")


def reach_loopback_directly() -> None:
    """Keep this program and those that it starts from asking a proxy for this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        missing = [host for host in LOOPBACK if host not in known.split(",")]
        os.environ[name] = ",".join(filter(None, [known, *missing]))
