"""Two processes train as one does, and one that is lost loses nothing."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from resnext.contracts.errors import InputError, TrainingError
from resnext.contracts.tables import write_table
from resnext.data.manifest.scan import scan
from resnext.data.pixels import PackedPixels, pack, scanned_images
from resnext.data.split.settings import SplitSettings
from resnext.training.batches import epoch_order
from resnext.training.callback import Callback
from resnext.training.checkpoints import Checkpoints
from resnext.training.distributed import Job, Meeting, together
from resnext.training.engine import Fitted, Training
from resnext.training.ranks import Ranks
from resnext.training.recipe import Recipe
from resnext.training.train import read_subsets, start_model
from tests.resnext.data.samples import split
from tests.resnext.samples import CPU

FIGURES = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]


class KillAnother(Callback):
    """Kill the other process after a step."""

    def __init__(self, step: int) -> None:
        self.kill_at = step

    def on_step(self, step: int, images: int, loss: Tensor) -> None:  # noqa: ARG002
        if step == self.kill_at:
            (other,) = multiprocessing.active_children()
            other.kill()


@pytest.fixture
def job(tree: Path, tmp_path: Path) -> Job:
    """Name images of which 16 are trained on."""
    manifest = scan(tree).manifest
    write_table(manifest, tmp_path / "manifest.csv")
    write_table(split(manifest, SplitSettings(shares=(70, 20, 10))), tmp_path / "split.csv")
    pack(scanned_images(tree, manifest), 32, tmp_path / "pixels.npy")
    (tmp_path / "pixels.txt").write_text("\n".join(manifest["sha256"]), encoding="utf-8")
    return Job(
        manifest=tmp_path / "manifest.csv",
        split=tmp_path / "split.csv",
        pixels=tmp_path / "pixels.npy",
        digests=tmp_path / "pixels.txt",
        weights=None,
        checkpoints=tmp_path / "checkpoints",
        recipe=Recipe(),
        compute=CPU,
    )


def training(job: Job, ranks: Ranks, *callbacks: Callback, **more: Any) -> Training:
    pixels = PackedPixels(job.pixels, job.digests.read_text(encoding="utf-8").split())
    subsets = read_subsets(job.manifest, job.split, pixels)
    model, _ = start_model(job.recipe, subsets.classes, job.compute, None)
    return Training(
        model, pixels, subsets, job.recipe, job.compute, callbacks=callbacks, ranks=ranks, **more
    )


def fit(job: Job, size: int, *callbacks: Callback) -> Fitted:
    with together(job, size, None) as ranks:
        found = training(job, ranks, *callbacks, checkpoints=Checkpoints(job.checkpoints)).fit()
    assert not multiprocessing.active_children(), "none outlives the training"
    return found


def with_recipe(job: Job, folder: str, **settings: Any) -> Job:
    recipe = Recipe(image_size=32, epochs=3, warmup_epochs=1, seed=1, **settings)
    return job.model_copy(
        update={"recipe": recipe, "checkpoints": job.checkpoints.with_name(folder)}
    )


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(job: Job) -> None:
    """Without batch norm, the numbers follow from the whole batch: here of 11 images, and of 5."""
    settings = {
        "arch": "test_convnext", "batch_size": 11, "accumulate": 2, "clip_norm": 0.5,
        "ema_decay": 0.9, "class_weights": "balanced", "freeze_epochs": 1, "sampler": "balanced",
    }  # fmt: skip
    one, two = (
        pd.DataFrame(fit(with_recipe(job, f"of-{size}", **settings), size).history)
        for size in (1, 2)
    )
    assert len(two) == 3
    np.testing.assert_allclose(two[FIGURES], one[FIGURES], rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_lost_process_ends_the_training_which_goes_on_to_the_same_bytes(job: Job) -> None:
    settings = {
        "arch": "test_resnet", "batch_size": 8, "ema_decay": 0.9, "mixup": 0.2, "freeze_stages": 1,
    }  # fmt: skip
    killed = with_recipe(job, "killed", **settings)
    with pytest.raises(TrainingError, match="A process of the training was lost"):
        fit(killed, 2, KillAnother(3))
    assert not multiprocessing.active_children()
    assert [path.name for path in killed.checkpoints.glob("step-*")] == ["step-000000002.pt"]
    again, at_once = fit(killed, 2), fit(with_recipe(job, "at-once", **settings), 2)
    assert again.history == at_once.history
    assert again.weights.keys() == at_once.weights.keys()
    assert all(again.weights[name].equal(at_once.weights[name]) for name in again.weights)


class Apart(Ranks):
    """One of several processes that hear nothing of each other."""

    def add_up(self, tensor: Tensor) -> Tensor:
        return tensor


def test_each_process_validates_other_images_and_together_they_are_what_one_computes(
    job: Job,
) -> None:
    alone = training(with_recipe(job, "none", arch="test_resnet", batch_size=4), Ranks())
    alone.held_out = alone.batches
    expected = alone._held_out_logits()
    parts = []
    for rank in range(3):
        alone.ranks = Apart(rank, 3)
        parts.append(alone._held_out_logits())
    assert all(sum(bool(part[row].any()) for part in parts) == 1 for row in range(len(expected)))
    assert torch.stack(parts).sum(0).equal(expected)


def test_the_parts_of_a_batch_are_disjoint_and_about_equal() -> None:
    batch = np.array([5, 3, 8, 1, 9, 2, 7])
    parts = [Ranks(rank, 3).part_of(batch).tolist() for rank in range(3)]
    assert parts == [[5, 3, 8], [1, 9], [2, 7]]


def test_an_epoch_leaves_each_process_two_images_of_every_batch() -> None:
    recipe, labels = Recipe(batch_size=8), np.zeros(19, dtype=np.int64)
    assert [len(each) for each in epoch_order(labels, recipe, 0, processes=1)] == [8, 8, 3]
    assert [len(each) for each in epoch_order(labels, recipe, 0, processes=2)] == [8, 11]


def test_more_processes_than_a_batch_has_pairs_of_images_are_refused(job: Job) -> None:
    with pytest.raises(InputError, match="devices must leave each process at least 2 images"):
        training(with_recipe(job, "none", arch="test_resnet", batch_size=4), Ranks(0, 3))


def test_where_torchruns_processes_meet_is_written_as_it_is_read() -> None:
    place = Meeting("fe80::1", 29500, "start-0")
    assert Meeting.parse(str(place)) == place
