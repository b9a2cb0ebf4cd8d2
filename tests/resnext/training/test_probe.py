"""Heads are trained on originals alone, by the seed to the same bytes, and learn what is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from resnext.contracts.tables import MANIFEST_COLUMNS, write_table
from resnext.data.pixels import Pixels, Rows
from resnext.models.architectures import build, find_architecture
from resnext.models.probe import Probe
from resnext.training import probe
from resnext.training.callback import Callback
from resnext.training.engine import Fitted
from resnext.training.probe import TrainingSet
from resnext.training.recipe import Recipe
from tests.resnext.samples import CPU

LITE, WIDTH = "tf_efficientnet_lite0", 2848
RECIPE = Recipe(
    arch=LITE, method="probe", weights="file", image_size=32, views="mirror", epochs=8,
    batch_size=16, warmup_epochs=0, ema_decay=0.98, keep="last", augment="none",
)  # fmt: skip


def features(count: int, width: int, views: int = 2) -> TrainingSet:
    """Give features of noise, in which the first says the class; the last is always the same."""
    random = torch.Generator().manual_seed(0)
    drawn = torch.randn(count, views, width, generator=random)
    labels = np.arange(count) % 2
    drawn[:, :, 0] += 6 * torch.from_numpy(labels)[:, None]
    drawn[:, :, -1] = 7
    return TrainingSet(drawn, labels.astype(np.int64), ("A", "B"))


def fitted(callbacks: tuple[Callback, ...] = (), **changes: Any) -> Fitted:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build(LITE, 1)
    recipe = RECIPE.model_copy(update=changes)
    return probe.fit_probe(network, features(40, WIDTH), recipe, CPU, callbacks)


def test_a_probe_learns_and_gives_the_same_bytes_again_and_others_for_another_seed() -> None:
    first, again, other = fitted(), fitted(), fitted(seed=1)
    assert first.history[-1].train_accuracy > 0.95
    assert first.history[-1].train_loss < first.history[0].train_loss
    assert {row.val_loss for row in first.history} == {None}
    same = {name for name, each in first.weights.items() if each.equal(again.weights[name])}
    assert same == first.weights.keys()
    assert not first.weights["heads.hidden"].equal(other.weights["heads.hidden"])
    assert first.weights["mean"].equal(other.weights["mean"])


def test_what_is_said_not_to_count_for_a_probe_changes_no_byte() -> None:
    others: dict[str, Any] = {
        "zero_init_residual": True, "zero_init_head": True, "head_lr": 0.1, "layer_decay": 0.5,
        "optimizer": "sgd", "momentum": 0.1, "accumulate": 2, "clip_norm": 0.01, "keep": "best",
        "freeze_epochs": 9, "freeze_stages": 2, "mixup": 0.5, "cutmix": 0.5, "augment": "full",
        "metric": "val_accuracy", "patience": 1, "step_epochs": 1, "step_factor": 0.5,
    }  # fmt: skip
    assert {name for name in Recipe.model_fields if not RECIPE.uses(name)} == others.keys()
    first, other = fitted(), fitted(**others)
    assert all(each.equal(other.weights[name]) for name, each in first.weights.items())
    assert RECIPE.model_copy(update={"schedule": "step"}).uses("step_epochs")
    late, early = (fitted(schedule="step", step_epochs=epochs) for epochs in (4, 1))
    assert not late.weights["heads.out"].equal(early.weights["heads.out"])


def test_features_are_standardised_and_one_that_never_changes_is_left() -> None:
    weights = fitted().weights
    given = features(40, WIDTH).features.flatten(0, 1)
    assert torch.allclose(weights["mean"], given.mean(dim=0), atol=1e-5)
    assert torch.allclose(weights["std"][:-1], given.std(dim=0, correction=0)[:-1], atol=1e-5)
    assert weights["std"][-1] == 1


def test_a_training_that_is_to_stop_stops() -> None:
    class Stop(Callback):
        def wants_to_stop(self) -> bool:
            return True

    with pytest.raises(KeyboardInterrupt):
        fitted(callbacks=(Stop(),))


def test_heads_see_originals_of_train_and_val_once_and_never_test(tmp_path: Path) -> None:
    rows = [
        ("a0.png", "A", "a", 0, "train"), ("a1.png", "A", "a", 1, "train"),
        ("b0.png", "B", "b", None, "val"), ("c0.png", "A", "c", 0, "test"),
        ("d1.png", "C", "d", 1, "train"),  # a class of copies alone
        ("e0.png", "B", "e", 0, "train"),  # the same bytes as b0
    ]  # fmt: skip
    split = pd.DataFrame(rows, columns=["path", "label", "group", "copy", "split"])
    write_table(split.assign(reason=""), tmp_path / "split.csv")
    digests = ["aa", "ab", "bb", "cc", "dd", "bb"]
    manifest = split[["path", "label"]].assign(sha256=digests)
    write_table(manifest.reindex(columns=MANIFEST_COLUMNS, fill_value=0), tmp_path / "manifest.csv")
    known = ["aa", "bb", "cc", "dd"]
    values = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), dtype=np.float32)
    given = probe.read_training_set(
        tmp_path / "manifest.csv", tmp_path / "split.csv", values, known, ("train", "val")
    )
    assert given.classes == ("A", "B", "C")
    assert given.features[:, 0, 0].tolist() == [0, 1, 3]
    assert given.labels.tolist() == [0, 1, 2]


def test_a_copy_of_a_class_whose_originals_are_tested_is_left_out(tmp_path: Path) -> None:
    """A random split can put the one original of a class into test, and its copy into train."""
    rows = [
        ("a0.png", "A", "a", 0, "test"), ("a1.png", "A", "a", 1, "train"),
        ("b0.png", "B", "b", 0, "train"),
    ]  # fmt: skip
    split = pd.DataFrame(rows, columns=["path", "label", "group", "copy", "split"])
    write_table(split.assign(reason=""), tmp_path / "split.csv")
    manifest = split[["path", "label"]].assign(sha256=["aa", "ab", "bb"])
    write_table(manifest.reindex(columns=MANIFEST_COLUMNS, fill_value=0), tmp_path / "manifest.csv")
    values, known = np.ones((2, 1, 3), dtype=np.float32), ["aa", "bb"]
    given = probe.read_training_set(
        tmp_path / "manifest.csv", tmp_path / "split.csv", values, known, ("train", "val")
    )
    assert given.labels.tolist() == [1]


def test_a_probe_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="weights must be given for `method` probe, got none"):
        Recipe(method="probe")


class Digits:
    """Give scikit-learn's handwritten digits, 8 pixels a side, as larger images."""

    size = 96

    def __init__(self, count: int) -> None:
        data = load_digits()
        chosen = np.random.default_rng(0).permutation(count)  # they come in the order of writers
        self.labels = data.target[chosen].astype(np.int64)
        grey = (data.images[chosen] * (255 / 16)).astype(np.uint8)
        wide = [Image.fromarray(each).resize((self.size, self.size), 3) for each in grey]
        self.pixels = np.repeat(np.stack([np.asarray(each) for each in wide])[..., None], 3, 3)

    def rows(self, digests: Sequence[str]) -> Rows:
        return np.array([int(each) for each in digests])

    def take(self, rows: Rows) -> Pixels:
        return self.pixels[rows]


@pytest.mark.slow
def test_the_recipe_is_none_for_skin_alone(tmp_path: Path) -> None:
    """Digits: 450 to learn from, 150 to be told apart, seen as they are."""
    digits = Digits(600)
    changes = {"arch": "tf_efficientnet_lite2", "weights": "bundled", "views": "identity"}
    recipe = RECIPE.model_copy(update=changes | {"image_size": Digits.size, "epochs": 30})
    network, _ = probe.load_frozen(recipe, None)
    names = [str(number) for number in range(600)]
    probe.embed(network, recipe, digits, names, CPU, tmp_path / "features.npy")
    found = torch.from_numpy(np.load(tmp_path / "features.npy"))
    given = TrainingSet(found[:450], digits.labels[:450], tuple("0123456789"))
    result = probe.fit_probe(network, given, recipe, CPU)
    trained = Probe(find_architecture(recipe.arch), recipe.probe_shape, 10)
    trained.load_state_dict(result.weights)
    with torch.inference_mode():
        answers = trained.eval().answer(found[450:, 0]).exp().mean(dim=0).argmax(dim=1)
    assert float((answers.numpy() == digits.labels[450:]).mean()) > 0.9
