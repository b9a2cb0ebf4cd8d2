"""A model of 8 bits predicts alone, is smaller, and its accuracy is measured on held-out images."""

from pathlib import Path

import numpy as np
import pytest

import resnext
from resnext.contracts.json_files import read_json
from resnext.data.split.settings import SplitSettings
from resnext.inference.export import export_model
from tasks.pack import pack
from tasks.quantise import RANGES, describe, quantise
from tasks.scan import scan
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_export import model_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An 8-bit model of a set of three classes."""
    root = tmp_path_factory.mktemp("int8")
    for number in range(30):
        save(root / "data" / "abç"[number % 3] / f"{number}.png", picture(40, 40, seed=number))
    runtime = Runtime(store=root / "store", data=root / "data")
    scanned = scan.fn(runtime)
    parts = split.fn(runtime, scanned, SplitSettings(strategy="stratified"))
    export_model(model_of(root, "resnext38_32x4d"), {}, root / "model.onnx", {})
    exported = Artifact.of_file(root / "model.onnx")
    return quantise.fn(runtime, exported, scanned, parts, pack.fn(runtime, scanned, 32))


def test_what_8_bits_cost_is_measured_on_the_test_part(made: Artifact) -> None:
    found = read_json(made.path("int8.json"))
    assert found["part"] == "test"
    assert 3 <= found["images"] <= 10
    assert 15 <= found["ranges_from"] <= RANGES
    assert found["difference"] == pytest.approx(found["int8_accuracy"] - found["accuracy"])
    assert all(name in found for name in ("low", "high")), "none where every draw is alike"
    assert found["int8_bytes"] < 0.3 * found["bytes"]
    said = describe(found | {"int8_accuracy": 0.8, "accuracy": 0.81, "difference": -0.01,
                             "low": -0.03, "high": 0.01})  # fmt: skip
    assert said.startswith("8 bits: accuracy 80.0 % instead of 81.0 % on")
    assert "(difference -1.0 points, -3.0 to +1.0)" in said
    assert "points);" in describe(found | {"low": None, "high": None})


def test_it_predicts_alone_and_nearly_as_the_exact_model_does(
    made: Artifact, tmp_path: Path
) -> None:
    small = resnext.load_model(made.path("model.int8.onnx"))
    exact = resnext.load_model(made.folder.parents[2] / "model.onnx")
    images = [save(tmp_path / f"{seed}.png", picture(40, 40, seed=seed)) for seed in range(6)]
    one, other = (
        np.array([list(each.probabilities.values()) for each in model.predict(images)])
        for model in (small, exact)
    )
    assert np.abs(one - other).max() < 0.25
    assert not np.array_equal(one, other)
