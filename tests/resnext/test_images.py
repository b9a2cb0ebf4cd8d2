import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resnext.errors import InputError
from resnext.images import MEAN, STD, Picture, PictureSet, draw_seed, read_picture


def save(path: Path, image: Image.Image, **options: Any) -> Picture:
    image.save(path, **options)
    return Picture(path, hashlib.sha256(path.read_bytes()).hexdigest(), 1)


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return save(tmp_path / "a.png", Image.fromarray(pixels))


def test_evaluation_resizes_to_a_square_and_normalises(tmp_path: Path) -> None:
    white = save(tmp_path / "white.png", Image.new("RGB", (60, 40), "white"))
    tensor, label = PictureSet([white], 32)[0]
    assert tensor.shape == (3, 32, 32)
    assert tensor.dtype == torch.float32
    assert label == 1
    expected = [(1 - mean) / std for mean, std in zip(MEAN, STD, strict=True)]
    assert tensor[:, 0, 0].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_draws_follow_from_seed_epoch_and_picture_alone(picture: Picture) -> None:
    one = PictureSet([picture], 32, augment="full", seed=1)
    again = one[3, 0][0]
    torch.manual_seed(12345)
    assert torch.equal(PictureSet([picture, picture], 32, augment="full", seed=1)[3, 1][0], again)
    assert not torch.equal(one[4, 0][0], again)
    assert not torch.equal(PictureSet([picture], 32, augment="full", seed=2)[3, 0][0], again)


def test_reading_a_picture_leaves_the_global_random_state_alone(picture: Picture) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    PictureSet([picture], 32, augment="full")[0, 0]
    assert torch.equal(torch.rand(1), expected)


def test_without_augmentation_every_epoch_is_alike(picture: Picture) -> None:
    plain = PictureSet([picture], 32)
    assert torch.equal(plain[0, 0][0], plain[9, 0][0])


def test_a_picture_that_changed_since_the_scan_is_refused(picture: Picture) -> None:
    Image.new("RGB", (8, 8)).save(picture.path)
    with pytest.raises(InputError, match="must be as it was scanned"):
        read_picture(picture)


def test_exif_orientation_turns_the_picture_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), "blue")
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_picture(save(tmp_path / "a.jpg", image, exif=exif)).size == (20, 40)


def test_seeds_of_unlike_draws_are_unlike() -> None:
    seeds = {draw_seed(s, e, p) for s in range(5) for e in range(5) for p in ("a", "b")}
    assert len(seeds) == 50
