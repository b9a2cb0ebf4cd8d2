"""What is faster here is measured once, said, and kept."""

import logging
from pathlib import Path
from unittest.mock import Mock

import pytest

from resnext.device import plan_compute
from resnext.inference import rates
from resnext.inference.execution import Execution
from resnext.training import formats
from tasks.measure import chosen_execution, chosen_format, measure, measure_runtimes
from tasks.stage.artifact import Artifact, Runtime
from tests.resnext.inference.test_export import model_of


def test_formats_are_measured_once_and_the_choice_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    measured = Mock(return_value={"contiguous": 10.0, "channels_last": 12.0})
    monkeypatch.setattr(formats, "measure_formats", measured)
    asked = "EPYC", "resnet50", 64, True, plan_compute("cpu")
    runtime = Runtime(store=tmp_path)
    assert chosen_format(measure.fn(runtime, *asked)) == "channels_last"
    assert "contiguous 10.0, channels_last 12.0; channels_last is taken" in caplog.text
    assert chosen_format(measure.fn(runtime, *asked)) == "channels_last"
    assert measured.call_count == 1
    measure.fn(runtime, "Xeon", *asked[1:])
    assert measured.call_count == 2, "another processor"


def test_runtimes_of_an_exported_model_and_formats_of_torch_are_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_torch = Execution(runtime="torch", compute=plan_compute("cpu")).apart
    assert list(by_torch.alternatives()) == ["torch, contiguous", "torch, channels last"]
    assert by_torch.flags == "--runtime torch --memory-format contiguous"
    exported = Execution(runtime="onnx", compute=plan_compute("cpu")).apart
    monkeypatch.setattr("resnext.inference.execution.find_spec", lambda _: object())
    assert list(exported.alternatives()) == ["onnx", "openvino"]
    monkeypatch.setattr("resnext.inference.execution.find_spec", lambda _: None)
    assert list(exported.alternatives()) == ["onnx"]
    assert exported.flags == "--runtime onnx"

    model = Artifact.of_file(model_of(tmp_path, "resnext38_32x4d"))
    slower = {"torch, contiguous": 1.0, "torch, channels last": 2.0}
    monkeypatch.setattr(rates, "measure_predictors", lambda *_: slower)
    runtime = Runtime(store=tmp_path / "store")
    chosen = chosen_execution(measure_runtimes.fn(runtime, "EPYC", model, by_torch))
    assert chosen == by_torch.alternatives()["torch, channels last"]


def test_predictors_of_a_model_are_measured(tmp_path: Path) -> None:
    model = model_of(tmp_path, "resnext38_32x4d")
    by_torch = Execution(runtime="torch", compute=plan_compute("cpu")).apart
    found = rates.measure_predictors(model, by_torch.alternatives())
    assert list(found) == ["torch, contiguous", "torch, channels last"]
    assert all(rate > 0 for rate in found.values())
