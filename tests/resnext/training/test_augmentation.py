"""Random changes of training pictures: whose draws they follow from, and what each one does."""

import hashlib
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from resnext.models.architectures import MEAN, STD
from resnext.training import augmentation
from resnext.training.augmentation import (
    DRAWS,
    GREY,
    QUARTER,
    draws,
    image_keys,
    normalise,
    to_float,
)
from resnext.training.recipe import Augment, Recipe

KINDS: tuple[Augment, ...] = ("none", "flips", "full")
SHAPE = ("flip_x", "flip_y", "turn", "area", "aspect", "across", "down")
COLUMNS = (*SHAPE, "brightness", "contrast", "saturation", "hue")
NEUTRAL = dict.fromkeys(COLUMNS, 0.5) | {
    "area": 0.0,
    "aspect": math.log(1 / 0.85) / math.log(1.18 / 0.85),
}
YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]],
    dtype=torch.float64,
)


def keys(count: int, first: int = 0) -> Any:
    names = (str(first + number).encode() for number in range(count))
    return image_keys([hashlib.sha256(name).hexdigest() for name in names])


def pictures(count: int = 4, height: int = 9, width: int = 9, low: float = 0.0) -> Tensor:
    """Noise in low..1 - low, the same for the same size."""
    noise = np.random.default_rng(0).random((count, 3, height, width), dtype=np.float32)
    return torch.from_numpy(low + (1 - 2 * low) * noise)


def augment(images: Tensor, drawn: Tensor, kind: Augment) -> Tensor:
    return augmentation.augment(images, drawn, Recipe(augment=kind))


def changed(images: Tensor, **drawn: float) -> Tensor:
    """Give what "full" makes of pictures whose other draws change nothing."""
    row = torch.tensor(list((NEUTRAL | drawn).values()))
    return augment(images, row.expand(len(images), DRAWS), "full")


def random_draws(count: int, seed: int = 0) -> Tensor:
    return draws(keys(count), seed, 0, DRAWS)


# Draws


def test_a_key_is_the_first_64_bits_of_the_digest() -> None:
    found = image_keys(["0123456789abcdef" + "0" * 48, "f" * 64])
    assert found.tolist() == [0x0123456789ABCDEF, 2**64 - 1]
    assert found.dtype == np.uint64


def test_draws_are_those_computed_by_hand() -> None:
    # With Python's own integers, splitmix64 as published: its first word from state 0 is
    # e220a8397b1dcdaf. A change here changes what every training sees.
    by_hand = [
        [0.12964558601379395, 0.04992002248764038, 0.6703283190727234],
        [0.14366048574447632, 0.39127570390701294, 0.6892274022102356],
    ]
    assert draws(np.array([0], np.uint64), 0, 0, 3).tolist() == [by_hand[0]]
    assert draws(np.array([0x0123456789ABCDEF], np.uint64), 7, 3, 3).tolist() == [by_hand[1]]


def test_draws_are_float32_on_the_cpu_from_0_to_below_1() -> None:
    drawn = draws(keys(1000), 0, 0, DRAWS)
    assert (drawn.shape, drawn.dtype, drawn.device.type) == ((1000, DRAWS), torch.float32, "cpu")
    assert 0 <= drawn.min() < 0.001
    assert 0.999 < drawn.max() < 1
    assert draws(image_keys([]), 0, 0, DRAWS).shape == (0, DRAWS)


@pytest.mark.parametrize("along", ["pictures", "epochs", "seeds", "counted keys", "numbers"])
def test_draws_are_uniform_along(along: str) -> None:
    count, one = 4000, keys(1)
    drawn = {
        "pictures": lambda: draws(keys(count), 0, 0, 1),
        "epochs": lambda: torch.cat([draws(one, 0, epoch, 1) for epoch in range(count)]),
        "seeds": lambda: torch.cat([draws(one, seed, 0, 1) for seed in range(count)]),
        "counted keys": lambda: draws(np.arange(count, dtype=np.uint64), 0, 0, 1),
        "numbers": lambda: draws(one, 0, 0, count),
    }[along]()
    values = drawn.flatten().double().sort().values
    steps = torch.arange(count, dtype=torch.float64) / count
    # Kolmogorov and Smirnov: above 1.95 / sqrt(n) once in a thousand.
    assert max((values - steps).max(), (steps + 1 / count - values).max()) < 1.95 / math.sqrt(count)
    series = drawn.flatten().double()
    neighbours = torch.corrcoef(torch.stack((series[:-1], series[1:])))[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(count)


def test_the_numbers_of_a_picture_are_uncorrelated() -> None:
    count = 4000
    drawn = draws(keys(count), 0, 0, DRAWS).double()
    both = torch.cat((drawn, draws(keys(count), 0, 1, DRAWS).double()), 1)  # the next epoch's too
    off_diagonal = torch.corrcoef(both.T) - torch.eye(2 * DRAWS)
    assert off_diagonal.abs().max() < 4.5 / math.sqrt(count)
    assert torch.allclose(drawn.mean(0), torch.tensor(0.5).double(), atol=0.02)
    assert torch.allclose(drawn.var(0), torch.tensor(1 / 12).double(), atol=0.005)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(12)), size=st.integers(1, 12))
def test_draws_of_a_picture_are_equal_whatever_the_batch_or_the_order(
    order: list[int], size: int
) -> None:
    named = keys(12)
    whole = draws(named, 5, 2, DRAWS)
    chosen = order[:size]
    assert torch.equal(draws(named[chosen], 5, 2, DRAWS), whole[chosen])
    assert torch.equal(draws(named, 5, 2, size), draws(named, 5, 2, 30)[:, :size])


def test_draws_differ_for_another_seed_epoch_or_picture() -> None:
    seeds_and_epochs = [(0, 0), (1, 0), (0, 1), (1, 1), (2**32 - 1, 10_000)]
    sets = [draws(keys(3), seed, epoch, DRAWS) for seed, epoch in seeds_and_epochs]
    rows = torch.cat([*sets, draws(keys(3, first=3), 0, 0, DRAWS)])
    assert len({tuple(row) for row in rows.tolist()}) == len(rows)


# What holds for every kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shape_type_and_memory_format_are_kept_and_change_no_image(
    kind: Augment, layout: torch.memory_format
) -> None:
    plain, drawn = pictures(5, 8, 12), random_draws(5)
    images = plain.contiguous(memory_format=layout)
    result = augment(images, drawn, kind)
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    assert result.is_contiguous(memory_format=layout)
    assert torch.allclose(result, augment(plain, drawn, kind), atol=1e-6)
    assert torch.equal(images, pictures(5, 8, 12)), "what is given is left as it is"
    assert torch.equal(drawn, random_draws(5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [13, 96])
def test_a_picture_alone_is_the_same_to_the_bit_as_within_a_batch(
    kind: Augment, layout: torch.memory_format, size: int
) -> None:
    images = pictures(7, size, size).contiguous(memory_format=layout)
    drawn = random_draws(7)
    together = augment(images, drawn, kind)
    for row in range(7):
        alone = augment(images[row : row + 1], drawn[row : row + 1], kind)
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("kind", KINDS)
def test_values_stay_from_0_to_1(kind: Augment) -> None:
    extreme = pictures(64, 8, 8).round()
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    result = augment(extreme, random_draws(64), kind)
    assert result.min() >= 0
    assert result.max() <= 1
    assert (random.getstate(), str(np.random.get_state())) == before[1:], "nothing draws from it"
    assert torch.equal(torch.get_rng_state(), before[0])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_asks_for_a_value_that_is_on_the_device(kind: Augment) -> None:
    # Tensors of the meta device have no values, so that whoever asks for one fails.
    pixels = torch.empty((2, 8, 8, 3), dtype=torch.uint8, device="meta")
    result = normalise(augment(to_float(pixels), random_draws(2), kind), (MEAN, STD))
    assert result.shape == (2, 3, 8, 8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("kind", KINDS)
def test_a_cuda_device_gives_the_same_and_is_not_waited_for(kind: Augment) -> None:
    pixels = (255 * pictures(4, 32, 32)).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    expected = normalise(augment(to_float(pixels), random_draws(4), kind), (MEAN, STD))
    there = pixels.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = normalise(augment(to_float(there), random_draws(4), kind), (MEAN, STD))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.allclose(result.cpu(), expected, atol=1e-4)


# None and flips


@pytest.mark.parametrize(
    ("flip_x", "flip_y", "dims"),
    [(0.5, 0.5, []), (0.499, 0.5, [3]), (0.5, 0.499, [2]), (0.0, 0.0, [2, 3])],
)
def test_a_draw_below_one_half_flips_exactly(flip_x: float, flip_y: float, dims: list[int]) -> None:
    images = pictures(3, 5, 8)
    drawn = torch.tensor(list((NEUTRAL | {"flip_x": flip_x, "flip_y": flip_y}).values()))
    result = augment(images, drawn.expand(3, DRAWS), "flips")
    assert torch.equal(result, images.flip(dims))
    assert torch.equal(augment(images, drawn.expand(3, DRAWS), "none"), images)


def test_flips_gives_each_of_the_four_about_equally_often() -> None:
    image = pictures(1, 3, 3)
    result = augment(image.expand(2000, 3, 3, 3), random_draws(2000), "flips")
    seen = [
        (result == image.flip(dims)).flatten(1).all(1).sum().item()
        for dims in ([], [2], [3], [2, 3])
    ]
    assert sum(seen) == 2000
    assert all(abs(count - 500) < 80 for count in seen)  # 4 deviations


def test_flips_alter_the_same_pictures_in_flips_and_in_full() -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[:, :, 0:4, 0:4] = 0.5
    drawn = torch.tensor(list(NEUTRAL.values())).repeat(32, 1)
    drawn[:, :2] = random_draws(32)[:, :2]
    images = image.expand(32, 3, 8, 8)
    assert torch.allclose(augment(images, drawn, "full"), augment(images, drawn, "flips"))


# Full: place


@pytest.mark.parametrize("shape", [(9, 9), (8, 14), (33, 20)])
def test_full_with_neutral_draws_is_the_identity(shape: tuple[int, int]) -> None:
    images = pictures(3, *shape)
    assert torch.allclose(changed(images), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("turn", [0.0, 0.2, 0.8, 1.0])
@pytest.mark.parametrize("shape", [(24, 24), (18, 30)])
def test_a_turn_alone_is_torchvisions_rotation(turn: float, shape: tuple[int, int]) -> None:
    images, angle = pictures(2, *shape), 20 * (2 * turn - 1)
    bilinear = v2.InterpolationMode.BILINEAR
    expected = tv.rotate(images, angle, interpolation=bilinear)
    inside = tv.rotate(torch.ones_like(images), angle, interpolation=bilinear) > 1 - 1e-6
    result = changed(images, turn=turn)
    assert torch.allclose(result[inside], expected[inside], atol=1e-4)
    assert inside.float().mean() > 0.6


def test_corners_that_a_turn_brings_in_are_reflected_and_not_black() -> None:
    images = pictures(2, 24, 24, low=0.2)
    padded = tv.pad(images, [12, 12, 12, 12], padding_mode="symmetric")
    turned = tv.rotate(padded, 20.0, interpolation=v2.InterpolationMode.BILINEAR)
    result = changed(images, turn=1.0)
    assert torch.allclose(result, turned[:, :, 12:-12, 12:-12], atol=1e-4)
    assert result.min() >= 0.2 - 1e-5


@pytest.mark.parametrize(
    ("across", "down", "left", "top"), [(0.0, 1.0, 0.0, 2.0), (0.5, 0.25, 1.0, 0.5)]
)
def test_a_crop_alone_enlarges_the_part_it_is_placed_on(
    across: float, down: float, left: float, top: float
) -> None:
    # 64 % of 10 x 10 px is 8 x 8 px, with room for 2 px. On a slope, sampling is exact, but for the
    # last half pixel.
    result = 10 * changed(slopes(10), area=0.9, across=across, down=down)[0]
    places = (torch.arange(1, 9) + 0.5) * 0.8
    assert torch.allclose(result[0, 5, 1:9], left + places, atol=1e-4)
    assert torch.allclose(result[1, 1:9, 5], top + places, atol=1e-4)


def slopes(size: int) -> Tensor:
    """Give one square whose first channel is the place across and whose second the place down."""
    slope = (torch.arange(size) + 0.5) / size
    across = slope.expand(size, size)
    return torch.stack((across, across.T, torch.zeros(size, size)))[None]


def spans(**drawn: float) -> tuple[float, float]:
    """Give width and height of a crop, as shares, from the slopes it leaves."""
    result = changed(slopes(40), **drawn)[0]
    width, height = (result[0, 20, 30] - result[0, 20, 10]), (result[1, 30, 20] - result[1, 10, 20])
    return 2 * width.item(), 2 * height.item()


def test_area_and_aspect_are_those_that_were_drawn() -> None:
    for drawn, area, aspect in (
        ({"area": 1.0}, 0.6, 1),
        ({"area": 1.0, "aspect": 0.0}, 0.6, 0.85),
        ({"area": 0.5, "aspect": 0.75}, 0.8, 0.85**0.25 * 1.18**0.75),
    ):
        width, height = spans(**drawn)
        assert (width * height, width / height) == pytest.approx((area, aspect), abs=1e-4)


@settings(max_examples=30, deadline=None)
@example(area=0.0, aspect=0.0)
@example(area=0.0, aspect=1.0)
@given(area=st.floats(0, 1, width=32), aspect=st.floats(0, 1, width=32))
def test_a_crop_lies_in_the_picture_and_within_its_bounds(area: float, aspect: float) -> None:
    width, height = spans(area=area, aspect=aspect)
    assert max(width, height) <= 1 + 1e-4
    assert width * height >= 0.6 - 1e-4
    assert 0.85 - 1e-4 <= width / height <= 1.18 + 1e-4


def test_a_picture_is_flipped_then_turned_then_cropped() -> None:
    # The left crop's centre is 0.2 left of the picture's. Turned back by 10 degrees, that is
    # (-0.2 cos 10, -0.2 sin 10); flipped back, x changes its sign.
    images = slopes(41)
    result = changed(images, turn=0.75, area=0.9, across=0.0)[0, :2, 20, 20]
    assert (2 * result - 1).tolist() == pytest.approx([-0.1969616, -0.0347296], abs=1e-5)
    result = changed(images, turn=0.75, area=0.9, across=0.0, flip_x=0.0)[0, :2, 20, 20]
    assert (2 * result - 1).tolist() == pytest.approx([0.1969616, -0.0347296], abs=1e-5)


# Full: colour


@pytest.mark.parametrize("draw", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_one_change_of_colour_alone_is_torchvisions(name: str, draw: float) -> None:
    images = pictures(3, low=0.3)  # far enough from 0 and 1 that nothing is clamped
    expected = getattr(tv, f"adjust_{name}")(images, 1 + 0.25 * (2 * draw - 1))
    # torchvision's weights of a grey add up to 0.9999.
    assert torch.allclose(changed(images, **{name: draw}), expected, atol=1e-4)


def test_colours_change_by_hand() -> None:
    # Two pixels: grey 0.5, and (0.7, 0.5, 0.1) of grey 0.5142. Brightness 1.25, then contrast 0.75
    # round the mean grey 1.25 * 0.5071 = 0.633875, then saturation 0.875 round the pixel's own.
    images = torch.tensor([[0.5, 0.7], [0.5, 0.5], [0.5, 0.1]]).reshape(1, 3, 1, 2)
    result = changed(images, brightness=1.0, contrast=0.0, saturation=0.25)
    flat = 0.75 * 0.625 + 0.25 * 0.633875
    grey = 0.75 * 1.25 * 0.5142 + 0.25 * 0.633875
    vivid = [0.875 * (0.75 * 1.25 * c + 0.25 * 0.633875) + 0.125 * grey for c in (0.7, 0.5, 0.1)]
    assert result[0, :, 0, 0].tolist() == pytest.approx([flat] * 3, abs=1e-5)
    assert result[0, :, 0, 1].tolist() == pytest.approx(vivid, abs=1e-5)


def test_colours_beyond_the_range_are_clamped() -> None:
    assert changed(torch.full((1, 3, 4, 4), 0.9), brightness=1.0).tolist() == [
        [[[1.0] * 4] * 4] * 3
    ]


@pytest.mark.parametrize("hue", [0.0, 0.7, 1.0])
def test_hue_turns_the_colour_in_yiq_and_keeps_the_grey(hue: float) -> None:
    images = pictures(2, low=0.3)
    angle = 2 * math.pi * 0.03 * (2 * hue - 1)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[1, 0, 0], [0, cos, sin], [0, -sin, cos]], dtype=torch.float64)
    matrix = YIQ.inverse() @ turn @ YIQ
    expected = torch.einsum("ij,bjhw->bihw", matrix, images.double())
    assert torch.allclose(changed(images, hue=hue).double(), expected, atol=1e-5)


def test_hue_turns_the_way_torchvisions_does() -> None:
    red = torch.tensor([0.6, 0.4, 0.4]).reshape(1, 3, 1, 1)
    result, expected = changed(red, hue=1.0), tv.adjust_hue(red, 0.03)
    assert result[0, 1] > result[0, 2]  # from red to yellow
    assert torch.allclose(result, expected, atol=0.05)


def test_the_quarter_turn_of_the_hue_is_that_of_yiq() -> None:
    turn = torch.tensor([[0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
    expected = YIQ.inverse() @ turn @ YIQ
    assert torch.allclose(torch.tensor(QUARTER, dtype=torch.float64), expected, atol=1e-7)
    assert sum(GREY) == pytest.approx(1)
    grey = pictures(1)[:, :1].expand(1, 3, 9, 9)
    assert torch.allclose(changed(grey, saturation=0.0, hue=1.0), grey, atol=1e-5)


# Pixels to images


def test_to_float_is_torchvisions_conversion_of_the_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    convert = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    expected = torch.stack([convert(Image.fromarray(picture)) for picture in noise])
    images = to_float(torch.from_numpy(noise))
    assert torch.equal(images, expected)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert noise.max() == 255, "the pixels are left as they are"


def test_normalise_is_torchvisions() -> None:
    images = pictures()
    expected = v2.Normalize(mean=list(MEAN), std=list(STD))(images)
    for layout in (torch.contiguous_format, torch.channels_last):
        result = normalise(images.contiguous(memory_format=layout), (MEAN, STD))
        assert torch.equal(result, expected)
        assert result.is_contiguous(memory_format=layout)
    assert torch.equal(images, pictures())
