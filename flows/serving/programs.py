"""Prefect's programs, which end with the program that started them, and how that one is ended."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from flows.cli.flags import REPOSITORY
from tasks.callbacks.interrupts import signals_to_end

PREFECT = ("prefect", "--no-prompt")
PATIENCE = 45.0  # seconds to save a checkpoint and end; Prefect itself gives a run 30


def environment(url: str) -> dict[str, str]:
    """Give the environment of programs that use the server at an address."""
    return os.environ | {
        "PREFECT_API_URL": url,
        "PWD": str(REPOSITORY),  # what prefect.yaml takes the project's folder from
    }


@contextmanager
def running(
    arguments: list[str], environment: Mapping[str, str], output: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one of Prefect's programs, which a Ctrl-C in the terminal does not reach by itself.

    Should this program be killed, it ends too (see `flows.serving.tied`).
    """
    words = [sys.executable, "-m", "flows.serving.tied", str(os.getpid()), *PREFECT, *arguments]
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
