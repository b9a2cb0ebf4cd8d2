"""Folds and shards of predictions on the workers of a cluster: the same bytes as without one."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from flows import full_pipeline, predict
from flows.cli.flags import DataFlags, FoldFlags, PredictFlags, TrainingFlags
from flows.full_pipeline import RunFlags
from resnext.contracts.errors import InputError
from resnext.inference import shards
from tasks.stage import cluster
from tasks.stage.runs import open_run, runs
from tests.conftest import make_tree
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_export import model_of

from prefect.client.schemas.objects import State

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]

SIZE = 8  # files of a shard, a multiple of what is computed together
IMAGES = 30  # too few for processes to be started without a cluster
PREDICTIONS = "batch_predictions.csv"


@pytest.fixture(scope="module")
def dask() -> Iterator[LocalCluster]:
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as found:
        yield found


@pytest.fixture(scope="module")
def ray() -> Iterator[str]:
    """Start Ray as its users do, and give the address of its clients' door."""
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports.append(str(probe.getsockname()[1]))
    words = ["--head", "--block", "--num-cpus", "2", "--include-dashboard=false"]
    words += ["--node-ip-address", "127.0.0.1", "--port", ports[0], "--disable-usage-stats"]
    words += ["--ray-client-server-port", ports[1], "--object-store-memory", "100000000"]
    program = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start"]
    started = subprocess.Popen(
        [*program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"ray://127.0.0.1:{ports[1]}"
    finally:
        started.terminate()
        started.wait(60)


def address_of(dask: LocalCluster) -> str:
    return str(dask.scheduler_address).replace("tcp", "dask")


class Inbox:
    """Images and a model, predicted without a cluster into a store of its own."""

    def __init__(self, root: Path) -> None:
        """Make images that take a while to decode, so that there is a middle."""
        self.root, self.images = root, root / "inbox"
        for number in range(IMAGES):
            save(self.images / f"{number:02}.png", picture(1200, 900, seed=number))
        (self.images / "none.png").write_text("no image")
        self.model = model_of(root, "resnext38_32x4d")
        self.alone = self.predicted("alone")

    def predicted(self, store: str, on: str = "processes") -> bytes:
        settings = PredictFlags(model=self.model, store=self.root / store, device="cpu", cluster=on)
        state: State[Any] = predict.batch_predict([str(self.images)], settings, return_state=True)
        assert state.is_completed(), state.message
        return (runs(self.root / store)[-1] / PREDICTIONS).read_bytes()


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SIZE", SIZE)
        yield Inbox(tmp_path_factory.mktemp("cluster"))


def test_workers_of_dask_predict_the_same_bytes(inbox: Inbox, dask: LocalCluster) -> None:
    assert inbox.predicted("dask", address_of(dask)) == inbox.alone


def test_workers_of_ray_predict_the_same_bytes(inbox: Inbox, ray: str) -> None:
    assert inbox.predicted("ray", ray) == inbox.alone


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_worker_that_is_killed_costs_its_shard_alone(
    inbox: Inbox, dask: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, join = inbox.root / "killed", shards.join_shards
    with Client(dask.scheduler_address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        process, _ = client.run(os.getpid).values()
    before: dict[str, int] = {}
    after: dict[str, int] = {}

    def inodes(folder: Path) -> dict[str, int]:
        return {each.name: each.stat().st_ino for each in folder.glob("batch_predictions-*.csv")}

    def kill_one() -> None:
        end = time.monotonic() + 60
        while not before and time.monotonic() < end:
            for folder in store.glob("predict-images/*.scratch"):
                before.update(inodes(folder))
            time.sleep(0.002)
        os.kill(process, signal.SIGKILL)

    def join_and_look(folder: Path, name: str, file: Path) -> None:
        after.update(inodes(folder))
        join(folder, name, file)

    monkeypatch.setattr(shards, "join_shards", join_and_look)
    killer = threading.Thread(target=kill_one)
    killer.start()
    assert inbox.predicted("killed", address_of(dask)) == inbox.alone
    killer.join()
    assert 0 < len(before) < len(after) == -(-(IMAGES + 1) // SIZE)
    assert before.items() <= after.items(), "what was done is not done again"


def test_folds_on_workers_are_those_that_are_trained_one_after_the_other(
    tmp_path: Path, dask: LocalCluster
) -> None:
    make_tree(tmp_path / "images", patients=6)

    def trained(store: str, on: str) -> dict[str, bytes]:
        state: State[Any] = full_pipeline.full_pipeline(
            data=DataFlags(data=tmp_path / "images"),
            training=TrainingFlags(arch="resnext38_32x4d", image_size=32, epochs=1, batch_size=8),
            run=RunFlags(store=tmp_path / store, device="cpu", only="predict", cluster=on, jobs=1),
            folds=FoldFlags(folds=2),
            return_state=True,
        )
        assert state.is_completed(), state.message
        run = runs(tmp_path / store)[-1]
        names = ("model.safetensors", "history.csv", "predictions.csv")
        return {
            str(each.relative_to(run)): each.read_bytes()
            for name in names
            for each in run.rglob(name)
        }

    found = trained("dask", address_of(dask))
    assert len(found) == 3 * 3
    assert found == trained("alone", "processes")


@pytest.mark.skipif(
    sys.platform != "linux", reason="a folder of one process alone is made by /proc"
)
def test_a_store_that_workers_do_not_share_is_refused(tmp_path: Path, dask: LocalCluster) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    ours = Path(f"/proc/self/fd/{descriptor}")
    try:
        with (
            pytest.raises(
                InputError, match="store must be a folder that all workers of `cluster` share"
            ),
            open_run(ours, "ours", {}) as run,
            cluster.workers(address_of(dask), run),
        ):
            pass
    finally:
        os.close(descriptor)
