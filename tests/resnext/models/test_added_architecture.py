"""An architecture is one record: with it alone a network trains, explains, saves and predicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import resnext
from resnext.contracts.tables import write_table
from resnext.data.manifest.scan import scan
from resnext.data.pixels import PackedPixels, pack, scanned_images
from resnext.data.split.settings import SplitSettings
from resnext.device import plan_compute
from resnext.inference.explain import explain
from resnext.inference.predict import predict_split
from resnext.models.architectures import ARCHITECTURES, Architecture, find_architecture
from resnext.models.model_file import load_network, read_card
from resnext.training import train as training
from resnext.training.callback import Callback
from resnext.training.engine import Training
from resnext.training.recipe import Recipe
from tests.resnext.data.samples import split

GREY = (0.5, 0.5, 0.5)


class Tiny(nn.Module):
    """A network whose last layer and last maps lie deeper than those of ResNeXt."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Architecture:
    record = Architecture("tiny", Tiny, head="head.2", heat_layer="body.2", mean=GREY, std=GREY)
    monkeypatch.setitem(ARCHITECTURES, "tiny", record)
    return record


class Weights(Callback):
    """Note the weights as they are after each epoch."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.seen = [self.now()]

    def now(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def on_epoch(self, row: object) -> None:  # noqa: ARG002
        self.seen.append(self.now())


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.usefixtures("tiny")
def test_a_record_is_enough_to_train_freeze_explain_save_load_and_predict(
    tree: Path, tmp_path: Path
) -> None:
    manifest = scan(tree).manifest
    write_table(manifest, tmp_path / "manifest.csv")
    write_table(split(manifest, SplitSettings()), tmp_path / "split.csv")
    pack(scanned_images(tree, manifest), 32, tmp_path / "pixels.npy")
    pixels = PackedPixels(tmp_path / "pixels.npy", manifest["sha256"].tolist())
    compute = plan_compute("cpu")
    recipe = Recipe(arch="tiny", image_size=32, epochs=6, batch_size=8, lr=0.05, freeze_epochs=1)

    subsets = training.read_subsets(tmp_path / "manifest.csv", tmp_path / "split.csv", pixels)
    model, said = training.start_model(recipe, subsets.classes, compute, None)
    weights = Weights(model)
    trained = Training(model, pixels, subsets, recipe, compute, callbacks=[weights]).fit()
    assert said == "weights start from random values"
    head = {"head.2.weight", "head.2.bias"}
    assert changed(weights.seen[0], weights.seen[1]) == head
    assert changed(weights.seen[1], weights.seen[2]) > head

    training.write_result(trained, subsets.classes, recipe, tmp_path)
    file = tmp_path / "model.safetensors"
    card = read_card(file)
    assert (card.architecture, card.mean, card.std) == ("tiny", GREY, GREY)
    loaded, _ = load_network(file)
    assert not changed(dict(loaded.state_dict()), trained.weights)

    table = predict_split(tmp_path / "manifest.csv", tmp_path / "split.csv", pixels, file, compute)
    assert table["p_Red"].tolist() == pytest.approx(by_hand(loaded, table, tree), abs=1e-5)
    answers = resnext.load_model(file, "cpu").predict([tree / path for path in table["path"]])
    shares = [answer.probabilities["Red"] for answer in answers]
    assert shares == pytest.approx(table["p_Red"].tolist(), abs=1e-6)

    write_table(table, tmp_path / "predictions.csv")
    tables = tmp_path / "manifest.csv", pixels, file, tmp_path / "predictions.csv"
    explained = explain(tree, *tables, compute)
    assert (explained["layer"], explained["cells"]) == ("body.2", 4)
    assert all(entry["heat"] for entry in explained["pictures"])


def by_hand(network: nn.Module, table: pd.DataFrame, root: Path) -> list[float]:
    """Give the probability of Red, normalised by the record's own mean and deviation."""
    from PIL import Image

    images = [Image.open(root / path).resize((32, 32), 2) for path in table["path"]]
    pixels = torch.from_numpy(np.stack([np.asarray(each) for each in images])).float() / 255
    with torch.no_grad():
        logits = network(((pixels - 0.5) / 0.5).permute(0, 3, 1, 2))
    probabilities: list[float] = logits.softmax(1)[:, 1].tolist()
    return probabilities


@pytest.mark.usefixtures("tiny")
def test_a_record_is_checked_suggested_and_described() -> None:
    with pytest.raises(ValueError, match=r"Did you mean tiny\?"):
        find_architecture("tinny")
    with pytest.raises(ValueError, match="must go with a network that has them"):
        Recipe(arch="tiny", weights="imagenet")
    with pytest.raises(ValueError, match="zero_init_residual must be left out for a network"):
        Recipe(arch="tiny", zero_init_residual=True)
    known = [name for name in ARCHITECTURES if name != "tiny"]
    assert f"architecture: {', '.join(known)}, or" in str(Recipe.model_fields["arch"].description)
