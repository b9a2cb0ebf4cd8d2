"""Random changes of training images, made in batches where the pixels are.

What is done to an image follows from (seed, epoch, image) alone: its numbers are drawn by
counting, from the hash of its bytes, so that neither the batch, the order, a worker, the device
nor torch's global generator has a say. Nothing here waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from resnext.models.architectures import Scale
from resnext.training.recipe import Recipe

UInt64s: TypeAlias = npt.NDArray[np.uint64]
Counts: TypeAlias = npt.NDArray[np.int64]

DEGREES = 20.0  # largest turn, either way
SMALLEST_AREA = 0.6  # share of the image that a crop keeps at least
ASPECTS = (0.85, 1.18)  # of a crop, relative to the image's own
COLOUR = 0.25  # brightness, contrast and saturation are scaled by up to 1 +- this
HUE = 0.03  # of the circle, either way

# Numbers that `augment` takes of each image: flip left-right, flip top-bottom, turn, area,
# aspect, place across, place down, brightness, contrast, saturation, hue. In the middle, 0.5, each
# changes nothing, but for the area (0) and the aspect (log(1 / 0.85) / log(1.18 / 0.85)).
SHAPE_DRAWS, COLOUR_DRAWS = 7, 4
DRAWS = SHAPE_DRAWS + COLOUR_DRAWS

# Weights of red, green and blue in a grey. Source: ITU-R BT.601-7, section 2.5.1.
GREY = (0.299, 0.587, 0.114)

# A quarter turn of the hue, from red to yellow, which leaves the grey as it is: I' = Q and
# Q' = -I in YIQ. Source: the matrix of YIQ (FCC 1953) and its inverse.
QUARTER = (
    (-0.16770325, -0.32926815, 0.49697140),
    (0.32813082, -0.03552093, -0.29260989),
    (-1.24973261, 1.04650843, 0.20322418),
)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def image_keys(sha256: Sequence[str]) -> UInt64s:
    """Give the first 64 bits of each digest: (B,)."""
    return np.array([int(digest[:16], 16) for digest in sha256], dtype=np.uint64)


def met_again(keys: UInt64s, times: Counts) -> UInt64s:
    """Give keys of their own to images that were met so many times before in the epoch: (B,)."""
    return np.where(times > 0, keys ^ _scramble(times.astype(np.uint64)), keys)


def draws(keys: UInt64s, seed: int, epoch: int, count: int) -> Tensor:
    """Draw numbers of each image, uniform in [0, 1): float32 (B, count), on the CPU.

    They are whole multiples of 2^-24, hence the same on every machine, and the first ones stay
    what they are when more are asked for. `seed` and `epoch` are in 0..2^64 - 1.
    """
    state = _scramble(_scramble(np.array([seed], np.uint64)) ^ np.array([epoch], np.uint64))
    streams = _scramble(state ^ keys)[:, None]
    bits = _scramble(streams + np.arange(count, dtype=np.uint64) * GOLDEN)
    return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24))


def _scramble(state: UInt64s) -> UInt64s:
    """Step splitmix64 once from each state; a state that counts on by GOLDEN gives its stream.

    Source: Steele, Lea and Flood 2014 (doi:10.1145/2660193.2660195); constants of Vigna's
    splitmix64.c.
    """
    bits = state + GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def augment(images: Tensor, draws: Tensor, recipe: Recipe) -> Tensor:
    """Change each image by its own draws: (B, 3, H, W) in 0..1, in the memory format it had.

    "flips" of the recipe moves pixels and changes none; "full" flips, turns and crops in one
    bilinear sampling, then changes colours. `draws` (B, DRAWS) are in 0..1 and on the CPU, so that
    the few numbers that follow from them are the same for every device.
    """
    if recipe.augment == "none":
        return images
    if recipe.augment == "flips":
        return _flipped(images, draws)
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    kept = torch.channels_last if channels_last else torch.contiguous_format
    result = _recoloured(_reshaped(images, draws[:, :SHAPE_DRAWS]), draws[:, SHAPE_DRAWS:])
    return result.contiguous(memory_format=kept)


def to_float(pixels: Tensor) -> Tensor:
    """Turn pixels uint8 (B, H, W, 3) into images float32 (B, 3, H, W) in 0..1.

    They stay in the order they have in memory, which is torch's channels_last.
    """
    return pixels.permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)


def normalise(images: Tensor, by: Scale) -> Tensor:
    """Scale images (B, 3, H, W) in 0..1 by means and deviations of their channels."""
    scale = _on_device(torch.tensor(by), images)  # (2, 3)
    if not images.is_contiguous(memory_format=torch.channels_last):
        return (images - scale[0, :, None, None]).div_(scale[1, :, None, None])
    batch, channels, height, width = images.shape
    # Whole rows at a time: on a CPU that is seven times as fast as three channels at a time.
    rows = images.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
    rows = (rows - scale[0].repeat(width)).div_(scale[1].repeat(width))
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _flipped(images: Tensor, draws: Tensor) -> Tensor:
    """Flip some left-right and some top-bottom, exactly."""
    across, down = _on_device(draws[:, :2], images).T[:, :, None, None, None] < 0.5
    images = torch.where(across, images.flip(3), images)
    return torch.where(down, images.flip(2), images)


def _reshaped(images: Tensor, draws: Tensor) -> Tensor:
    """Flip, turn and crop, sampling once.

    Corners that a turn brings in are filled by reflection: black ones would be a sign of a changed
    image, which the network could learn and never meets afterwards. A crop is only ever
    enlarged, so that bilinear sampling drops no detail.
    """
    height, width = images.shape[2:]
    grid = _grid(_on_device(_affine(draws, height / width), images), height, width)
    return grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _affine(draws: Tensor, tall: float) -> Tensor:
    """Say where each place of the result lies in the image: (B, 2, 3), both from -1 to 1.

    `tall` is height by width. The image is flipped, then turned counter-clockwise, then cropped.
    """
    flip_x, flip_y, turn, area, aspect, across, down = draws.unbind(1)
    sign_x, sign_y = (torch.where(flip < 0.5, -1.0, 1.0) for flip in (flip_x, flip_y))
    angle = math.radians(DEGREES) * _centred(turn)
    cos, sin = _by_numpy(np.cos, angle), _by_numpy(np.sin, angle)
    span_x, span_y = _spans(area, aspect)
    place_x, place_y = _centred(across) * (1 - span_x), _centred(down) * (1 - span_y)
    x = (cos * span_x, -tall * sin * span_y, cos * place_x - tall * sin * place_y)
    y = (sin / tall * span_x, cos * span_y, sin / tall * place_x + cos * place_y)
    rows = (sign_x[:, None] * torch.stack(x, 1), sign_y[:, None] * torch.stack(y, 1))
    return torch.stack(rows, 1)


def _spans(area: Tensor, aspect: Tensor) -> tuple[Tensor, Tensor]:
    """Give the width and height of each crop, as shares of the image's.

    One that would be wider or taller than the image is cut to it, which leaves area and aspect
    within their bounds: torchvision draws again, and the number of draws here is fixed.
    """
    share = 1 - (1 - SMALLEST_AREA) * area
    low, high = (math.log(bound) for bound in ASPECTS)
    stretch = _by_numpy(np.exp, 0.5 * (low + (high - low) * aspect))
    side = _by_numpy(np.sqrt, share)
    return (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)


def _grid(affine: Tensor, height: int, width: int) -> Tensor:
    """Map the centres of all pixels: (B, H, W, 2).

    `affine_grid` does so by a matrix product, which TF32 or autocast would make coarse.
    """
    across, down = (
        (2 * torch.arange(n, device=affine.device, dtype=affine.dtype) + 1) / n - 1
        for n in (width, height)
    )
    columns = affine[:, :, 0, None] * across
    rows = affine[:, :, 1, None] * down + affine[:, :, 2, None]
    return (columns[:, :, None, :] + rows[:, :, :, None]).permute(0, 2, 3, 1)


def _recoloured(images: Tensor, draws: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order, and clamp to 0..1.

    All four are linear in a pixel and the mean of its image, hence one sum. Departs from
    torchvision's, which clamp in between and turn the hue in HSV.
    """
    mixing = _on_device(_mixing(draws), images)
    own = mixing[0]
    lift = (mixing[1] * images.mean((2, 3))[:, None, :]).sum(2)[:, :, None, None]
    # Product by product: a fused multiply-add would round by the place in the batch, and a matrix
    # product goes by the precision that is set for networks.
    mixed: Tensor = own[:, :, 0, None, None] * images[:, 0:1]
    mixed += own[:, :, 1, None, None] * images[:, 1:2]
    mixed += own[:, :, 2, None, None] * images[:, 2:3]
    return mixed.add_(lift).clamp_(0, 1)


def _mixing(draws: Tensor) -> Tensor:
    """Give how channels mix: (2, B, 3, 3), of the pixel itself and of the image's mean.

    Contrast blends with the mean grey of the image and saturation with the pixel's own; the hue
    turns what is left of a colour without its grey.
    """
    brightness, contrast, saturation = 1 + COLOUR * _centred(draws[:, :3]).T[:, :, None, None]
    angle = 2 * math.pi * HUE * _centred(draws[:, 3, None, None])
    to_grey, quarter = _on_device(torch.tensor(((GREY,) * 3, QUARTER)), draws)
    rest = torch.eye(3, device=draws.device, dtype=draws.dtype) - to_grey
    cos, sin = _by_numpy(np.cos, angle), _by_numpy(np.sin, angle)
    chroma = saturation * (cos * rest + sin * quarter)
    own = brightness * contrast * (to_grey + chroma)
    return torch.stack((own, brightness * (1 - contrast) * to_grey))


def _by_numpy(function: np.ufunc, few: Tensor) -> Tensor:
    """Apply a function of NumPy to a few numbers on the CPU.

    torch's own waits for all threads of a CPU even then: 3 ms a call beside a busy GPU.
    """
    return torch.from_numpy(function(few.numpy()))


def _centred(draws: Tensor) -> Tensor:
    """Spread 0..1 over -1..1."""
    return 2 * draws - 1


def _on_device(few: Tensor, images: Tensor) -> Tensor:
    """Put a few numbers where the images are, without waiting, as numbers of their kind."""
    return few.to(images.device, images.dtype, non_blocking=images.is_cuda)
