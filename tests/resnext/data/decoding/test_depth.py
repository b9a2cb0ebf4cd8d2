"""Deep images: what one of them holds, by finite values, and how it becomes 8 bits."""

import warnings

import numpy as np
import pytest

from resnext.data.decoding.deep import FLOAT, SIXTEEN, measure, to_bytes


def ramp(low: float, high: float, kind: type[np.generic] = np.float32) -> np.ndarray:
    return np.linspace(low, high, 10_000).reshape(100, 100).astype(kind)


# ---------------------------------------------------------------- one image


def test_the_range_of_an_image_is_that_of_its_values_but_for_one_at_each_end() -> None:
    values = np.arange(100, dtype=np.uint16).reshape(10, 10)
    assert measure(values, SIXTEEN) == (1, 98)
    assert measure(values[:1], SIXTEEN) == (0, 9)  # too few to leave any out


@pytest.mark.parametrize(
    ("kind", "hot"), [(SIXTEEN, 65_535), (SIXTEEN, 30_000), (FLOAT, 1e9), (FLOAT, -1e9)]
)
def test_a_hot_or_dead_pixel_does_not_count(kind: str, hot: float) -> None:
    values = ramp(100, 4000, np.dtype(kind).type)
    values[50, 50] = hot
    low, high = measure(values, kind)
    assert 100 <= low < 102
    assert 3998 < high <= 4000


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf, -3.4e38, 3.4e38, -9999, -32768])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_what_stands_for_nothing_does_not_count(nothing: float, share: float) -> None:
    values = ramp(0, 900)
    values.ravel()[np.random.default_rng(0).permutation(10_000)[: int(10_000 * share)]] = nothing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = measure(values, FLOAT)
    assert 0 <= low < 10
    assert 890 < high <= 900


def test_two_kinds_of_nothing_and_a_hot_pixel_at_once() -> None:
    values = ramp(0, 900)
    values[:30], values[30:50], values[99, 99] = -9999, -32768, 1e12
    low, high = measure(values, FLOAT)
    assert (450 < low < 460, 890 < high <= 900) == (True, True)


def test_a_usual_nodata_value_among_its_like_is_a_value() -> None:
    assert measure(ramp(-12_000, 3000), FLOAT)[0] < -11_990
    values = ramp(-10_000, 3000).round()
    values[0, :50] = -9999
    assert measure(values, FLOAT)[0] <= -9998


def test_the_value_that_a_file_names_as_nothing_does_not_count() -> None:
    values = ramp(100, 4000, np.uint16)
    values[:20] = 65_535
    assert measure(values, SIXTEEN)[1] == 65_535
    assert measure(values, SIXTEEN, nodata=65_535)[1] <= 4000
    assert measure(values, SIXTEEN, nodata=float("nan"))[1] == 65_535


def test_two_values_are_both_kept_and_no_value_at_all_gives_0_to_0() -> None:
    values = np.where(np.arange(10_000).reshape(100, 100) % 3, np.float32(-1), np.float32(7))
    assert measure(values, FLOAT) == (-1, 7)
    for nothing in (np.nan, -np.inf):
        assert measure(np.full((9, 9), nothing, np.float32), FLOAT) == (0, 0)


# ---------------------------------------------------------------- 8 bits


def test_values_are_scaled_by_hand_computed_amounts() -> None:
    values = np.array([[0, 2047, 4095, 5000]], dtype=np.uint16)
    assert to_bytes(values, (0, 4095)).tolist() == [[0, 127, 255, 255]]
    assert to_bytes(values, (0, 4095), inverted=True).tolist() == [[255, 128, 0, 0]]


def test_what_is_no_number_is_black_and_nothing_is_warned_of() -> None:
    values = np.array([[np.nan, -np.inf, np.inf, -9999, 3.4e38, 0.5]], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_bytes(values, (0, 1)).tolist() == [[0, 0, 255, 0, 255, 128]]


def test_a_brighter_value_never_comes_out_darker() -> None:
    values = np.sort(np.random.default_rng(0).normal(0, 1000, (1, 5000)))
    assert (np.diff(to_bytes(values, (-900, 2000)).astype(int)) >= 0).all()
