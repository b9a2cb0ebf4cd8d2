"""Hash what an image looks like, so that it can be found again flipped or turned.

Two perceptual hashes of 64 bits are made from one small grey copy: pHash says which low
frequencies it holds, dHash where it grows brighter. They are kept in a form from which the hashes
of all eight orientations follow: a flip changes the sign of every other frequency, a quarter turn
transposes them. It compares no images.

Source: 8 x 8 low frequencies of a 32 x 32 DCT-II against their median, and 8 x 8 differences of
neighbours, as `imagehash.phash` and `imagehash.dhash` define them. It departs from them in that
dHash too begins with the 32 x 32 copy, and that images of 512 px and more are shrunk by a whole
factor first: both are much faster, and few bits differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from resnext.data.decoding.decode import to_8_bit, to_rgb

SIDE = 32  # pixels of the copy that both hashes are made from
ENOUGH = 256  # pixels that are left of a big image's shorter side before it is resized
WORDS = 8  # of 64 bits, kept of each image: 4 of pHash, 4 of dHash
TURNS = 8  # orientations: as it is, left-right, top-bottom, both; then the same transposed

Hashes: TypeAlias = npt.NDArray[np.uint64]
Bits: TypeAlias = npt.NDArray[np.bool_]

_BASIS = 2 * np.cos(np.pi / (2 * SIDE) * np.outer(np.arange(8), 2 * np.arange(SIDE) + 1))  # (8, 32)
_ALTERNATE = np.array([1, -1] * 4)
_SIGNS = np.stack(  # (4, 8, 8): what left-right and top-bottom flips do to the frequencies
    [np.outer(y, x) for y in (np.ones(8), _ALTERNATE) for x in (np.ones(8), _ALTERNATE)]
)


def hash_image(image: Image.Image) -> str:
    """Hash an upright image of any mode: 8 words of 64 bits as 128 hexadecimal digits.

    The first 16 digits are its pHash, the next 48 that of its flips; then where it grows brighter
    to the right, darker to the right, brighter downwards and darker downwards.
    """
    clear = image.has_transparency_data  # which the network sees laid on white
    grey = (to_rgb(image) if clear else to_8_bit(image)).convert("L")
    if (factor := min(grey.size) // ENOUGH) > 1:
        grey = grey.reduce(factor)
    small = grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    bits = np.concatenate([_frequencies(small), _gradients(small)])  # (8, 8, 8)
    return np.packbits(bits.reshape(WORDS, 64), axis=1).tobytes().hex()


def parse_hashes(hashes: Sequence[str]) -> Hashes:
    """Turn N hashes of `hash_image` into numbers (N, 8).

    Raises:
        ValueError: a hash is of another length.
    """
    data = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8")
    return data.reshape(len(hashes), WORDS).astype(np.uint64)


def turned(hashes: Hashes) -> tuple[Hashes, Hashes]:
    """Give the pHash (8, N) and dHash (8, N) of N images in each of the eight orientations.

    Orientation t + 4 is orientation t (0..3) transposed, that is mirrored at its falling diagonal.
    """
    frequencies = [_bits(hashes[:, place]) for place in range(4)]
    right, left, down, up = (_bits(hashes[:, place]) for place in range(4, 8))
    along = [right, left[:, :, ::-1], right[:, ::-1], left[:, ::-1, ::-1]]
    across = [down, down[:, :, ::-1], up[:, ::-1], up[:, ::-1, ::-1]]
    phash = frequencies + [bits.swapaxes(1, 2) for bits in frequencies]
    dhash = along + [bits.swapaxes(1, 2) for bits in across]
    return np.stack(list(map(_pack, phash))), np.stack(list(map(_pack, dhash)))


def turn(pixels: npt.NDArray[np.float32], orientation: int) -> npt.NDArray[np.float32]:
    """Bring images (N, S, S) into an orientation, 0..7, counted as in `turned`."""
    if orientation & 1:
        pixels = pixels[:, :, ::-1]
    if orientation & 2:
        pixels = pixels[:, ::-1]
    return pixels.swapaxes(1, 2) if orientation & 4 else pixels


def _frequencies(small: Image.Image) -> Bits:
    """Compare low frequencies with their median, for four flips: (4, 8, 8)."""
    pixels = np.asarray(small, dtype=np.float64)  # (32, 32)
    low = (_BASIS @ pixels @ _BASIS.T).round(3)  # (8, 8); rounded, or a flat image hashes noise
    flips = low * _SIGNS
    return np.asarray(flips > np.median(flips, axis=(1, 2), keepdims=True))


def _gradients(small: Image.Image) -> Bits:
    """Compare neighbours: brighter right, darker right, brighter below, darker below: (4, 8, 8)."""
    wide, tall = (
        np.asarray(small.resize(size, Image.Resampling.LANCZOS), dtype=np.int16)
        for size in ((9, 8), (8, 9))
    )
    along, across = np.diff(wide, axis=1), np.diff(tall, axis=0)
    return np.stack([along > 0, along < 0, across > 0, across < 0])


def _bits(hashes: Hashes) -> Bits:
    """Unpack N words of 64 bits into (N, 8, 8) bits."""
    data = hashes.astype(">u8").view(np.uint8).reshape(-1, 8)
    return np.unpackbits(data, axis=1).reshape(-1, 8, 8).astype(bool)


def _pack(bits: Bits) -> Hashes:
    """Pack (N, 8, 8) bits into N words of 64 bits."""
    data = np.packbits(bits.reshape(-1, 64), axis=1)
    return data.view(">u8").reshape(-1).astype(np.uint64)
