"""An exported file answers as torch does, says of itself what it needs, and is refused if not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

import resnext
from resnext.contracts.errors import ExportError, InputError
from resnext.device import plan_compute
from resnext.inference.export import Agreement, check_export, export_model
from resnext.inference.exported import example_for
from resnext.models.architectures import build, find_architecture
from resnext.models.ensemble import Ensemble
from resnext.models.model_file import ModelCard, save_model
from resnext.models.probe import Probe
from resnext.models.views import ProbeShape
from tests.resnext.data.samples import picture, save
from tests.resnext.models.test_networks import Noise

CLASSES = ("a", "b", "ç")
RULE = {"temperature": 2.5, "positive": "b", "threshold": 0.3}
ROWS = np.arange(8)


def model_of(folder: Path, name: str, seed: int = 0, side: int = 32, **facts: Any) -> Path:
    """Write a model whose answers differ from image to image."""
    torch.manual_seed(seed)
    record, file = find_architecture(name), folder / "model.safetensors"
    if "probe" in facts:
        network: torch.nn.Module = Probe(record, facts["probe"], len(CLASSES))
    elif "members" in facts:
        network = Ensemble([build(name, len(CLASSES)) for _ in range(facts["members"])])
    else:
        network = build(name, len(CLASSES))
        torch.nn.init.normal_(network.get_parameter(f"{record.head}.weight"))
    card = ModelCard(
        classes=CLASSES,
        architecture=name,
        image_size=side,
        mean=record.mean,
        std=record.std,
        **facts,
    )
    save_model(file, network.state_dict(), card)
    return file


def checked(model: Path, file: Path) -> Agreement:
    compute = plan_compute("cpu")
    return check_export(model, file, Noise(), ROWS, compute)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its calibration and the file that was exported of both."""
    root = tmp_path_factory.mktemp("exported")
    export_model(model_of(root, "resnext38_32x4d"), RULE, root / "model.onnx", {"card": "# It"})
    (root / "calibration.json").write_text(json.dumps(RULE))
    save(root / "a.png", picture(60, 40, seed=1))
    return root


def test_its_answers_are_those_of_the_model_with_calibration_and_threshold(folder: Path) -> None:
    agreement = checked(folder / "model.safetensors", folder / "model.onnx")
    assert agreement.images == 8
    assert agreement.difference < 1e-5
    torch_model, file = (
        resnext.load_model(folder / name, "cpu") for name in ("model.safetensors", "model.onnx")
    )
    answers = [
        (one.predict(image), other.predict(image))
        for one, other in [(torch_model, file)]
        for image in [Image.fromarray(pixels) for pixels in Noise().take(ROWS)]
    ]
    assert {one.name for one, _ in answers} >= {"b"}, "else the threshold says little"
    for one, other in answers:
        assert one.name == other.name
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_the_file_alone_gives_calibrated_probabilities_and_the_answer_for_any_batch(
    folder: Path,
) -> None:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    pixels = Noise().take(ROWS)
    shares, answers = session.run(["probabilities", "answers"], {"images": pixels})
    assert shares.shape == (8, 3)
    assert shares.sum(axis=1) == pytest.approx(np.ones(8), abs=1e-6)
    others = np.where(shares[:, 0] >= shares[:, 2], 0, 2)
    assert answers.tolist() == np.where(shares[:, 1] >= 0.3, 1, others).tolist()
    (alone,) = session.run(["probabilities"], {"images": pixels[3:4]})
    assert alone[0] == pytest.approx(shares[3], abs=1e-5)


def test_it_says_of_itself_what_is_needed_to_use_it(folder: Path) -> None:
    metadata = {each.key: each.value for each in onnx.load(folder / "model.onnx").metadata_props}
    assert json.loads(metadata["classes"]) == list(CLASSES)
    assert json.loads(metadata["calibration"]) == RULE
    assert metadata["card"] == "# It"
    assert metadata["input"].startswith("uint8 (B, 32, 32, 3)")
    assert "image.resize((32, 32), Image.Resampling.BILINEAR)" in metadata["input"]
    assert ModelCard.model_validate_json(metadata["resnext"]).architecture == "resnext38_32x4d"


@pytest.mark.parametrize("fit", ["stretch", "centre"])
def test_the_example_needs_no_line_of_this_project(folder: Path, tmp_path: Path, fit: Any) -> None:
    """Its pixels are those that the library makes of the same file."""
    card = ModelCard(
        classes=CLASSES, architecture="resnext38_32x4d", image_size=32,
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), fit=fit,
    )  # fmt: skip
    (tmp_path / "example.py").write_text(example_for(card), encoding="utf-8")
    (tmp_path / "model.onnx").symlink_to(folder / "model.onnx")
    words = [sys.executable, "-I", "example.py", str(folder / "a.png")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    model = resnext.load_model(folder / "model.onnx")
    model.card = card
    answer = model.predict(folder / "a.png")
    name, _, shares = done.stdout.partition(" ")
    assert name == answer.name
    assert json.loads(shares.replace("'", '"')) == pytest.approx(answer.probabilities, abs=1e-6)


def test_a_file_that_answers_otherwise_is_refused(folder: Path, tmp_path: Path) -> None:
    other = model_of(tmp_path, "resnext38_32x4d", seed=1)
    with pytest.raises(ExportError, match=r"got another class for \d of 8 images .* not kept"):
        checked(other, folder / "model.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07"])
def test_a_file_that_was_not_exported_is_wrong_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"model must be an \.onnx file that flows/export\.py"):
        resnext.load_model(tmp_path / "x.onnx")


def test_an_exported_model_is_computed_on_the_cpu(folder: Path) -> None:
    with pytest.raises(InputError, match="device must be cpu for an exported model, got cuda"):
        resnext.load_model(folder / "model.onnx", device="cuda")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("tf_efficientnet_lite2", {"probe": ProbeShape(views="d4", heads=2, hidden=4)}),
        ("efficientnet_b0", {"members": 2}),
        ("resnetv2_50", {}),
        ("densenet121", {}),
        ("convnext_tiny", {}),
    ],
)
def test_a_network_of_each_family_is_exported(
    name: str, facts: dict[str, Any], tmp_path: Path
) -> None:
    model = model_of(tmp_path, name, **facts)
    export_model(model, {}, tmp_path / "model.onnx", {})
    assert checked(model, tmp_path / "model.onnx").difference < 1e-4
    copies = 2 if "members" in facts else 1
    assert (tmp_path / "model.onnx").stat().st_size < 1.6 * model.stat().st_size * copies


def test_onnx_runtime_reports_nothing_to_its_maker(tmp_path: Path) -> None:
    here = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = "from resnext.inference.runtimes.onnx_runtime import ExportedModel"
    subprocess.run([sys.executable, "-c", code], env=here | {"HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.rglob("onnxruntime.db")), "what it means to send"
