import io

import numpy as np
import pytest
from PIL import Image

from resnext.pictures import decode, to_rgb


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert to_rgb(Image.new("RGB", (4, 4), (200, 10, 10)).convert(mode)).mode == "RGB"


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    pixels = np.array([[0, 32768, 65535]], dtype=np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    rgb = np.asarray(to_rgb(Image.open(buffer)))
    assert rgb[0, :, 0].tolist() == [0, 128, 255]


def test_transparency_is_laid_on_white() -> None:
    assert to_rgb(Image.new("RGBA", (1, 1), (255, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_is_upright_and_its_size_is_the_stored_one() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), "blue").save(buffer, "JPEG", exif=exif)
    picture = decode(buffer.getvalue())
    assert picture.upright.size == (20, 40)
    assert (picture.width, picture.height, picture.orientation) == (40, 20, 6)


def test_a_picture_cut_short_does_not_decode() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG")
    with pytest.raises(OSError, match="truncated"):
        decode(buffer.getvalue()[: len(buffer.getvalue()) // 2])
