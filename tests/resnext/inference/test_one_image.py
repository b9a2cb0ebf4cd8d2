"""One image by its bytes: the answer of the same file, refusals in words, and how it is shown."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.data.manifest.settings import ReadingSettings
from resnext.device import plan_compute
from resnext.inference.model import load_model
from resnext.inference.one_image import SIDE, OneImage, has_heat_maps
from resnext.models.model_file import read_card
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_export import model_of

COMPUTE = plan_compute("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and images of several kinds."""
    root = tmp_path_factory.mktemp("one image")
    model_of(root, "resnext38_32x4d", side=128)
    save(root / "plain.png", picture(600, 400, seed=1))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned
    exif[0x010E] = "the patient's name"
    save(root / "turned.jpg", picture(60, 30, seed=3), exif=exif)
    save(root / "clear.png", picture(40, 40, "RGBA", seed=4))
    deep = np.random.default_rng(5).integers(0, 4096, (40, 40), dtype=np.uint16)
    save(root / "deep.png", Image.fromarray(deep))
    return root


def opened(folder: Path, reading: ReadingSettings = ReadingSettings()) -> OneImage:
    file = folder / "model.safetensors"
    return OneImage(load_model(file, "cpu"), reading, file, COMPUTE)


def image_of(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("name", ["plain.png", "turned.jpg", "clear.png", "deep.png"])
def test_the_answer_is_that_of_the_file(folder: Path, name: str) -> None:
    images = opened(folder)
    shown = images.answer((folder / name).read_bytes(), explain=False)
    expected = images.model.predict(folder / name)
    assert shown.answer.name == expected.name
    assert shown.answer.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert shown.thumbnail == shown.heat_map == ""
    assert ("16 bits" in shown.note or "16-bit" in shown.note) == (name == "deep.png"), shown.note


def test_it_is_shown_upright_and_small_with_pixels_alone(folder: Path) -> None:
    shown = opened(folder).answer((folder / "turned.jpg").read_bytes(), explain=True)
    for uri in (shown.thumbnail, shown.heat_map):
        image = image_of(uri)
        assert image.size == (30, 60)
        assert dict(image.getexif()) == {}
    assert shown.thumbnail != shown.heat_map
    large = opened(folder).answer((folder / "plain.png").read_bytes(), explain=True)
    assert max(image_of(large.thumbnail).size) == SIDE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"no picture at all", "not an image, but text"),
        (b"%PDF-1.7 and more", "not an image, but a PDF document"),
        (b"\x89PNG\r\n\x1a\n and no more", "PNG image that can't be opened"),
    ],
)
def test_what_is_no_image_is_refused_in_words(folder: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError) as refused:
        opened(folder).answer(data, explain=True)
    assert str(refused.value.got).startswith(reason)


def test_what_is_admitted_follows_the_settings(folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "whole.jpg", picture(400, 300, seed=6), quality=90)
    cut = (tmp_path / "whole.jpg").read_bytes()
    cut = cut[: len(cut) * 3 // 4]
    with pytest.raises(InputError, match="--truncated keep"):
        opened(folder).answer(cut, explain=False)
    kept = opened(folder, ReadingSettings(truncated="keep")).answer(cut, explain=False)
    assert "truncated" in kept.note
    save(tmp_path / "wide.png", Image.new("1", (1001, 1000)))
    few = opened(folder, ReadingSettings(max_pixels=1_000_000))
    with pytest.raises(InputError, match="--max-pixels 1001000"):
        few.answer((tmp_path / "wide.png").read_bytes(), explain=False)


def test_a_model_without_weights_or_of_several_networks_has_no_heat_map(
    folder: Path, tmp_path: Path
) -> None:
    model = load_model(folder / "model.safetensors", "cpu")
    without = OneImage(model, ReadingSettings(), None, COMPUTE)
    shown = without.answer((folder / "plain.png").read_bytes(), explain=True)
    assert shown.thumbnail
    assert shown.heat_map == ""
    assert has_heat_maps(model.card)
    several = read_card(model_of(tmp_path, "resnext38_32x4d", side=128, members=2))
    assert not has_heat_maps(several)


@pytest.mark.parametrize(("side", "shown"), [(96, False), (97, True)])
def test_images_on_which_a_map_would_tell_three_places_a_side_apart_have_none(
    tmp_path: Path, side: int, shown: bool
) -> None:
    """97 pixels are three places of 32, and a fourth of the last one."""
    assert has_heat_maps(read_card(model_of(tmp_path, "resnext38_32x4d", side=side))) is shown
