"""A server that goes away in the middle of a run: nothing that was computed is lost."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.flows.serving.serving import (
    Api,
    end,
    running_server,
    start_python,
    start_server,
)

PROGRAM = str(REPOSITORY / "flows" / "full_pipeline.py")
TINY = ["--preset", "quick", "--image-size", "32", "--epochs", "6", "--device", "cpu"]


def words(tree: Path, store: Path) -> list[str]:
    return [PROGRAM, "--data", str(tree), "--store", str(store), "--workers", "0", *TINY]


@pytest.mark.slow
def test_a_run_whose_server_goes_away_ends_with_its_results_and_a_rerun_hits_all_of_them(
    tree: Path, tmp_path: Path
) -> None:
    store, home = tmp_path / "store", tmp_path / "home"
    server, url = start_server(home)
    settings = {"PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "1"}
    run = start_python(words(tree, store), home, **settings)
    try:
        assert run.stdout is not None
        heard = []
        for line in run.stdout:
            heard.append(line)
            if "epoch 1/6" in line:
                break
        os.killpg(server.pid, signal.SIGKILL)
        gone = time.monotonic()
        server.wait()
        rest, _ = run.communicate(timeout=240)
    finally:
        end(run)
        end(server)
    said = "".join(heard) + rest
    assert run.returncode == 0, said
    assert "epoch 6/6" in said
    minutes = (time.monotonic() - gone) / 60
    assert 1 <= said.count("The Prefect server is away") <= 1 + minutes
    assert "The Prefect server went away" in said
    assert "the same command would find all of them cached" in said
    assert "Traceback" not in said
    assert (store / "latest" / "report.html").is_file()
    with running_server(tmp_path / "other") as other:
        again = start_python(words(tree, store), tmp_path / "other", PREFECT_API_URL=other)
        try:
            repeated, _ = again.communicate(timeout=240)
        finally:
            end(again)
        assert again.returncode == 0, repeated
        api = Api(other)
        (flow_run,) = api.call("POST", "/flow_runs/filter", {})
        states = {
            each["name"]: each["state_name"] for each in api.of_run("task_runs", flow_run["id"])
        }
    computed = {name for name, state in states.items() if state != "Cached"}
    assert computed == {"scan", "publish to the UI"}
