"""Thumbnails and heat maps over them: their pixels, and that nothing but pixels is in them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from resnext.data.thumbnails import COLOURS, as_uri, colours_of, lay_over, shrink
from tests.resnext.data.samples import picture

GREY = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709


def opened(uri: str) -> Image.Image:
    begin = "data:image/jpeg;base64,"
    assert uri.startswith(begin)
    image = Image.open(io.BytesIO(base64.b64decode(uri[len(begin) :])))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 320), (240, 120)), ((30, 400), (18, 240)), ((50, 40), (50, 40)), ((3000, 4), (240, 1))],
)
def test_the_longer_side_is_brought_down_and_the_shape_kept(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    assert opened(as_uri(shrink(picture(*size), 240))).size == small


def test_neither_exif_nor_comment_nor_profile_is_written() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe"
    data = io.BytesIO()
    picture(400, 300).save(
        data, "JPEG", exif=exif, comment=b"Jane Doe", icc_profile=b"Jane Doe", xmp=b"Jane Doe"
    )
    assert data.getvalue().count(b"Jane Doe") == 4
    uri = as_uri(shrink(Image.open(data), 240))
    assert b"Jane" not in base64.b64decode(uri.split(",")[1])
    assert set(opened(uri).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_map_lies_over_the_whole_of_a_picture_that_is_not_square() -> None:
    heat = np.array([[0, 1], [0, 1]], dtype=np.float32)
    over = lay_over(Image.new("RGB", (80, 20), (128, 128, 128)), heat)
    assert over.size == (80, 20)
    left, right = over.getpixel((0, 10)), over.getpixel((79, 10))
    assert left == tuple(int(0.45 * 128 + 0.55 * channel + 0.5) for channel in COLOURS[0])
    assert right == tuple(int(0.45 * 128 + 0.55 * channel + 0.5) for channel in COLOURS[-1])


def test_colours_between_two_places_of_the_table_are_mixed() -> None:
    assert colours_of(np.array([0, 1 / 16, 0.5, 1], dtype=np.float32)).tolist() == [
        [0, 34, 78],
        [13, 45, 94.5],
        [125, 124, 120],
        [254, 232, 56],
    ]
    lightness = colours_of(np.linspace(0, 1, 101, dtype=np.float32)) @ GREY
    assert (np.diff(lightness) > 0).all(), "they grow lighter with the value"


@pytest.mark.parametrize("skin", [(59, 34, 25), (141, 85, 54), (245, 219, 203)])
def test_hot_and_cold_are_told_apart_by_lightness_alone_on_any_skin(
    skin: tuple[int, int, int],
) -> None:
    heat = np.array([[0, 0.5, 1]], dtype=np.float32)
    image = Image.new("RGB", (3, 1), skin)
    cold, warm, hot = (np.asarray(lay_over(image, heat))[0] @ GREY).tolist()
    assert warm - cold > 45
    assert hot - warm > 45
