"""Time a fully cached run of the pipeline against a bare Prefect flow of cached no-op tasks.

Both are whole processes with a running server, in turns; the median of each counts.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image

PROGRAM = Path(__file__).resolve().parents[2] / "flows" / "full_pipeline.py"
GOAL = 1.3
TASKS = 10  # scan, split, pack, train, predict, evaluate, explain, plot, report, publish

BARE = f"""
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


def main() -> None:
    """Print both times and their ratio."""
    from tasks.orchestrator import PREFECT_API_URL  # its settings come before Prefect's import

    from prefect.testing.utilities import prefect_test_harness  # isort: skip

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder, prefect_test_harness(server_startup_timeout=120):
        commands = {"pipeline": pipeline(Path(folder)), "bare flow": [sys.executable, "-c", BARE]}
        environment = os.environ | {
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "PREFECT_LOCAL_STORAGE_PATH": f"{folder}/results",
        }
        for command in commands.values():
            seconds(command, environment)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                times[name].append(seconds(command, environment))
    show({name: statistics.median(values) for name, values in times.items()}, runs)


def pipeline(folder: Path) -> list[str]:
    """Draw a few pictures and give the command that runs the pipeline on them."""
    random = np.random.default_rng(0)
    for name in ("A", "B"):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}.png")
    tiny = ["--arch", "resnext38_32x4d", "--image-size", "32", "--epochs", "1", "--device", "cpu"]
    places = ["--data", str(folder / "pictures"), "--store", str(folder / "store")]
    return [sys.executable, str(PROGRAM), *places, *tiny]


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Time one process."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def show(medians: dict[str, float], runs: int) -> None:
    """Print what was measured and where."""
    ratio = medians["pipeline"] / medians["bare flow"]
    print(f"\nA fully cached run, median of {runs}, {os.cpu_count()} cores, {platform.machine()},")
    print(f"Python {platform.python_version()}, {date.today()}")
    for name, value in medians.items():
        print(f"  {name:<10} {value:6.2f} s")
    print(f"  ratio      {ratio:6.2f}   (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
