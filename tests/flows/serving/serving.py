"""A real Prefect server for a test, and the programs that talk to it, apart from the user's own."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flows.serving import address

REPOSITORY = Path(__file__).resolve().parents[3]
BUSY_TRIES = 30  # SQLite takes one writer at a time; Prefect's own client asks again too
NOBODY = "http://127.0.0.1:9"
BEHIND_A_PROXY = {"HTTP_PROXY": NOBODY, "http_proxy": NOBODY, "NO_PROXY": "", "no_proxy": ""}
START_TIMEOUT = 180.0  # seconds; the first start makes a database


def free_port() -> int:
    """Give the number of a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start_server(home: Path, **settings: str) -> "tuple[subprocess.Popen[bytes], str]":
    """Start `prefect server start` in a process group of its own; give its API's address too.

    It has a home and a database of its own; `settings` are environment variables. The server's
    output goes to `<home>/server.log`.
    """
    home.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), home / "server.log"
    url = f"http://127.0.0.1:{port}/api"
    words = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=home,
            env=environment(home, **settings),
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: process.poll() is not None or address.healthy(url),
            f"the server does not answer, see {log}",
            START_TIMEOUT,
        )
        assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
    except BaseException:
        end(process)
        raise
    return process, url


@contextmanager
def running_server(home: Path, **settings: str) -> Iterator[str]:
    """Run a server while the body runs, and give its API's address."""
    process, url = start_server(home, **settings)
    try:
        yield url
    finally:
        end(process)


@contextmanager
def answering(status: int, body: bytes = b"<html>an app</html>", *, port: int = 0) -> Iterator[int]:
    """Answer every request alike, as programs that are no Prefect server do; give the port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Say nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as program:
        thread = threading.Thread(target=program.serve_forever)
        thread.start()
        try:
            yield program.server_port
        finally:
            program.shutdown()
            thread.join()


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Give this process's environment without its Prefect settings, and with those given."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}
    return ours | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONPATH": str(REPOSITORY),
        **settings,
    }


def start_python(words: list[str], home: Path, **settings: str) -> "subprocess.Popen[str]":
    """Start a program of this project, or `-c CODE`."""
    return subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env=environment(home, **settings),
    )


def run_python(words: list[str], home: Path, **settings: str) -> tuple[int, str]:
    """Run a program of this project to its end; give its exit code and all that it said."""
    process = start_python(words, home, **settings)
    try:
        said, _ = process.communicate(timeout=300)
    finally:
        end(process)
    return process.returncode, said


def end(process: "subprocess.Popen[str] | subprocess.Popen[bytes]", patience: float = 30.0) -> None:
    """End a process that may have ended already; after `patience` seconds by force."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def wait_until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.2)


class Api:
    """What a Prefect server answers, asked without Prefect."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        for _ in range(BUSY_TRIES):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read()
                break
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(1.0)
        return json.loads(text) if text else None

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/deployments/name/{name}")
        return found

    def start(self, deployment: str, parameters: dict[str, Any]) -> str:
        path = f"/deployments/{self.deployment(deployment)['id']}/create_flow_run"
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.call("POST", path, body)["id"])

    def run(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/flow_runs/{run}")
        return found

    def state(self, run: str) -> str:
        return str(self.run(run)["state"]["type"])

    def of_run(self, what: str, run: str) -> list[dict[str, Any]]:
        """Give the artifacts, logs or task_runs of a flow run."""
        flow_run = {"any_": [run]}
        filters = {"task_runs": {"flow_runs": {"id": flow_run}}}
        body = filters.get(what, {what: {"flow_run_id": flow_run}})
        found: list[dict[str, Any]] = self.call("POST", f"/{what}/filter", body)
        return found

    def epochs_done(self, run: str) -> bool:
        """Tell whether the training's progress moved in the page."""
        found = self.of_run("artifacts", run)
        return any(a["key"] == "training-progress" and (a["data"] or 0) > 0 for a in found)

    def ended(self, run: str, seconds: float = 240.0) -> dict[str, Any]:
        """Wait until a flow run has ended; give it."""
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        wait_until(lambda: self.state(run) in final, f"run {run} did not end", seconds)
        return self.run(run)
