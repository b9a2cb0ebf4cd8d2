"""A Prefect server with its pages, schedules and automations: a process that ends with us."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from flows import address, server
from flows.flags import REPOSITORY
from resnext.errors import InputError
from tasks.watch import signals_to_end

PORT = 4200  # Prefect's usual one
PREFECT = ("prefect", "--no-prompt")
PATIENCE = 45.0  # seconds to save a checkpoint and end; Prefect itself gives a run 30


@dataclass(frozen=True)
class Started:
    """A server that was started."""

    url: str
    process: "subprocess.Popen[bytes]"


@contextmanager
def served(port: int) -> Iterator[Started]:
    """Run a server on 127.0.0.1 while the body runs; all runs on this machine use it.

    Raises:
        InputError: the port is taken, the history is served already or has no place, or a run uses
            the server that runs share.
        ServerError: it does not start; the message names its log file.
    """
    address.reach_loopback_directly()
    _require_free(port)
    output = server.history_folder() / "ui-server.log"
    arguments = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with ExitStack() as stack:

        def start() -> tuple[str, int]:
            here = environment(f"http://127.0.0.1:{port}/api")
            processes.append(stack.enter_context(running(arguments, here, output)))
            return address.await_answer(processes[0], port, output), processes[0].pid

        processes: list[subprocess.Popen[bytes]] = []
        url = stack.enter_context(server.instead_of_shared(start))
        yield Started(url, processes[0])


def environment(url: str) -> dict[str, str]:
    """Give the environment of programs that use the server at an address."""
    return os.environ | {
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_UI_API_URL": url,
        "PWD": str(REPOSITORY),  # what prefect.yaml takes the project's folder from
    }


@contextmanager
def running(
    arguments: list[str], environment: Mapping[str, str], output: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one of Prefect's programs, which a Ctrl-C in the terminal does not reach by itself.

    Should this program be killed, it ends too (see `flows.tied`).
    """
    words = [sys.executable, "-m", "flows.tied", str(os.getpid()), *PREFECT, *arguments]
    with output.open("ab") as file:
        process = subprocess.Popen(
            words, env=dict(environment), cwd=REPOSITORY, stdin=subprocess.DEVNULL,
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        with _undisturbed():  # a worker that is killed at once leaves its runs behind
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore what asks this program to end while the body runs: it is ending."""
    asked = {signal.SIGINT, *signals_to_end()}
    before = {each: signal.signal(each, signal.SIG_IGN) for each in asked}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)


def prefect(arguments: list[str]) -> list[str]:
    """Give the words that run one of Prefect's commands with this Python."""
    return [sys.executable, "-m", *PREFECT, *arguments]


def stop_by_signals() -> None:
    """Make what asks a program to end stop this one as Ctrl-C does, which no shell has ignored."""
    for each in (signal.SIGINT, *signals_to_end()):
        signal.signal(each, _stop)


def _stop(*_: object) -> NoReturn:
    mute_a_closed_terminal()
    raise KeyboardInterrupt


def mute_a_closed_terminal() -> None:
    """Send to nowhere what would go to a terminal that was closed, where each word is an error."""
    for number in (1, 2):
        try:
            os.write(number, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _require_free(port: int) -> None:
    if port not in range(1024, 65536):
        raise InputError(f"--port must be from 1024 to 65535, got {port}. Name another one.")
    if address.is_taken(port):
        raise InputError(
            f"--port must be free, got {port}. Something listens there, a Prefect server perhaps. "
            "Stop it, or name another port."
        )
