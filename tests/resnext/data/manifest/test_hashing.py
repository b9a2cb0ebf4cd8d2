"""Perceptual hashes: imagehash's, in eight orientations, from one small copy."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from resnext.data.manifest.hashing import TURNS, hash_image, parse_hashes, turn, turned

TURNED = [  # what each orientation does to a picture, in Pillow's words
    (),
    (Image.Transpose.FLIP_LEFT_RIGHT,),
    (Image.Transpose.FLIP_TOP_BOTTOM,),
    (Image.Transpose.ROTATE_180,),
    (Image.Transpose.TRANSPOSE,),
    (Image.Transpose.ROTATE_90,),
    (Image.Transpose.ROTATE_270,),
    (Image.Transpose.TRANSVERSE,),
]


def drawn(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """Draw soft noise, which is like no other and has no symmetry."""
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def brought(image: Image.Image, orientation: int) -> Image.Image:
    for step in TURNED[orientation]:
        image = image.transpose(step)
    return image


def bits(one: str, other: object) -> int:
    return int(imagehash.hex_to_hash(one) - imagehash.hex_to_hash(str(other)))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_digits_are_imagehashs_phash(seed: int) -> None:
    image = drawn(seed)
    found = hash_image(image)
    assert len(found) == 128
    assert found[:16] == str(imagehash.phash(image))


@pytest.mark.parametrize("orientation", range(TURNS))
@pytest.mark.parametrize("size", [(120, 120), (150, 90)])
def test_every_orientation_is_the_hash_of_the_picture_turned(
    orientation: int, size: tuple[int, int]
) -> None:
    for seed in range(10):
        image = drawn(seed, size)
        phash, dhash = turned(parse_hashes([hash_image(image)]))
        really = brought(image, orientation)
        assert bits(f"{phash[orientation, 0]:016x}", imagehash.phash(really)) <= 2
        own = turned(parse_hashes([hash_image(really)]))[1]
        assert bits(f"{dhash[orientation, 0]:016x}", f"{own[0, 0]:016x}") <= 2
        assert bits(f"{dhash[orientation, 0]:016x}", imagehash.dhash(really)) <= 8


@pytest.mark.parametrize("orientation", range(TURNS))
def test_pixels_are_turned_as_the_hashes_are(orientation: int) -> None:
    image = drawn(0, (32, 32)).convert("L")
    pixels = np.asarray(image, dtype=np.float32)[None]
    assert np.array_equal(turn(pixels, orientation)[0], np.asarray(brought(image, orientation)))


def test_unlike_images_have_unlike_hashes_and_a_big_one_that_of_its_small_self() -> None:
    phash, dhash = turned(parse_hashes([hash_image(drawn(seed)) for seed in range(30)]))
    for words in (phash[0], dhash[0]):
        apart = np.bitwise_count(words[:, None] ^ words[None])
        assert apart[np.triu_indices(30, 1)].min() > 8
    big = drawn(3, (1600, 1200))
    assert bits(hash_image(big)[:16], hash_image(big.resize((160, 120)))[:16]) <= 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F", "YCbCr"])
def test_every_mode_has_a_hash(mode: str) -> None:
    image = drawn(1).convert("L").convert(mode) if mode == "I;16" else drawn(1).convert(mode)
    assert len(hash_image(image)) == 128


def test_a_flat_picture_always_hashes_alike() -> None:
    flat = {hash_image(Image.new("L", (50, 50), level)) for level in (7, 77, 177, 250)}
    assert flat == {"8" + "0" * 15 + ("8" + "0" * 15) * 3 + "0" * 64}


def test_hashes_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of element size"):
        parse_hashes(["00"])
    assert parse_hashes([]).shape == (0, 8)
