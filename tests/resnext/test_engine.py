import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from resnext import engine, training
from resnext.device import Compute
from resnext.errors import InputError, TrainingError
from resnext.images import Picture, PictureSet
from resnext.recipe import Recipe

CPU = Compute(
    device="cpu", threads=1, precision="fp32", memory_format="contiguous", deterministic=True
)


def tiny(classes: int = 2) -> nn.Module:
    """A network of a few hundred weights, with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )


def seeded(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return tiny()


@pytest.fixture
def pictures(tree: Path) -> list[Picture]:
    paths = sorted(tree.rglob("*.png"))
    return [
        Picture(path, hashlib.sha256(path.read_bytes()).hexdigest(), int(path.parent.name == "Red"))
        for path in paths
    ]


def recipe(**changes: object) -> Recipe:
    plain = {"image_size": 32, "batch_size": 8, "epochs": 2, "warmup_epochs": 0, "lr": 0.01}
    return Recipe.model_validate(plain | changes)


class Recorder(engine.Unwatched):
    """Keep the losses of the steps."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step(self, step: int, images: int, loss: Tensor) -> None:
        assert step == len(self.losses) + 1
        assert images > 0
        self.losses.append(float(loss))


def test_every_epoch_meets_every_picture_once_in_an_order_of_its_own() -> None:
    order = engine.EpochOrder(10, 4, seed=0)
    epochs = []
    for order.epoch in range(3):
        batches = list(order)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert {epoch for batch in batches for epoch, _ in batch} == {order.epoch}
        epochs.append([index for batch in batches for _, index in batch])
        assert sorted(epochs[-1]) == list(range(10))
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [(9, 4, [4, 5]), (1, 4, [1]), (3, 1, [1, 1, 1]), (8, 4, [4, 4]), (3, 4, [3])],
)
def test_a_last_batch_of_one_picture_joins_the_one_before(
    count: int, batch: int, sizes: list[int]
) -> None:
    order = engine.EpochOrder(count, batch, seed=0)
    assert [len(batch) for batch in order] == sizes
    assert len(order) == len(sizes)


def test_training_equals_the_scripts_loop(pictures: list[Picture]) -> None:
    """The seed preset's loop against one written as the script has it."""
    made = recipe(
        optimizer="sgd", lr=0.01, momentum=0.0, weight_decay=0.0, schedule="constant",
        label_smoothing=0.0, augment="none", keep="last",
    )  # fmt: skip
    train, test = pictures[:18], pictures[18:]
    history, weights = engine.fit(seeded(), train, test, made, CPU)

    model = seeded()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    order = engine.EpochOrder(len(train), 8, seed=0)
    for epoch in range(2):
        order.epoch = epoch
        model.train()
        total, right = 0.0, 0
        for x, y in DataLoader(PictureSet(train, 32), batch_sampler=order):
            output = model(x)
            loss = cross_entropy(output, y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
            right += int((output.argmax(1) == y).sum())
        model.eval()
        test_total, test_right = 0.0, 0
        with torch.no_grad():
            for x, y in DataLoader(PictureSet(test, 32), batch_size=8):
                target = model(x)
                test_total += cross_entropy(target, y).item()
                test_right += int((target.argmax(1) == y).sum())
        row = history[epoch]
        assert row.train_loss == pytest.approx(total / len(order), abs=1e-6)
        assert row.train_accuracy == right / len(train)
        assert row.val_loss == pytest.approx(test_total, abs=1e-6)
        assert row.val_accuracy == test_right / len(test)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-6, atol=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_other_ones(
    pictures: list[Picture],
) -> None:
    one, same, other = (
        engine.fit(seeded(), pictures[:16], pictures[16:], recipe(seed=seed), CPU)[1]
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_worker_processes_change_no_number(pictures: list[Picture]) -> None:
    alone, helped = (
        engine.fit(seeded(), pictures[:16], pictures[16:], recipe(), CPU, workers=workers)
        for workers in (0, 2)
    )
    assert alone[0] == helped[0]
    assert all(torch.equal(alone[1][name], helped[1][name]) for name in alone[1])


def test_a_small_network_learns_the_colours_by_heart(pictures: list[Picture]) -> None:
    recorder = Recorder()
    made = recipe(
        epochs=60, batch_size=24, lr=0.05, augment="none", label_smoothing=0.0, weight_decay=0.0
    )
    history, _ = engine.fit(seeded(), pictures, [], made, CPU, watcher=recorder)
    assert recorder.losses[-1] < 0.01
    assert history[-1].train_accuracy == 1.0
    assert history[-1].val_loss is None


def test_the_best_epochs_weights_are_kept(pictures: list[Picture]) -> None:
    made = recipe(epochs=4, lr=0.05, schedule="constant", augment="none")
    train = pictures[:12] + pictures[-4:]
    val = [replace(picture, label=1 - picture.label) for picture in pictures]  # worse and worse
    history, kept = engine.fit(seeded(), train, val, made, CPU)
    order = [(-(row.val_accuracy or 0.0), row.val_loss or 0.0) for row in history]
    epochs = 1 + order.index(min(order))
    shorter = made.model_copy(update={"epochs": epochs, "keep": "last"})
    _, at_best = engine.fit(seeded(), train, val, shorter, CPU)
    assert epochs < 4, "else this says nothing"
    assert all(torch.equal(kept[name], at_best[name]) for name in kept)


def test_the_last_epochs_weights_are_kept_where_asked(pictures: list[Picture]) -> None:
    made = recipe(epochs=3, lr=0.3, schedule="constant", keep="last")
    model = seeded()
    _, kept = engine.fit(model, pictures[:12], pictures[12:], made, CPU)
    assert all(torch.equal(kept[name], tensor) for name, tensor in model.state_dict().items())


def test_a_loss_that_is_not_finite_stops_the_training(pictures: list[Picture]) -> None:
    model = seeded()
    with torch.no_grad():
        next(model.parameters()).fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"must stay finite, got nan in epoch 1 .*--lr"):
        engine.fit(model, pictures, [], recipe(), CPU)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_vanished_is_told_in_one_line(pictures: list[Picture], workers: int) -> None:
    pictures[3].path.unlink()
    with pytest.raises(InputError, match=r"^Picture '.*B01_01_01.png' must be as it was") as caught:
        engine.predict(seeded(), pictures, 32, CPU, workers=workers)
    assert "\n" not in str(caught.value)


def test_one_training_picture_is_refused_where_it_cannot_be_normalised(
    pictures: list[Picture],
) -> None:
    parts = training.Parts(("Blue", "Red"), (pictures[0],), (), tuple(pictures[1:]))
    with pytest.raises(InputError, match="at least 2 training pictures below 64 px, got 1"):
        training.train(tiny(), parts, recipe(), CPU)


def test_probabilities_are_in_the_pictures_order_and_sum_to_one(pictures: list[Picture]) -> None:
    model = seeded().eval()
    probabilities = engine.predict(model, pictures, 32, CPU, batch_size=5)
    assert probabilities.shape == (24, 2)
    assert torch.allclose(probabilities.sum(1), torch.ones(24, dtype=torch.float64))
    alone = engine.predict(model, pictures[7:8], 32, CPU)
    torch.testing.assert_close(alone[0], probabilities[7], rtol=1e-5, atol=1e-6)


def test_predicting_nothing_gives_nothing() -> None:
    assert engine.predict(seeded(), [], 32, CPU).shape == (0, 0)


def test_weight_decay_spares_biases_and_norms() -> None:
    optimizer = engine.build_optimizer(tiny(), Recipe(weight_decay=0.1), CPU)
    decayed, spared = optimizer.param_groups
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_each_optimizer_is_torchs(name: str, kind: type) -> None:
    made = engine.build_optimizer(tiny(), Recipe.model_validate({"optimizer": name}), CPU)
    assert type(made) is kind


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from resnext import training
from resnext.device import Compute
from resnext.errors import InputError, TrainingError
from resnext.recipe import Recipe
root, out = Path(sys.argv[1]), Path(sys.argv[2])
compute = Compute(device="cpu", threads=2, precision="fp32", memory_format="channels_last",
                  deterministic=False)
recipe = Recipe(arch="resnext38_32x4d", image_size=32, epochs=1, batch_size=8)
parts = training.read_parts(root / "pictures", root / "manifest.csv", root / "split.csv")
model, _ = training.start_model(recipe, parts.classes, compute, None)
training.write_result(training.train(model, parts, recipe, compute), parts.classes, recipe, out)
"""


def test_two_processes_write_the_same_model_byte_for_byte(tree: Path, tmp_path: Path) -> None:
    from resnext.manifest.scan import scan
    from resnext.split.settings import SplitSettings
    from resnext.tables import write_table
    from tests.resnext.samples import split

    manifest = scan(tree).manifest
    write_table(manifest, tmp_path / "manifest.csv")
    write_table(split(manifest, SplitSettings()), tmp_path / "split.csv")
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        words = [sys.executable, "-c", SCRIPT, str(tmp_path), str(tmp_path / name)]
        subprocess.run(words, check=True)
        files = [tmp_path / name / file for file in ("model.safetensors", "history.csv")]
        digests.add(tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))
    assert len(digests) == 1
