"""Deep images: one range for a whole set, and what is said of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.data.decoding.deep import FLOAT, SIXTEEN, WHOLE, note
from resnext.data.decoding.levels import Levels, describe_levels, find_levels, how_scaled


def found(*ranges: tuple[str, float, float]) -> Levels:
    return find_levels([note(kind, (low, high)) for kind, low, high in ranges])


@pytest.mark.parametrize(
    ("highest", "white"),
    [
        (0, 255), (255, 255), (256, 511), (1023, 1023), (1024, 2047), (4095, 4095),
        (4096, 8191), (16_383, 16_383), (32_768, 65_535), (65_535, 65_535),
    ],
)  # fmt: skip
def test_16_bits_are_scaled_by_the_bits_that_the_set_uses(highest: float, white: float) -> None:
    assert found((SIXTEEN, 7, 90), (SIXTEEN, 0, highest)).of(SIXTEEN) == (0, max(255, white))


@pytest.mark.parametrize(
    ("kind", "ranges", "expected"),
    [
        (SIXTEEN, [*[(0, 4000)] * 50, (0, 60_000)], (0, 65_535)),  # one image is enough
        (FLOAT, [(0.2, 0.4), (0.0, 0.9)], (0, 1)),  # within 0 and 1 they stay so
        (FLOAT, [(-1, 1), (0, 5)], (-1, 5)),
        (WHOLE, [(-1000, 300), (-900, 3000)], (-1000, 3000)),
        (FLOAT, [(-9999, -9999), (2, 5)], (2, 5)),  # an image of one value tells little
        (FLOAT, [(7, 7)], (7, 8)),
    ],
)
def test_a_kind_has_one_range_for_the_set(
    kind: str, ranges: list[tuple[float, float]], expected: tuple[float, float]
) -> None:
    others = [(SIXTEEN, 0, 9), (FLOAT, 0, 0.5), (WHOLE, 0, 9)]
    mixed = [other for other in others if other[0] != kind]
    assert found(*mixed, *((kind, *each) for each in ranges)).of(kind) == expected


def test_a_set_without_deep_images_has_no_levels_and_the_default_holds() -> None:
    levels = find_levels(["", ""])
    assert levels == Levels()
    assert (levels.of(SIXTEEN), levels.of(WHOLE)) == ((0, 65_535), (0, 65_535))
    assert levels.of(FLOAT) == (0, 1)


@given(st.floats(-1e14, 1e14), st.floats(-1e14, 1e14))
def test_what_is_noted_is_read_again_exactly(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert found((WHOLE, low, high), (WHOLE, low, high + 1e15)).of(WHOLE) == (low, high + 1e15)


# ---------------------------------------------------------------- words


def test_a_line_says_how_each_kind_is_scaled() -> None:
    notes = [note(SIXTEEN, (0, 3000))] * 32 + [note(FLOAT, (0, 0.5))] + [note(WHOLE, (-9, 8))] * 2
    assert describe_levels(["", *notes]) == [
        "32 images of 16 bits are scaled by 4095, the depth that the set uses",
        "2 images of signed or 32-bit whole numbers are scaled from -9 to 8, the range that the "
        "set has",
        "1 image of floating-point numbers is scaled by 1",
    ]
    assert describe_levels([note(SIXTEEN, (0, 60_000))]) == [
        "1 image of 16 bits is scaled by 65535"
    ]
    assert describe_levels(["", ""]) == []


def test_for_new_images_it_says_that_the_model_decides() -> None:
    levels = Levels(uint16=(0, 4095))
    assert how_scaled(note(SIXTEEN, (0, 60_000)), levels) == (
        "16 bits, scaled by 4095, as those that the model was made with"
    )
    assert how_scaled(note(FLOAT, (0, 7)), levels) == (
        "floating-point numbers, scaled by 1, the usual way: the model was made without such images"
    )
