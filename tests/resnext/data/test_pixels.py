"""Pictures as the network sees them: resized, packed, and the same whoever reads them."""

import hashlib
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.data import pixels as images
from resnext.data import processes
from resnext.data.pixels import (
    PackedPixels,
    ScannedImage,
    pack,
    to_pixels,
    to_square,
)


def drawn(
    path: Path, size: tuple[int, int] = (40, 30), seed: int = 0, **options: Any
) -> ScannedImage:
    noise = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).resize(size).save(path, **options)
    return ScannedImage(path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def pictures(tmp_path: Path) -> list[ScannedImage]:
    found = [drawn(tmp_path / "in" / f"{seed}.png", seed=seed) for seed in range(5)]
    return sorted(found, key=lambda picture: picture.sha256)


def test_an_image_becomes_an_upright_square_and_nothing_is_cut_off(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png", exif=exif)
    image = Image.open(plain.path)
    for file, upright in ((plain, image), (turned, image.transpose(Image.Transpose.ROTATE_270))):
        expected = upright.resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(to_pixels(file, 32), np.asarray(expected))


def test_a_big_jpeg_is_decoded_small_and_looks_the_same(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.jpg", (1600, 1200), quality=95)
    exactly = Image.open(picture.path).resize((64, 64), Image.Resampling.BILINEAR)
    difference = to_pixels(picture, 64).astype(int) - np.asarray(exactly).astype(int)
    assert np.abs(difference).mean() < 2


def test_a_picture_that_changed_since_the_scan_is_refused(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.png")
    drawn(picture.path, seed=1)
    with pytest.raises(InputError, match="must be as it was scanned, got other bytes"):
        to_pixels(picture, 32)
    picture.path.unlink()
    with pytest.raises(InputError, match=r"^Image '.*a.png' must be .* got nothing") as caught:
        to_pixels(picture, 32)
    assert "\n" not in str(caught.value)


def test_packed_pixels_are_those_of_the_files(pictures: list[ScannedImage], tmp_path: Path) -> None:
    pack(pictures, 32, tmp_path / "pixels.npy")
    packed = PackedPixels(tmp_path / "pixels.npy", [picture.sha256 for picture in pictures])
    rows = packed.rows([pictures[3].sha256, pictures[0].sha256])
    assert rows.tolist() == [3, 0]
    alone = np.stack([to_pixels(pictures[row], 32) for row in rows])
    assert np.array_equal(packed.take(rows), alone)
    assert packed.size == 32
    with pytest.raises(KeyError):
        packed.rows(["0" * 64])  # that was not packed


def test_processes_pack_the_same_bytes(
    pictures: list[ScannedImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(pictures, 32, tmp_path / "one.npy")
    monkeypatch.setattr(images, "WORTH_A_POOL", 1)
    monkeypatch.setattr(processes, "CHUNK", 2)
    told: list[tuple[int, int]] = []
    pack(pictures, 32, tmp_path / "two.npy", workers=2, progress=lambda *done: told.append(done))
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_a_picture_that_changed_stops_the_packing_in_a_process_too(
    pictures: list[ScannedImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "WORTH_A_POOL", 1)
    monkeypatch.setattr(processes, "CHUNK", 2)
    pictures[2].path.unlink()
    with pytest.raises(InputError, match="must be as it was scanned, got nothing"):
        pack(pictures, 32, tmp_path / "pixels.npy", workers=2)


def test_a_disk_without_room_is_said_before_anything_is_written(
    pictures: list[ScannedImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(InputError, match=r"store must have room for 0\.0 GiB of pixels"):
        pack(pictures, 32, tmp_path / "pixels.npy")
    assert not (tmp_path / "pixels.npy").exists()


def test_the_centre_square_is_cut_out_and_keeps_its_shapes() -> None:
    """Of 5 x 3 pixels the columns 1 to 3 are left; enlarged by nothing they are as they were."""
    wide = np.arange(15, dtype=np.uint8).reshape(3, 5)
    image = Image.fromarray(np.repeat(wide[..., None], 3, axis=2))
    assert to_square(image, 3, "centre")[..., 0].tolist() == wide[:, 1:4].tolist()
    assert to_square(image.rotate(90, expand=True), 3, "centre").shape == (3, 3, 3)
    assert to_square(image, 3)[..., 0].tolist() != wide[:, 1:4].tolist()
