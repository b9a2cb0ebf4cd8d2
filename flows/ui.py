"""Serve the Prefect UI with a worker and every deployment, until Ctrl-C.

$ python flows/ui.py

Starts a server on 127.0.0.1, makes the work pool and the deployments of prefect.yaml, and a
worker that carries out what the page or a schedule starts. Ctrl-C stops all of them; a training
that runs then saves a checkpoint first.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows import command, page
from flows.address import LOOPBACK, ServerError, without_login
from flows.automations import watch_heartbeats_where_none_does
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
from tasks.orchestrator import PREFECT_API_URL, PREFECT_HOME, temporary_settings


@dataclass(frozen=True)
class Served:
    """What runs, by name, and the schedules that sleep, with the folder that each of them lacks."""

    processes: Mapping[str, "subprocess.Popen[bytes]"]
    asleep: Mapping[str, Path]


@contextmanager
def serving(port: int) -> Iterator[Served]:
    """Run server, pool, deployments and worker while the body runs.

    Raises:
        InputError: the port is taken, the history is served already or has no place, or a run uses
            the server that runs share.
        ServerError: one of them does not start; the message names its log file.
    """
    home = Path(PREFECT_HOME.value())
    with page.served(port) as started, temporary_settings(updates={PREFECT_API_URL: started.url}):
        environment = page.environment(started.url)
        deploy(environment, home / "ui-deploy.log")
        watch_heartbeats_where_none_does()
        give_up_leftovers()
        asleep = pause_schedules()
        arguments = ["worker", "start", "--pool", POOL, "--name", f"ui-{port}"]
        with page.running(arguments, environment, home / "ui-worker.log") as worker:
            try:
                yield Served({"server": started.process, "worker": worker}, asleep)
            finally:
                if started.process.poll() is None:
                    _save_what_runs()


def _save_what_runs() -> None:
    """Cancel what runs, which saves a checkpoint, until that is done or we are stopped again."""
    try:
        cancel_runs(page.PATIENCE)
    except KeyboardInterrupt:
        print("\nNot waiting for what runs. Ending worker and server ...", flush=True)


def deploy(environment: Mapping[str, str], output: Path) -> None:
    """Make the work pool and the deployments of prefect.yaml.

    Raises:
        ServerError: that failed; the message names the log file.
    """
    if not _done(["work-pool", "inspect", POOL], environment, output):  # else as its owner set it
        _do(["work-pool", "create", POOL, "--type", "process"], environment, output)
    _do(["deploy", "--all", "--prefect-file", str(DEPLOYMENTS)], environment, output)


def _do(arguments: list[str], environment: Mapping[str, str], output: Path) -> None:
    if not _done(arguments, environment, output):
        raise ServerError(f"`prefect {' '.join(arguments)}` failed, see {output}.")


def _done(arguments: list[str], environment: Mapping[str, str], output: Path) -> bool:
    """Run one of Prefect's commands, and tell whether it ended well."""
    with output.open("ab") as file:
        ended = subprocess.run(
            page.prefect(arguments), env=dict(environment), cwd=REPOSITORY,
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False,
        )  # fmt: skip
    return ended.returncode == 0


def main(*, port: int = page.PORT) -> None:
    """Serve the Prefect UI with a worker and every deployment, until Ctrl-C.

    Args:
        port: Where the page is, on 127.0.0.1 (from 1024 to 65535) [default: 4200].
    """
    page.stop_by_signals()
    elsewhere = _elsewhere(port)
    print("Starting server, work pool, deployments and worker (half a minute) ...", flush=True)
    try:
        with serving(port) as served:
            _say_what_is_served(port, served, elsewhere)
            while True:
                _require_alive(served.processes)
                time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        print("\nStopped server and worker. The run history is kept.", flush=True)


def _elsewhere(port: int) -> str | None:
    """Give the address that Prefect's settings name for runs, unless it is that of the page."""
    named, _ = without_login(PREFECT_API_URL.value() or "")
    ours = {f"http://{host}:{port}/api" for host in LOOPBACK}
    return named if named and named not in ours else None


def _say_what_is_served(port: int, served: Served, elsewhere: str | None) -> None:
    print(f"The run history: http://127.0.0.1:{port}")
    print("Deployments, started there or by their schedule in prefect.yaml:")
    for each in deployments():
        print(f"    {each['name']:<16}{each['description']}")
    for name, folder in served.asleep.items():
        print(f"The schedule of {name} is paused, since there is no folder {folder}.")
    if elsewhere is not None:
        print(
            f"PREFECT_API_URL names {elsewhere}: runs from a terminal go there, not here. "
            "Unset the variable, or: prefect config unset PREFECT_API_URL"
        )
    print("Ctrl-C stops all of it.", flush=True)


def _require_alive(processes: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            log = Path(PREFECT_HOME.value()) / f"ui-{name}.log"
            raise ServerError(f"The {name} ended by itself, see {log}.")


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="ui.py"))
