"""The library in a few lines: it answers what the tables of a batch say."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import resnext
from reports.model_card import render_card
from resnext.contracts.errors import InputError
from resnext.data.decoding.levels import Levels
from resnext.inference.model import Model
from resnext.inference.reference import Reference, write_reference
from resnext.models.architectures import MEAN, STD, build
from resnext.models.model_file import ModelCard, save_model
from tests.reports.test_html import content
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_batch import predicted

CLASSES = ("no", "yes")
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a calibration beside it, and images of several kinds."""
    root = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    weights = build("resnext38_32x4d", 2).state_dict()
    weights["fc.weight"] *= 20  # so that answers differ
    card = ModelCard(
        classes=CLASSES, architecture="resnext38_32x4d", image_size=32, mean=MEAN, std=STD,
        levels=Levels(uint16=(0, 4095)),
    )  # fmt: skip
    save_model(root / "model.safetensors", weights, card)
    (root / "calibration.json").write_text('{"temperature": 2.5, "positive": null}')
    images = root / "images"
    save(images / "a.png", picture(60, 40, seed=1))
    save(images / "b.jpg", picture(900, 700, seed=2), quality=90)  # decoded at a smaller size
    exif = Image.Exif()
    exif[0x0112] = 6
    save(images / "c.jpg", picture(50, 30, seed=3), exif=exif)
    save(images / "d.png", picture(40, 40, "RGBA", seed=4))
    deep = np.random.default_rng(5).integers(0, 4096, (40, 40), dtype=np.uint16)
    save(images / "e.png", Image.fromarray(deep))
    return root


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return resnext.load_model(folder / "model.safetensors", device="cpu")


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    """What a batch's table says of the images."""
    return predicted(folder / "images", folder / "model.safetensors", temperature=2.5)


def test_an_answer_is_the_one_of_the_batchs_table(folder: Path, table: pd.DataFrame) -> None:
    model = resnext.load_model(str(folder / "model.safetensors"), device="cpu")
    answers = model.predict([folder / "images" / name for name in table["path"]])
    assert len({answer.name for answer in answers}) == 2, "else this says little"
    assert [answer.name for answer in answers] == table["predicted"].tolist()
    for name in CLASSES:
        shares = [answer.probabilities[name] for answer in answers]
        assert shares == pytest.approx(table[f"calibrated_{name}"].tolist(), abs=1e-6)
    assert model.predict([]) == []


@pytest.mark.parametrize("name", ["a.png", "c.jpg", "d.png", "e.png"])
def test_a_path_and_an_opened_image_get_one_answer(folder: Path, model: Model, name: str) -> None:
    file = folder / "images" / name
    by_path = model.predict(str(file))
    with Image.open(file) as opened:
        by_image = model.predict(opened)
    assert by_image.name == by_path.name
    assert by_image.probabilities == pytest.approx(by_path.probabilities, abs=1e-6)


def test_the_threshold_beside_a_model_decides_and_without_a_file_nothing_is_calibrated(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    image = folder / "images" / "a.png"
    plain = resnext.load_model(tmp_path / "model.safetensors", device="cpu").predict(image)
    answered = []
    for threshold in (0.0, 1.0):
        known = {"temperature": 2.5, "positive": "yes", "threshold": threshold}
        (tmp_path / "calibration.json").write_text(json.dumps(known))
        model = resnext.load_model(tmp_path / "model.safetensors", device="cpu")
        answered.append(model.predict(image).name)
    assert answered == ["yes", "no"]
    softened = {name: share ** (1 / 2.5) for name, share in plain.probabilities.items()}
    expected = softened["yes"] / sum(softened.values())
    assert model.predict(image).probabilities["yes"] == pytest.approx(expected, abs=1e-6)


def test_with_its_reference_beside_it_a_model_tells_what_is_unlike_its_training_images(
    folder: Path, tmp_path: Path
) -> None:
    """Held-out images at no distance at all: any other image is farther than all of them."""
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    known = Reference(np.eye(1, 2048, dtype=np.float32), np.zeros(20, dtype=np.float32))
    found = []
    for made_of in (digest, "another model's"):
        write_reference(known, made_of, tmp_path / "reference.safetensors")
        model = resnext.load_model(tmp_path / "model.safetensors", device="cpu")
        answer = model.predict(folder / "images" / "a.png")
        found.append((answer.unlike_training, answer.oddness))
    assert found == [(1.0, "unlike the training images"), (None, "")]


@pytest.mark.parametrize("held", [None, b"", b"hello"])
def test_what_holds_no_image_is_named(model: Model, tmp_path: Path, held: bytes | None) -> None:
    if held is not None:
        (tmp_path / "x.png").write_bytes(held)
    with pytest.raises(InputError, match=r"^images must be files .* got '.*x\.png'"):
        model.predict(tmp_path / "x.png")


def test_the_lines_of_the_model_card_run_as_they_stand(
    folder: Path, tmp_path: Path, table: pd.DataFrame
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", render_card(content(), "x"), re.DOTALL)
    assert len(lines.splitlines()) == 5
    for name in ("model.safetensors", "calibration.json"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "picture.jpg").symlink_to(folder / "images" / "b.jpg")
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{table['predicted'][1]} {{'no': ")


def test_the_package_imports_nothing_before_it_is_used() -> None:
    code = (
        "import sys; known = set(sys.modules); import resnext; "
        "print(*{each.split('.')[0] for each in set(sys.modules) - known} - {'typing'})"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=REPOSITORY, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert not {*done.stdout.split()} & {"torch", "numpy", "pydantic", "PIL"}
    assert "resnext" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        resnext.nothing  # noqa: B018
