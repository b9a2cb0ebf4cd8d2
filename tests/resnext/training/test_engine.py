import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resnext.contracts.errors import InputError, TrainingError
from resnext.data.pixels import PackedPixels, ScannedImage, pack
from resnext.training import engine
from resnext.training.batches import Batches, Subset, Subsets, epoch_order
from resnext.training.callback import Callback
from resnext.training.checkpoints import EpochRow, Progress, describe_kept
from resnext.training.recipe import Recipe
from resnext.training.step import build_optimizer
from tests.resnext.samples import CPU


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


class Data(NamedTuple):
    """Images that are decoded as they are asked for, and all of them as one part."""

    source: PackedPixels
    part: Subset

    def some(self, *rows: int) -> Subset:
        return self.take(np.array(rows))

    def take(self, rows: "slice | np.ndarray") -> Subset:
        part = self.part
        numbers = part.rows[rows]
        return Subset(
            numbers,
            part.labels[rows],
            [part.digests[n] for n in numbers],
            [part.paths[n] for n in numbers],
        )


NOTHING = Subset(np.array([], dtype=np.int64), np.array([], dtype=np.int64), [], [])


@pytest.fixture
def data(tree: Path) -> Data:
    paths = sorted(tree.rglob("*.png"))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    pictures = [ScannedImage(path, digest) for path, digest in zip(paths, digests, strict=True)]
    labels = np.array([int(path.parent.name == "Red") for path in paths])
    names = [path.name for path in paths]
    pack(pictures, 32, tree / "pixels.npy")
    source = PackedPixels(tree / "pixels.npy", digests)
    return Data(source, Subset(np.arange(len(paths)), labels, digests, names))


def fit(
    model: nn.Module, data: Data, train: Subset, val: Subset, made: Recipe, **more: Any
) -> engine.Fitted:
    subsets = Subsets(("Blue", "Red"), train, val, NOTHING)
    return engine.Training(model, data.source, subsets, made, CPU, **more).fit()


def recipe(**changes: object) -> Recipe:
    plain = {"image_size": 32, "batch_size": 8, "epochs": 2, "warmup_epochs": 0, "lr": 0.01}
    return Recipe.model_validate(plain | changes)


class Recorder(Callback):
    """Keep the losses of the steps, and how the training ended."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.ends: list[str | None] = []

    def on_end(self, result: str | None) -> None:
        self.ends.append(result)

    def on_step(self, step: int, images: int, loss: Tensor) -> None:
        assert step == len(self.losses) + 1
        assert images > 0
        self.losses.append(float(loss))


def test_training_equals_the_scripts_loop(data: Data) -> None:
    """The seed preset's loop against one written as the script has it."""
    made = recipe(
        optimizer="sgd", lr=0.01, momentum=0.0, weight_decay=0.0, schedule="constant",
        label_smoothing=0.0, augment="none", keep="last",
    )  # fmt: skip
    train, test = data.take(slice(0, 18)), data.take(slice(18, 24))
    history, weights = fit(seeded(), data, train, test, made)

    model = seeded()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(2):
        order = epoch_order(train.labels, made, epoch)
        model.train()
        total, right = 0.0, 0
        for x, y in Batches(data.source, train, CPU).run(order):
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
            for x, y in Batches(data.source, test, CPU).run([np.arange(6)]):
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


def test_the_same_seed_gives_the_same_weights_and_another_other_ones(data: Data) -> None:
    train, val = data.take(slice(0, 16)), data.take(slice(16, 24))
    models = [seeded() for _ in range(3)]
    before = torch.get_rng_state()
    one, same, other = (
        fit(model, data, train, val, recipe(seed=seed, mixup=0.2)).weights
        for model, seed in zip(models, (1, 1, 2), strict=True)
    )
    assert torch.equal(torch.get_rng_state(), before), "the global random state is left alone"
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_one_batch_is_learnt_by_heart(data: Data) -> None:
    recorder = Recorder()
    made = recipe(
        epochs=60, batch_size=24, lr=0.05, augment="none", label_smoothing=0.0, weight_decay=0.0
    )
    history, _ = fit(seeded(), data, data.part, NOTHING, made, callbacks=[recorder])
    assert recorder.losses[-1] < 0.01
    assert recorder.ends == ["kept the weights of epoch 60, the last one"]
    assert history[-1].train_accuracy == 1.0
    assert history[-1].val_loss is None


def contrary(part: Subset) -> Subset:
    """Swap the classes, so that a network that learns gets worse and worse."""
    return Subset(part.rows, 1 - part.labels, part.digests, part.paths)


def test_the_best_epochs_weights_are_kept(data: Data) -> None:
    made = recipe(epochs=4, lr=0.05, schedule="constant", augment="none", metric="val_accuracy")
    train = data.some(*range(12), *range(20, 24))
    history, kept = fit(seeded(), data, train, contrary(data.part), made)
    order = [(-(row.val_accuracy or 0.0), row.val_loss or 0.0) for row in history]
    epochs = 1 + order.index(min(order))
    shorter, model = made.model_copy(update={"epochs": epochs, "keep": "last"}), seeded()
    at_best = fit(model, data, train, contrary(data.part), shorter).weights
    assert epochs < 4, "else this says nothing"
    assert all(torch.equal(kept[name], at_best[name]) for name in kept)
    assert all(torch.equal(at_best[name], last) for name, last in model.state_dict().items())


def rows(*measured: tuple[float, float]) -> list[EpochRow]:
    """A history of these validation losses and accuracies."""
    return [
        EpochRow(number, 0.1, 0.5, 0.5, loss, accuracy, 1.0, 1.0, "")
        for number, (loss, accuracy) in enumerate(measured, start=1)
    ]


@pytest.mark.parametrize(
    ("metric", "measured", "kept"),
    [
        (None, [(0.7, 0.5), (0.4, 0.7), (0.6, 0.9)], 2),
        ("val_loss", [(0.7, 0.5), (0.4, 0.7), (0.6, 0.9)], 2),
        ("val_accuracy", [(0.7, 0.5), (0.4, 0.7), (0.6, 0.9)], 3),
        ("val_loss", [(0.4, 0.5), (0.4, 0.9), (0.4, 0.5)], 1),
        ("val_accuracy", [(0.7, 0.5), (0.6, 0.9), (0.4, 0.9), (0.4, 0.9)], 3),
    ],
)
def test_by_default_the_epoch_with_the_lowest_validation_loss_is_kept_of_equals_the_first(
    metric: str | None, measured: list[tuple[float, float]], kept: int
) -> None:
    made = recipe(**({"metric": metric} if metric else {}))
    model, progress = seeded(), Progress(torch.device("cpu"))
    for row in rows(*measured):
        with torch.no_grad():
            model[5].bias.fill_(row.epoch)  # type: ignore[index]
        progress.end_epoch(row, model, made)
    assert progress.kept["5.bias"].tolist() == [kept, kept]
    said = describe_kept(progress.history, made)
    assert said.startswith(f"kept the weights of epoch {kept} of {len(measured)}, which had the ")
    assert "no score" in said
    assert not any(f"{number}" in said for pair in measured for number in pair)


def test_without_a_validation_part_the_last_epoch_is_said_to_be_kept(data: Data) -> None:
    last = "kept the weights of epoch 2, the last one"
    assert describe_kept(rows((0.4, 0.9), (0.6, 0.8)), recipe(keep="last")) == last
    recorder = Recorder()
    split = unvalidated(data.take(slice(0, 12)), data.take(slice(12, 24)))
    engine.Training(seeded(), data.source, split, recipe(), CPU, callbacks=[recorder]).fit()
    assert recorder.ends == [last]


def test_each_validation_picture_weighs_the_same_in_the_loss_that_chooses(data: Data) -> None:
    """Of 9 pictures in batches of 8 the last one would weigh as much as the other eight."""
    train, val = data.take(slice(0, 12)), data.take(slice(12, 21))
    made = recipe(epochs=1, label_smoothing=0.2, class_weights="balanced")
    model = seeded()
    ((row,), _) = fit(model, data, train, val, made)
    logs = engine.predict(model, data.source, val, CPU)
    plain = -logs[torch.arange(9), torch.from_numpy(val.labels)].mean()
    assert row.val_loss == pytest.approx(float(plain), abs=1e-6)


def test_without_a_validation_part_the_loss_is_the_scripts_mean_of_its_batches(data: Data) -> None:
    train, test = data.take(slice(0, 12)), data.take(slice(12, 21))
    model = seeded()
    split = unvalidated(train, test)
    (row,), _ = engine.Training(model, data.source, split, recipe(epochs=1), CPU).fit()
    logs = engine.predict(model, data.source, test, CPU)
    losses = -logs[torch.arange(9), torch.from_numpy(test.labels)]
    assert row.val_loss == pytest.approx(float(losses[:8].mean() + losses[8]) / 2, abs=1e-6)


def test_training_stops_when_nothing_gets_better(data: Data) -> None:
    made = recipe(
        epochs=20, lr=0.05, schedule="constant", augment="none", patience=3, metric="val_loss"
    )
    history, kept = fit(seeded(), data, data.part, contrary(data.part), made)
    losses = [row.val_loss or 0.0 for row in history]
    best = losses.index(min(losses))
    assert len(history) == best + 1 + 3 < 20
    shorter = made.model_copy(update={"epochs": best + 1, "keep": "last"})
    at_best = fit(seeded(), data, data.part, contrary(data.part), shorter).weights
    assert all(torch.equal(kept[name], at_best[name]) for name in kept)


class Poison(nn.Module):
    """Give nan to pictures with one red value at their corner."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.inner, self.value = tiny(), value

    def forward(self, x: Tensor) -> Tensor:
        bad = x[:, 0, 0, 0] == self.value
        logits: Tensor = self.inner(x)
        return logits + torch.where(bad, torch.nan, 0.0)[:, None]


def test_a_loss_that_is_not_finite_stops_the_training_and_names_step_rate_and_files(
    data: Data,
) -> None:
    made = recipe(augment="none", epochs=3, batch_size=4, schedule="constant", lr=0.01)
    order = epoch_order(data.part.labels, made, 0)
    batch = next(iter(Batches(data.source, data.part, CPU).run([order[2][:1]])))
    model, recorder = Poison(batch.images[0, 0, 0, 0]), Recorder()
    with pytest.raises(TrainingError) as caught:
        fit(model, data, data.part, NOTHING, made, callbacks=[recorder])
    assert recorder.ends == [None]
    names = ", ".join(data.part.paths[index] for index in order[2])
    assert str(caught.value).startswith(
        "The training loss must stay finite, got nan at step 3 (epoch 1) at learning rate 0.01. "
        f"The batch held {names}. Lower --lr"
    )


def unvalidated(train: Subset, test: Subset) -> Subsets:
    return Subsets(("Blue", "Red"), train, NOTHING, test)


@pytest.mark.parametrize(
    ("count", "patience", "words"),
    [
        (1, 0, "at least 2 training images below 64 px, got 1"),  # which can't be normalised
        (12, 2, "patience must be 0 without a validation part"),  # the test part would choose
    ],
)
def test_a_recipe_that_does_not_go_with_the_subsets_is_refused(
    data: Data, count: int, patience: int, words: str
) -> None:
    split = unvalidated(data.take(slice(0, count)), data.take(slice(12, 24)))
    with pytest.raises(InputError, match=words):
        engine.Training(tiny(), data.source, split, recipe(patience=patience), CPU)


def test_log_probabilities_are_in_the_pictures_order_and_sum_to_one(data: Data) -> None:
    model = seeded().eval()
    logs = engine.predict(model, data.source, data.part, CPU, batch_size=5)
    assert logs.shape == (24, 2)
    assert torch.allclose(logs.exp().sum(1), torch.ones(24, dtype=torch.float64))
    alone = engine.predict(model, data.source, data.some(7), CPU)
    torch.testing.assert_close(alone[0], logs[7], rtol=1e-5, atol=1e-6)
    assert engine.predict(model, data.source, NOTHING, CPU).shape == (0, 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_each_optimizer_is_torchs_and_weight_decay_spares_biases_and_norms(
    name: str, kind: type
) -> None:
    made = build_optimizer(tiny(), recipe(optimizer=name, weight_decay=0.1), CPU)
    assert type(made) is kind
    decayed, spared = made.param_groups
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


SCRIPT = """
import sys
from pathlib import Path
from resnext.training import train as training
from resnext.device import Compute
from resnext.contracts.errors import InputError, TrainingError
from resnext.data.pixels import PackedPixels, pack, scanned_images
from resnext.training.engine import Training
from resnext.training.recipe import Recipe
from resnext.contracts.tables import read_manifest
root, out = Path(sys.argv[1]), Path(sys.argv[2])
compute = Compute(device="cpu", threads=2, precision="fp32", memory_format="channels_last",
                  deterministic=False)
recipe = Recipe(arch="resnext38_32x4d", image_size=32, epochs=1, batch_size=8)
manifest = read_manifest(root / "manifest.csv")
pack(scanned_images(root / "pictures", manifest), 32, out / "pixels.npy")
pixels = PackedPixels(out / "pixels.npy", manifest["sha256"])
subsets = training.read_subsets(root / "manifest.csv", root / "split.csv", pixels)
model, _ = training.start_model(recipe, subsets.classes, compute, None)
trained = Training(model, pixels, subsets, recipe, compute).fit()
training.write_result(trained, subsets.classes, recipe, out)
"""


def test_two_processes_write_the_same_model_byte_for_byte(tree: Path, tmp_path: Path) -> None:
    from resnext.contracts.tables import write_table
    from resnext.data.manifest.scan import scan
    from resnext.data.split.settings import SplitSettings
    from tests.resnext.data.samples import split

    manifest = scan(tree).manifest
    write_table(manifest, tmp_path / "manifest.csv")
    write_table(split(manifest, SplitSettings()), tmp_path / "split.csv")
    names = ("one", "two")
    for name in names:
        (tmp_path / name).mkdir()
    words = [[sys.executable, "-c", SCRIPT, str(tmp_path), str(tmp_path / n)] for n in names]
    for process in [subprocess.Popen(each) for each in words]:
        assert process.wait() == 0
    for file in ("model.safetensors", "history.csv"):
        assert len({(tmp_path / name / file).read_bytes() for name in names}) == 1
