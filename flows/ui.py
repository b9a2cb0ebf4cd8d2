"""Serve the Prefect UI with a worker and every deployment, until Ctrl-C.

$ python flows/ui.py

Starts a server on 127.0.0.1, makes the work pool and the deployments of prefect.yaml, and a
worker that carries out what the page or a schedule starts. Ctrl-C stops all of them; a training
that runs then saves a checkpoint first.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from flows import address, command, server
from flows.automations import LOST_AFTER, create_automations, watch_heartbeats
from flows.flags import REPOSITORY
from flows.pool import (
    DEPLOYMENTS,
    LOOK_EVERY,
    POOL,
    cancel_runs,
    deployments,
    give_up_leftovers,
    pause_schedules,
)
from resnext.errors import InputError
from tasks.orchestrator import PREFECT_API_URL, PREFECT_HOME, temporary_settings

PATIENCE = 45.0  # seconds to save a checkpoint and end; the worker itself gives a run 30


@dataclass(frozen=True)
class Served:
    """What runs, by name, and the schedules that sleep, with the folder that each of them lacks."""

    processes: Mapping[str, "subprocess.Popen[bytes]"]
    asleep: Mapping[str, Path]


@contextmanager
def serving(port: int) -> Iterator[Served]:
    """Run server, pool, deployments and worker while the body runs.

    Raises:
        InputError: the port is taken, or a run uses the server that runs share.
        RuntimeError: one of them does not start; the message names its log file.
    """
    _require_free(port)
    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_UI_API_URL": url,
        "PWD": str(REPOSITORY),
    }
    with ExitStack() as stack:
        output = home / "ui-server.log"

        def start() -> str:
            arguments = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
            started = stack.enter_context(_running(arguments, environment, output))
            processes["server"] = started
            return address.await_answer(started, port, output)

        processes: dict[str, subprocess.Popen[bytes]] = {}
        stack.enter_context(server.instead_of_shared(start))
        deploy(environment, home / "ui-deploy.log")
        with temporary_settings(updates={PREFECT_API_URL: url}):
            create_automations([watch_heartbeats(LOST_AFTER)])
            give_up_leftovers()
            asleep = pause_schedules()
        arguments = ["worker", "start", "--pool", POOL, "--name", f"ui-{port}"]
        log = home / "ui-worker.log"
        processes["worker"] = stack.enter_context(_running(arguments, environment, log))
        try:
            yield Served(processes, asleep)
        finally:
            with temporary_settings(updates={PREFECT_API_URL: url}):
                cancel_runs(PATIENCE)


def deploy(environment: Mapping[str, str], output: Path) -> None:
    """Make the work pool and the deployments of prefect.yaml.

    Raises:
        RuntimeError: that failed; the message names the log file.
    """
    if not _done(["work-pool", "inspect", POOL], environment, output):  # else as its owner set it
        _do(["work-pool", "create", POOL, "--type", "process"], environment, output)
    _do(["deploy", "--all", "--prefect-file", str(DEPLOYMENTS)], environment, output)


def _do(arguments: list[str], environment: Mapping[str, str], output: Path) -> None:
    if not _done(arguments, environment, output):
        raise RuntimeError(f"`prefect {' '.join(arguments)}` failed, see {output}.")


def _done(arguments: list[str], environment: Mapping[str, str], output: Path) -> bool:
    """Run one of Prefect's commands, and tell whether it ended well."""
    with output.open("ab") as file:
        ended = subprocess.run(
            _prefect(arguments), env=dict(environment), cwd=REPOSITORY,
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False,
        )  # fmt: skip
    return ended.returncode == 0


def _require_free(port: int) -> None:
    if port not in range(1024, 65536):
        raise InputError(f"--port must be from 1024 to 65535, got {port}. Name another one.")
    if address.is_taken(port):
        raise InputError(
            f"--port must be free, got {port}. Something listens there, a Prefect server perhaps. "
            "Stop it, or name another port."
        )


@contextmanager
def _running(
    arguments: list[str], environment: Mapping[str, str], output: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one of Prefect's programs, which a Ctrl-C in the terminal does not reach by itself."""
    with output.open("ab") as file:
        process = subprocess.Popen(
            _prefect(arguments), env=dict(environment), cwd=REPOSITORY, stdin=subprocess.DEVNULL,
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _prefect(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "prefect", "--no-prompt", *arguments]


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(*, port: int = 4200) -> None:
    """Serve the Prefect UI with a worker and every deployment, until Ctrl-C.

    Args:
        port: Where the page is, on 127.0.0.1 (from 1024 to 65535) [default: 4200].
    """
    for each in (signal.SIGINT, signal.SIGTERM):  # also where a shell had it ignored
        signal.signal(each, _stop)
    print("Starting server, work pool, deployments and worker (half a minute) ...", flush=True)
    try:
        with serving(port) as served:
            _say_what_is_served(port, served)
            while True:
                _require_alive(served.processes)
                time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        print("\nStopped server and worker. The run history is kept.", flush=True)


def _say_what_is_served(port: int, served: Served) -> None:
    print(f"The run history: http://127.0.0.1:{port}")
    print("Deployments, started there or by their schedule in prefect.yaml:")
    for each in deployments():
        print(f"    {each['name']:<16}{each['description']}")
    for name, folder in served.asleep.items():
        print(f"The schedule of {name} is paused, since there is no folder {folder}.")
    print("Ctrl-C stops all of it.", flush=True)


def _require_alive(processes: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            log = Path(PREFECT_HOME.value()) / f"ui-{name}.log"
            raise RuntimeError(f"The {name} ended by itself, see {log}.")


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="ui.py"))
