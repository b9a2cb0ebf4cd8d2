"""Networks of folds in processes: the same bytes, one server, and no process that is left over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, make_tree

TINY = ["--image-size", "32", "--batch-size", "8", "--device", "cpu"]
TINY += ["--arch", "resnext38_32x4d", "--only", "predict"]
TINY += ["--memory-format", "contiguous"]  # else the long ones measure which is faster
LONG = 60  # epochs, of some tenths of a second
ENDED_AFTER = 30.0  # seconds


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("side") / "images")


class Program:
    """The pipeline on two folds, as a user starts it."""

    def __init__(self, images: Path, store: Path, server: str) -> None:
        self.images, self.store = images, store
        self.environment = {**os.environ, "PREFECT_API_URL": server}

    def start(self, epochs: int, jobs: int, folds: int = 2) -> "subprocess.Popen[str]":
        words = ["--data", str(self.images), "--store", str(self.store), *TINY]
        words += ["--folds", str(folds)]
        return subprocess.Popen(
            [
                sys.executable, "-W", "error", str(REPOSITORY / "flows" / "full_pipeline.py"),
                *words, "--epochs", str(epochs), "--jobs", str(jobs),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
        )  # fmt: skip

    def run(self, epochs: int, jobs: int) -> str:
        process = self.start(epochs, jobs)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert "Traceback" not in said
        return said

    def files(self, name: str) -> list[bytes]:
        newest = max((self.store / "runs").iterdir(), key=lambda run: run.name * run.is_dir())
        found = sorted(newest.glob(f"folds/*/{name}"))
        assert len(found) == 2
        return [path.read_bytes() for path in found]


def wait_until(met: Callable[[], bool], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def children(parent: int) -> set[int]:
    """Give the processes that a process started."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == parent:
            found.add(int(file.parent.name))
    return found


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_networks_side_by_side_are_those_that_are_trained_one_after_the_other(
    images: Path, tmp_path: Path, prefect_server: str
) -> None:
    together, apart = (
        Program(images, tmp_path / name, prefect_server) for name in ("together", "apart")
    )
    said = together.run(epochs=2, jobs=2)
    assert "2 networks, 2 side by side" in said
    assert "fold 1" in said
    assert "fold 2" in said
    assert "temporary server" not in said, "all use one server"
    assert "side by side" not in together.run(epochs=2, jobs=2), "no process for what is cached"
    assert "side by side" not in apart.run(epochs=2, jobs=1)
    for name in ("model.safetensors", "history.csv", "predictions.csv"):
        assert together.files(name) == apart.files(name), name


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_its_program_and_trainings_go_on_from_their_checkpoints(
    images: Path, tmp_path: Path, prefect_server: str, stop: signal.Signals
) -> None:
    program = Program(images, tmp_path / "store", prefect_server)
    process = program.start(LONG, jobs=2)

    def checkpoints() -> list[Path]:
        return list(program.store.glob("train/*.scratch/step-*.pt"))

    wait_until(lambda: len({each.parent for each in checkpoints()}) == 2, "no two checkpoints")
    started = children(process.pid)
    assert len(started) >= 2
    process.send_signal(stop)
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Traceback" not in said
    wait_until(lambda: not any(map(alive, started)), "a process is left over", ENDED_AFTER)
    assert len({each.parent for each in checkpoints()}) == 2
    if stop == signal.SIGINT:
        assert "Stopped" in said
        again = program.start(LONG, jobs=2)
        assert again.stderr is not None
        going_on = (line for line in again.stderr if "going on after step" in line)
        assert {line.split()[1] for line in islice(going_on, 2)} == {"1", "2"}, "of each fold"
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=120)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
def test_it_ends_where_one_process_trains_and_another_waits_for_work(
    images: Path, tmp_path: Path, prefect_server: str
) -> None:
    """The one that waits dies with the lock of the queue that the other one then asks for."""
    program = Program(images, tmp_path / "store", prefect_server)
    process = program.start(20, jobs=2, folds=3)

    def one_is_left() -> bool:
        ended = {file.parent for file in program.store.glob("predict/*/predictions.csv")}
        begun = list(program.store.glob("train/*.scratch/step-*.pt"))
        return len([each for each in ended if each.suffix != ".partial"]) == 2 and bool(begun)

    wait_until(one_is_left, "no fold trained alone")
    started = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=ENDED_AFTER)
    assert process.returncode == 1
    assert "Stopped" in said
    # Its files are closed, which ended our reading, a moment before a process is gone.
    wait_until(lambda: not any(map(alive, started)), "a process is left over", 5)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
def test_a_process_that_the_system_ends_is_said_in_a_line(
    images: Path, tmp_path: Path, prefect_server: str
) -> None:
    program = Program(images, tmp_path / "store", prefect_server)
    process = program.start(LONG, jobs=2)
    wait_until(lambda: any(program.store.glob("train/*.scratch/step-*.pt")), "no checkpoint")
    workers = [
        each
        for each in children(process.pid)
        if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]
    os.kill(max(workers), signal.SIGKILL)  # the newest, which a pool may fail to watch
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: A process that trained was ended by the system" in said
    assert "Traceback" not in said
