"""Serve the Prefect UI with a worker and every deployment, until Ctrl-C.

$ python flows/ui.py

Starts the project's server, or takes that of a run that is under way, makes the work pool and the
deployments of prefect.yaml, and a worker that carries out what the page or a schedule starts.
Ctrl-C stops all of them; a training that the worker runs then saves a checkpoint first.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from flows.automations import watch_heartbeats_where_none_does
from flows.cli import run as command
from flows.cli.flags import REPOSITORY
from flows.serving import programs as page
from flows.serving import server
from flows.serving.address import LOOPBACK, ServerError, without_login
from flows.serving.deployments import (
    LOOK_EVERY,
    POOL,
    asleep,
    cancel_runs,
    deployments,
    give_up_leftovers,
    make_pool,
    worker_name,
    write_deployments,
)
from flows.serving.schedule import next_runs
from resnext.contracts.errors import InputError
from tasks.orchestrator import PREFECT_API_URL


@dataclass(frozen=True)
class Served:
    """Where the server is, and what works for it."""

    url: str
    worker: "subprocess.Popen[bytes]"


@contextmanager
def serving(port: int) -> Iterator[Served]:
    """Have server, pool, deployments and worker while the body runs.

    Raises:
        InputError: the port is taken, the history is served already or has no place.
        ServerError: one of them does not start; the message names its log file.
    """
    place = server.history_folder()
    with _alone(place), server.own(port) as url:
        environment = page.environment(url)
        deploy(environment, place)
        watch_heartbeats_where_none_does()
        give_up_leftovers()
        arguments = ["worker", "start", "--pool", POOL, "--name", worker_name()]
        with page.running(arguments, environment, place / "ui-worker.log") as worker:
            try:
                yield Served(url, worker)
            finally:
                if server.own_address() == url:
                    _save_what_runs()


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one program at a time serve the history to people."""
    try:
        lock = FileLock(place / "ui.lock").acquire(timeout=0)
    except Timeout as error:
        url = server.own_address()
        where = f" at {url.removesuffix('/api')}" if url else ""
        raise InputError(
            "PREFECT_HOME",
            "be free",
            f"'{place.parent}', whose history is served{where} already",
            "Look there, stop that program first (make ui, or flows/ui.py), or give "
            "another folder in that environment variable.",
        ) from error
    with lock:
        yield


def _save_what_runs() -> None:
    """Cancel what runs, which saves a checkpoint, until that is done or we are stopped again."""
    try:
        cancel_runs(page.PATIENCE)
    except KeyboardInterrupt:
        print("\nNot waiting for what runs. Ending worker and server ...", flush=True)


def deploy(environment: Mapping[str, str], place: Path) -> None:
    """Make the work pool and the deployments of prefect.yaml.

    Raises:
        ServerError: that failed; the message names the log file.
    """
    make_pool()
    write_deployments(place / "prefect.yaml")
    words = [*page.PREFECT, "deploy", "--all", "--prefect-file", str(place / "prefect.yaml")]
    with (place / "ui-deploy.log").open("ab") as output:
        ended = subprocess.run(
            [sys.executable, "-m", *words], env=dict(environment), cwd=REPOSITORY,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
        )  # fmt: skip
    if ended.returncode != 0:
        raise ServerError(f"`{' '.join(words)}` failed, see {place / 'ui-deploy.log'}.")


def main(*, port: int = server.PORT) -> None:
    """Serve the Prefect UI with a worker and every deployment, until Ctrl-C.

    Args:
        port: Where the page is, on 127.0.0.1 (from 1024 to 65535), unless a run that is under way
            has a server already [default: 4200].
    """
    if port not in range(1024, 65536):
        raise InputError(
            "port",
            "be from 1024 to 65535",
            port,
            "Name another one.",
        )
    schedules = list(_schedules())
    page.stop_by_signals()
    elsewhere = without_login(PREFECT_API_URL.value() or "")[0]
    print("Starting server, work pool, deployments and worker (half a minute) ...", flush=True)
    try:
        with serving(port) as served:
            _say_where(served.url, port, elsewhere)
            print("Deployments, started there or by their schedule in prefect.yaml:")
            print("\n".join(schedules))
            print("Ctrl-C stops all of it.", flush=True)
            while True:
                _require_alive(served)
                time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        print("\nStopped server and worker. The run history is kept.", flush=True)
        if server.own_address() is not None:
            print("The server itself goes on for the run that uses it, and ends after it.")


def _schedules() -> Iterator[str]:
    """Say of each deployment what it is for, and when its schedule starts it."""
    waiting = asleep()
    for each in deployments():
        yield f"    {each['name']:<16}{each['description']}"
        where = f"The schedule of {each['name']} in prefect.yaml"
        for plan in each.get("schedules") or ():
            if "cron" in plan:
                dates = next_runs(where, plan["cron"], plan.get("timezone") or "UTC")
                paused = f"paused, since there is no folder {waiting.get(each['name'])}"
                yield f"{'':<20}{paused if each['name'] in waiting else f'next: {dates}'}"


def _say_where(url: str, port: int, elsewhere: str) -> None:
    """Say where the page is, and that runs from a terminal go elsewhere, if they do."""
    print(f"The run history: {url.removesuffix('/api')}")
    if url != f"http://127.0.0.1:{port}/api":
        print(f"That is the server of a run that is under way: this time it is not port {port}.")
    if elsewhere and elsewhere not in {url.replace("127.0.0.1", host) for host in LOOPBACK}:
        print(
            f"PREFECT_API_URL names {elsewhere}: runs from a terminal go there, not here. "
            "Unset the variable, or: prefect config unset PREFECT_API_URL"
        )


def _require_alive(served: Served) -> None:
    place = server.history_folder()
    if served.worker.poll() is not None:
        raise ServerError(f"The worker ended by itself, see {place / 'ui-worker.log'}.")
    if server.own_address() != served.url:
        raise ServerError(f"The server ended by itself, see {place / 'server.log'}.")


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="ui.py"))
