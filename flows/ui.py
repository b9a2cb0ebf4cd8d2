"""Serve the Prefect UI and every deployment, until Ctrl-C.

$ python flows/ui.py

Starts the project's server, or takes that of a run that is under way, makes the deployments of
prefect.yaml, and carries out what the UI or a schedule starts. Ctrl-C stops all of it; a training
that was started so saves a checkpoint first. A second Ctrl-C does not wait for it.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from filelock import FileLock, Timeout

from flows import REPOSITORY
from flows.automations import watch_heartbeats_where_none_does
from flows.cli import run as command
from flows.serving import server
from flows.serving.address import LOOPBACK, ServerError, without_login
from flows.serving.deployments import deployments, folder_of, next_runs, served
from flows.serving.signals import end_by_sigterm
from resnext.contracts.errors import InputError

from prefect.logging.handlers import APILogWorker
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL

POLL_EVERY = 2.0  # seconds between two questions for what is to be run
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main(*, port: int = server.PORT) -> None:
    """Serve the Prefect UI and every deployment, until Ctrl-C.

    Args:
        port: where the UI is, on 127.0.0.1 (from 1024 to 65535), unless a run that is under way
            has a server already [default: 4200]
    """
    if port not in range(1024, 65536):
        raise InputError("port", "be from 1024 to 65535", port, "Name another one.")
    schedules = "\n".join(_schedules())
    elsewhere = without_login(PREFECT_API_URL.value() or "")[0]
    end_by_sigterm()
    print("Starting server and deployments (some seconds) ...", flush=True)
    try:
        folder = server.history_folder()
        with _alone(folder), server.own(port) as url, chdir(REPOSITORY):
            watch_heartbeats_where_none_does()
            runner = Runner(name="resnext-pipeline", query_seconds=POLL_EVERY)
            for each in served():
                runner.add_deployment(each)
            _say_where(url, port, elsewhere)
            print(f"Deployments, started there or by their schedule in prefect.yaml:\n{schedules}")
            print(f"What they run says more in {folder / 'ui.log'}.")
            print(
                "Ctrl-C stops all of it, but the server goes on while a run from a terminal uses "
                "it.", flush=True,
            )  # fmt: skip
            lines = folder / "ui.log"  # also of Prefect, whose own handler writes on the terminal
            logging.basicConfig(filename=lines, encoding="utf-8", format=LINE, force=True)
            with lines.open("a") as log, redirect_stdout(log), redirect_stderr(log):
                _run(runner)
    except (KeyboardInterrupt, SystemExit):  # the latter at a second Ctrl-C
        pass
    what = "server and deployments" if server.own_address() is None else "the deployments"
    print(f"\nStopped {what}. The run history is kept.", flush=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one program at a time serve the history to people."""
    try:
        lock = FileLock(folder / "ui.lock").acquire(timeout=0)
    except Timeout as error:
        url = server.own_address()
        where = f" at {url.removesuffix('/api')}" if url else ""
        got = f"'{folder.parent}', whose history is served{where} already"
        remedy = (
            "Look there, stop that program first (make ui, or flows/ui.py), or give another folder "
            "in that environment variable."
        )
        raise InputError("PREFECT_HOME", "be free", got, remedy) from error
    with lock:
        yield


def _run(runner: Runner) -> None:
    """Carry out what is started until SIGTERM.

    Raises:
        ServerError: the server is gone.
    """
    try:
        asyncio.run(runner.start())
        APILogWorker.drain_all(timeout=5)  # while the server is there
    except Exception as error:
        if server.own_address() is not None:
            raise
        log_file = server.history_folder() / "server.log"
        raise ServerError(f"The server ended by itself, see {log_file}.") from error


def _schedules() -> Iterator[str]:
    """Say of each deployment what it is for, and when its schedule starts it."""
    for each in deployments():
        yield f"    {each['name']:<16}{each['description']}"
        folder = folder_of(each)
        for plan in each.get("schedules") or ():
            if "cron" in plan:
                where = f"The schedule of {each['name']} in prefect.yaml"
                dates = next_runs(where, plan["cron"], plan.get("timezone") or "UTC")
                paused = f"paused, since there is no folder {folder}"
                yield f"{'':<20}{f'next: {dates}' if folder.is_dir() else paused}"


def _say_where(url: str, port: int, elsewhere: str) -> None:
    """Say where the UI is, and that runs from a terminal go elsewhere, if they do."""
    print(f"The Prefect UI: {url.removesuffix('/api')}")
    if url != f"http://127.0.0.1:{port}/api":
        print(f"That is the server of a run that is under way: this time it is not port {port}.")
    if elsewhere and elsewhere not in {url.replace("127.0.0.1", host) for host in LOOPBACK}:
        print(
            f"PREFECT_API_URL names {elsewhere}: runs from a terminal go there, not here. "
            "Unset the variable, or: prefect config unset PREFECT_API_URL"
        )


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="ui.py"))
