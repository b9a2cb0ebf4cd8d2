"""Wrong input fails once, at once, whatever Prefect's own settings say of retries."""

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.flows.serving.serving import Api, run_python

ALWAYS = {"PREFECT_FLOWS_DEFAULT_RETRIES": "3", "PREFECT_TASKS_DEFAULT_RETRIES": "3"}
LIST = """
import sys
from importlib import import_module
from prefect import Flow, Task
for name in sys.argv[1:]:
    for made in vars(import_module(name)).values():
        if isinstance(made, (Flow, Task)):
            print(made.name, made.retries)
"""


def modules(package: str) -> list[str]:
    return [f"{package}.{path.stem}" for path in sorted((REPOSITORY / package).glob("*.py"))]


def test_no_flow_and_no_task_takes_its_retries_from_prefects_settings(tmp_path: Path) -> None:
    names = [*modules("flows"), *modules("tasks")]
    code, said = run_python(["-c", LIST, *names], tmp_path, **ALWAYS)
    assert code == 0, said
    retries = dict(line.rsplit(" ", 1) for line in said.splitlines())
    assert set(retries.values()) == {"0"}
    assert {"full-pipeline", "retrain", "batch-predict", "compare"} <= set(retries)


@pytest.mark.slow
def test_wrong_input_that_shows_in_a_run_fails_once(
    prefect_server: str, tree: Path, tmp_path: Path
) -> None:
    for picture in (tree / "Red").iterdir():
        picture.write_bytes(b"no picture")
    words = [str(REPOSITORY / "flows" / "full_pipeline.py"), "--data", str(tree)]
    words += ["--only", "scan", "--store", str(tmp_path / "store")]
    code, said = run_python(words, tmp_path, PREFECT_API_URL=prefect_server, **ALWAYS)
    assert code == 2, said
    assert said.count("error: ") == 1
    assert "--data must hold readable images of at least 2 classes" in said.splitlines()[-1]
    api = Api(prefect_server)
    named = {"flow_runs": {"name": {"like_": "pictures, resnext50_32x4d, only scan"}}}
    (run,) = api.call("POST", "/flow_runs/filter", named)
    assert (run["state_type"], run["run_count"]) == ("FAILED", 1)
    (task,) = api.of_run("task_runs", run["id"])
    assert (task["state_type"], task["run_count"]) == ("FAILED", 1)
