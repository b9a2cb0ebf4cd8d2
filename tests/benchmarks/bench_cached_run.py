"""Time runs that find all done: a cached pipeline, and a retraining that has nothing new.

Each is held against a bare Prefect flow, of cached no-op tasks and of nothing. All are whole
processes with a running server, in turns; the median of each counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measuring import describe_machine, in_turns, report
from tests.benchmarks.photographs import draw_photographs

FLOWS = Path(__file__).resolve().parents[2] / "flows"
GOAL_CACHED = 1.3
GOAL_NOTHING_NEW = 1.5
TASKS = 10  # scan, split, pack, train, predict, evaluate, explain, plot, report, publish
TINY = ["--arch", "resnext38_32x4d", "--image-size", "32", "--epochs", "1", "--device", "cpu"]

BARE_TASKS = f"""
from prefect import flow, task
from prefect.cache_policies import INPUTS

@task(cache_policy=INPUTS, persist_result=True)
def nothing(number: int) -> int:
    return number

@flow
def bare() -> None:
    for number in range({TASKS}):
        nothing(number)

bare()
"""
BARE_FLOW = """
from prefect import flow

@flow
def bare() -> None:
    pass

bare()
"""


def main() -> None:
    """Print both pairs of times and their ratios."""
    from prefect.settings import PREFECT_API_URL

    from prefect.testing.utilities import prefect_test_harness  # isort: skip

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument(
        "--data", type=Path, help="class folders to retrain on (default: 2,142 drawn pictures)"
    )
    given = parser.parse_args()
    print(f"{describe_machine(os.cpu_count() or 1)}, medians of {given.runs}, seconds")
    with tempfile.TemporaryDirectory() as text, prefect_test_harness(server_startup_timeout=120):
        folder = Path(text)
        environment = os.environ | {
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "PREFECT_LOCAL_STORAGE_PATH": f"{folder}/results",
        }
        draw_photographs(folder / "few", (32, 32), 40)
        ours = program("full_pipeline.py", folder / "few", folder / "store")
        times = compare(ours, BARE_TASKS, environment, given.runs)
        report("a fully cached run", *times, times[0] <= GOAL_CACHED * times[1])
        if given.data is None:
            draw_photographs(folder / "many", (224, 224), 2142)
        ours = program("retrain.py", given.data or folder / "many", folder / "models")
        times = compare(ours, BARE_FLOW, environment, given.runs)
        report("a retraining with nothing new", *times, times[0] <= GOAL_NOTHING_NEW * times[1])


def program(name: str, data: Path, store: Path) -> list[str]:
    """Give the command of one of our programs on some pictures."""
    places = ["--data", str(data.resolve()), "--store", str(store)]
    return [sys.executable, str(FLOWS / name), *places, *TINY]


def compare(
    ours: list[str], bare: str, environment: dict[str, str], runs: int
) -> tuple[float, float]:
    """Give the median seconds of a command and of a bare program, after one run that fills."""

    def run(command: list[str]) -> None:
        subprocess.run(command, env=environment, check=True, capture_output=True)

    run(ours)
    return in_turns(runs, lambda: run(ours), lambda: run([sys.executable, "-c", bare]))


if __name__ == "__main__":
    main()
