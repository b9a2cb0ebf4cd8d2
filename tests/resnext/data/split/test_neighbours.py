"""The search for close hashes finds what comparing all with all would find, each once."""

from itertools import combinations
from random import Random
from typing import TypeAlias

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resnext.data.manifest.hashing import TURNS, WORDS, Hashes, hash_image, parse_hashes, turned
from resnext.data.split import duplicates as searching
from resnext.data.split.duplicates import close_pairs

Pair: TypeAlias = tuple[int, ...]  # one, other, turn, bits of pHash, of dHash


def orientations(seed: int) -> list[str]:
    """Hash soft patches of random colours as they are, and in seven other orientations."""
    patches = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image = Image.fromarray(patches).resize((64, 64), Image.Resampling.BICUBIC)
    return [hash_image(image), *(hash_image(image.transpose(t)) for t in Image.Transpose)]


KNOWN = parse_hashes([digits for seed in range(3) for digits in orientations(seed)])  # (24, 8)

bits = st.lists(st.tuples(st.integers(0, WORDS - 1), st.integers(0, 63)), max_size=7)
pictures = st.lists(st.tuples(st.integers(0, len(KNOWN) - 1), bits), max_size=9)


def hashed(rows: list[tuple[int, list[tuple[int, int]]]]) -> Hashes:
    """Take known hashes and turn some of their bits round."""
    words = np.array([KNOWN[known] for known, _ in rows], dtype=np.uint64).reshape(-1, WORDS)
    for row, (_, flipped) in enumerate(rows):
        for word, bit in flipped:
            words[row, word] ^= np.uint64(1 << bit)
    return words


def found(words: Hashes, radius: int) -> list[Pair]:
    pairs = pd.concat(close_pairs(words, radius))
    return [
        tuple(row) for row in pairs[["one", "other", "turn", "phash", "dhash"]].to_numpy().tolist()
    ]


def by_brute_force(words: Hashes, radius: int) -> set[Pair]:
    """Compare all with all: first those of equal hashes, then their firsts in eight orientations.

    Pairs are ordered by their hashes; the second one is turned.
    """
    first: dict[tuple[int, ...], int] = {}
    pairs: set[Pair] = set()
    for number, row in enumerate(words.tolist()):
        one = first.setdefault(tuple(row), number)
        if one != number:
            pairs.add((one, number, 0, 0, 0))
    phash, dhash = (hashes.tolist() for hashes in turned(words))
    for one, other in combinations([first[row] for row in sorted(first)], 2):
        for turn in range(TURNS):
            differ = [(h[0][one] ^ h[turn][other]).bit_count() for h in (phash, dhash)]
            if max(differ) <= radius:
                pairs.add((one, other, turn, differ[0], differ[1]))
    return pairs


@settings(max_examples=60, deadline=None)
@given(pictures, st.integers(4, 6), st.sampled_from([2, 1 << 20]))
def test_it_finds_what_comparing_all_with_all_finds_and_each_once(
    rows: list[tuple[int, list[tuple[int, int]]]], radius: int, chunk: int
) -> None:
    words = hashed(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "CHUNK", chunk)
        pairs = found(words, radius)
    assert len(pairs) == len({pair[:3] for pair in pairs})
    assert set(pairs) == by_brute_force(words, radius)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.integers(4, 6), st.randoms(use_true_random=False))
def test_two_hashes_are_close_where_neither_differs_in_more_bits(
    phash: int, dhash: int, radius: int, random: Random
) -> None:
    words = np.repeat(KNOWN[:1], 2, axis=0)
    for word, flips in ((0, phash), (4, dhash)):
        for bit in random.sample(range(64), flips):
            words[1, word] ^= np.uint64(1 << bit)
    expected = {(phash, dhash)} if max(phash, dhash) <= radius else set()
    assert {pair[3:] for pair in found(words, radius) if pair[2] == 0} == expected


@pytest.mark.parametrize("radius", [4, 5, 6])
def test_random_hashes_are_close_to_nothing(radius: int) -> None:
    words = np.random.default_rng(0).integers(0, 2**64, (500, WORDS), dtype=np.uint64)
    assert found(words, radius) == []


def test_a_thousand_equal_hashes_make_999_pairs() -> None:
    assert len(found(np.repeat(KNOWN[:1], 1000, axis=0), 6)) == 999


def test_two_pictures_are_neighbours_or_not() -> None:
    assert found(KNOWN[[0, 0]], 6) == [(0, 1, 0, 0, 0)]
    assert found(KNOWN[[0, 8]], 6) == []
