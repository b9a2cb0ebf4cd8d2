"""A model is exported from a run, from the registry and from elsewhere, checked each time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import resnext
from flows import export as program
from flows import predict
from flows.cli import run as command
from flows.cli import terminal
from flows.cli.flags import ExportFlags, PredictFlags
from resnext.contracts.tables import read_table
from tasks.stage.runs import runs
from tests.conftest import make_tree
from tests.flows.test_retrain import Place

from prefect.client.schemas.objects import State


def exported(**settings: Any) -> "State[Any]":
    state: State[Any] = program.export_model(ExportFlags(**settings), return_state=True)
    return state


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A store with a registered model."""
    made = Place(tmp_path_factory.mktemp("exporting"))
    assert made.retrain() == "version 1 is champion: the first model"
    return made


def test_a_registered_model_has_its_export_and_its_card(place: Place) -> None:
    version = place.store / "registry" / "0001"
    model, file = (
        resnext.load_model(version / name, "cpu") for name in ("model.safetensors", "model.onnx")
    )
    image = next(place.data.glob("*/*.png"))
    assert file.predict(image).probabilities == pytest.approx(
        model.predict(image).probabilities, abs=1e-5
    )
    assert "`model.onnx`" in (version / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_folder_for_a_model_hub_holds_all_that_a_stranger_needs(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = {"hub": tmp_path / "hub", "output": tmp_path / "out" / "it.onnx"}
    state = exported(store=place.store, **places, int8=True)
    assert state.is_completed(), state.message
    assert "images answered as torch does, within " in str(state.message)
    assert "export    cached" in caplog.text or "cached" in caplog.text, "it was registered so"
    assert "8 bits: accuracy" in caplog.text
    folder = tmp_path / "hub"
    assert {each.name for each in folder.iterdir()} == {
        "README.md", "model.safetensors", "calibration.json", "model.onnx", "model.int8.onnx",
        "config.json", "example.py",
    }  # fmt: skip
    assert json.loads((folder / "config.json").read_text())["classes"] == ["Blue", "Red"]
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("---\n")
    assert (folder / "model.onnx").read_bytes() == (tmp_path / "out" / "it.onnx").read_bytes()
    again = exported(store=place.store, hub=folder)
    assert again.is_failed()
    assert "--hub must be a new or an empty folder" in str(again.message)


def test_a_model_from_elsewhere_is_checked_with_images_that_are_named(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(terminal, "show_only_our_lines", lambda: None)
    own = (place.store / "registry" / "0001" / "model.safetensors").read_bytes()
    (tmp_path / "mine.safetensors").write_bytes(own)
    given = {"store": tmp_path / "store", "model": tmp_path / "mine.safetensors"}
    state = exported(**given)
    assert state.is_failed()
    assert "--data must be given where the store has no images" in str(state.message)
    refused = exported(**given, int8=True)
    assert "--int8 must go with a model's own images" in str(refused.message)
    state = exported(**given, data=make_tree(tmp_path / "images"))
    assert state.is_completed(), state.message
    words = ["--model", str(tmp_path / "none.safetensors"), "--store", str(tmp_path / "store")]
    assert command.run_command(program.main, name="export.py", arguments=words) == 2
    assert "--model must be a model.safetensors" in capsys.readouterr().err


def test_a_folder_is_predicted_by_an_exported_model_as_by_the_model(place: Place) -> None:
    tables = []
    version, plain = place.store / "registry" / "0001", PredictFlags(store=place.store)
    asked: list[dict[str, Any]] = [
        {"model": version / "model.safetensors", "runtime": "torch"},
        {"model": version / "model.onnx"},
        {"model": version / "model.safetensors"},  # beside which its export lies
    ]
    for each in asked:
        settings = plain.model_copy(update=each)
        state: State[Any] = predict.batch_predict([place.data], settings, return_state=True)
        assert state.is_completed(), state.message
        tables.append(read_table(runs(place.store)[-1] / "batch_predictions.csv"))
    by_torch, exported, beside = tables
    assert len(by_torch) == len(list(place.data.glob("*/*.png")))
    pd.testing.assert_frame_equal(by_torch, exported, atol=1e-5)
    pd.testing.assert_frame_equal(exported, beside, check_exact=True)
    rule = json.loads((version / "calibration.json").read_text())
    same = np.allclose(by_torch["calibrated_Blue"], by_torch["p_Blue"])
    assert same == (rule["temperature"] == 1)
    for wrong, said in (
        ({"device": "cuda"}, "--device must be auto or cpu for an exported model, got cuda"),
        ({"runtime": "torch"}, "--runtime must be onnx or openvino for an exported model"),
        (
            {"runtime": "onnx", "memory_format": "contiguous"},
            "--memory-format must go with --runtime torch, got onnx",
        ),
    ):
        refused = plain.model_copy(update={"model": version / "model.onnx", **wrong})
        failed: State[Any] = predict.batch_predict([place.data], refused, return_state=True)
        assert said in str(failed.message)
