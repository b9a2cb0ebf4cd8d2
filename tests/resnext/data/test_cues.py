"""Cues of an image: hand-computed on drawn pixels, and qualities that Pillow wrote."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnext.data.cues import border_colour, jpeg_quality, measure_cues, see, sharpness
from resnext.data.pixels import PackedPixels


def test_the_border_is_a_tenth_of_each_side_and_the_inside_counts_nothing() -> None:
    image = np.zeros((1, 20, 20, 3), dtype=np.uint8)
    image[:, 2:18, 2:18] = 255
    image[:, :2] = (144, 72, 36)  # 40 of the 144 pixels of the border
    assert border_colour(image)[0] == pytest.approx([40, 20, 10])


def test_brightness_is_the_mean_of_all_channels() -> None:
    image = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    image[1, :4] = (255, 255, 0)
    assert see(image)[:, 0] == pytest.approx([0, 1 / 3])


def test_what_is_blurred_is_less_sharp_and_what_is_flat_not_at_all() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    image = Image.fromarray(noise)
    soft = image.resize((16, 16)).resize((64, 64))
    flat = np.full((64, 64), 77, dtype=np.uint8)
    found = sharpness(np.stack([noise, np.asarray(soft), flat]))
    assert found[0] > found[1] + 1
    assert found[2] == 0
    spot = np.zeros((1, 5, 5), dtype=np.uint8)
    spot[0, 2, 2] = 1
    assert sharpness(spot)[0] == pytest.approx(np.log1p(np.var([4, -1, -1, -1, -1, 0, 0, 0, 0])))


@pytest.mark.parametrize("quality", [25, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg_is_read_from_its_head(quality: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((64, 64), 90).convert("RGB").save(path, quality=quality)
    path.write_bytes(path.read_bytes()[:-200])  # its pixels are not looked at
    assert jpeg_quality(path) == quality


def test_what_is_no_jpeg_or_is_gone_has_no_quality(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert np.isnan(jpeg_quality(tmp_path / "a.png"))
    assert np.isnan(jpeg_quality(tmp_path / "gone.jpg"))


def test_size_and_shape_are_those_of_the_upright_image(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.zeros((1, 8, 8, 3), dtype=np.uint8))
    rows = pd.DataFrame(
        {"path": ["a", "b"], "sha256": "s", "orientation": [1, 6], "width": 400, "height": 200}
    ).assign(bytes=9, format="PNG")
    found = measure_cues(tmp_path, rows, PackedPixels(tmp_path / "pixels.npy", ["s"]))
    assert found["aspect"].tolist() == [2, 0.5]
    assert found["megapixels"].tolist() == pytest.approx([0.08, 0.08])
    assert found["jpeg_quality"].isna().all()
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG", quality=75)
    (tmp_path / "a").write_bytes(buffer.getvalue())
    pixels = PackedPixels(tmp_path / "pixels.npy", ["s"])
    again = measure_cues(tmp_path, rows.assign(format="JPEG"), pixels)
    assert again["jpeg_quality"].tolist()[0] == 75
