"""One network trained by two processes: one run, one message where one is lost, none left over."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resnext.contracts.tables import read_table
from tests.conftest import REPOSITORY, make_tree
from tests.flows.training.test_side_by_side import alive, children, wait_until

from prefect.client.orchestration import get_client

WORDS = ["--image-size", "32", "--batch-size", "8", "--device", "cpu", "--arch", "test_convnext"]
WORDS += ["--only", "predict", "--memory-format", "contiguous"]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("devices") / "images")


def start(
    images: Path, store: Path, server: str, epochs: int, *, torchrun: bool
) -> "subprocess.Popen[str]":
    words = ["--data", str(images), "--store", str(store), "--epochs", str(epochs), *WORDS]
    program = str(REPOSITORY / "flows" / "full_pipeline.py")
    return subprocess.Popen(
        [sys.executable, *TORCHRUN, program, *words]
        if torchrun
        else [sys.executable, "-W", "error", program, *words, "--devices", "2"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PREFECT_API_URL": server},
    )  # fmt: skip


def all_below(parent: int) -> set[int]:
    found = children(parent)
    return found.union(*map(all_below, found))


def flow_runs(server: str) -> int:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server}), get_client(sync_client=True) as client:
        return client.count_flow_runs()


def test_torchrun_leaves_one_run_whose_training_devices_finds_cached(
    images: Path, tmp_path: Path, prefect_server: str
) -> None:
    before = flow_runs(prefect_server)
    process = start(images, tmp_path, prefect_server, 2, torchrun=True)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "2 processes" in said
    assert said.count("epoch 2/2") == 1, "rank 0 alone says something"
    assert flow_runs(prefect_server) == before + 1
    (history,) = tmp_path.glob("train/*/history.csv")
    assert read_table(history)["epoch"].tolist() == [1, 2]
    again = start(images, tmp_path, prefect_server, 2, torchrun=False)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert "train     cached" in said


@pytest.mark.parametrize("torchrun", [True, False])
def test_where_a_process_is_killed_all_end_and_a_checkpoint_is_left(
    images: Path, tmp_path: Path, prefect_server: str, torchrun: bool
) -> None:
    """Of torchrun's processes another than rank 0 is killed, of --devices the one that leads."""
    process = start(images, tmp_path, prefect_server, 1000, torchrun=torchrun)
    wait_until(lambda: any(tmp_path.glob("train/*.scratch/step-*.pt")), "no checkpoint")
    started = all_below(process.pid)
    assert len(started) >= 2 - (not torchrun)
    os.kill(rank_1(process.pid) if torchrun else process.pid, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    wait_until(lambda: not any(map(alive, started)), "a process is left over", 30)
    assert any(tmp_path.glob("train/*.scratch/step-*.pt"))
    assert process.returncode == (1 if torchrun else -signal.SIGKILL)
    assert said.count("error: A process of the training was lost") == torchrun


def rank_1(parent: int) -> int:
    """Give the process of rank 1 among those that torchrun started."""
    (found,) = (
        each
        for each in children(parent)
        if b"RANK=1" in Path(f"/proc/{each}/environ").read_bytes().split(b"\0")
    )
    return found
