"""Find pictures whose perceptual hashes are close, in any of eight orientations.

The search is not quadratic. Each hash is cut into one band more than the bits that may differ, so
that at least one band of two close hashes is equal; pictures are compared where a band of their
pHash and a band of their dHash agree. It opens no picture and judges none: what it finds are
candidates.

Source: multi-index hashing (Norouzi, Punjani and Fleet 2012, doi:10.1109/CVPR.2012.6248043). It
departs from it in that bands hold every n-th bit, since neighbouring bits depend on each other, and
in that both hashes must agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from resnext.data.manifest.hashing import TURNS, Words, turned

Numbers: TypeAlias = npt.NDArray[np.int64]

CHUNK = 1 << 20  # comparisons made at once


class Candidates(NamedTuple):
    """Hold pairs of pictures by number: `other`, brought into orientation `turn`, resembles `one`.

    All are arrays of one length; distances are bits that differ.
    """

    one: Numbers
    other: Numbers
    turn: Numbers
    phash: Numbers
    dhash: Numbers

    def take(self, which: npt.NDArray[Any]) -> Candidates:
        """Keep some of the pairs, by number or by mask."""
        return Candidates(*(column[which] for column in self))


class _Side(NamedTuple):
    """Hold one hash of N pictures in the eight orientations (8, N), and its bands (8, B, N)."""

    words: Words
    bands: Numbers


def neighbours(words: Words, radius: int) -> Iterator[Candidates]:
    """Find the pairs of N hashed pictures (N, 8) of which neither hash differs in more bits.

    A pair is given once for each orientation in which it is found. Of pictures with equal hashes
    only the first is compared with the others.
    """
    looks, first, look_of = np.unique(words, axis=0, return_index=True, return_inverse=True)
    yield _equals(first, look_of.reshape(-1))
    phash, dhash = (_side(words, radius + 1) for words in turned(looks))
    for bands in product(range(radius + 1), range(radius + 1)):
        for turn in range(TURNS):
            for pairs in _meetings(phash.bands, dhash.bands, bands, turn):
                found = _compare(phash, dhash, pairs, turn, bands, radius)
                yield found._replace(one=first[found.one], other=first[found.other])


def _equals(first: Numbers, look_of: Numbers) -> Candidates:
    """Pair every picture with the first one that has its hashes."""
    other = np.flatnonzero(first[look_of] != np.arange(len(look_of)))
    none = np.zeros_like(other)
    return Candidates(first[look_of[other]], other, none, none, none)


def _side(words: Words, bands: int) -> _Side:
    """Cut a hash (8, N) into bands of every n-th bit: numbers (8, B, N)."""
    data = words.astype(">u8")[..., None].view(np.uint8)  # (8, N, 8)
    bits = np.unpackbits(data, axis=2)  # (8, N, 64)
    cut = [bits[:, :, start::bands] for start in range(bands)]
    powers = [1 << np.arange(band.shape[2], dtype=np.int32) for band in cut]
    return _Side(words, np.stack([b @ p for b, p in zip(cut, powers, strict=True)], axis=1))


def _meetings(
    phash: Numbers, dhash: Numbers, bands: tuple[int, int], turn: int
) -> Iterator[tuple[Numbers, Numbers]]:
    """Pair pictures with an equal key made of one band of each hash, some at a time."""
    keys = (phash[:, bands[0]].astype(np.int64) << 16) | dhash[:, bands[1]]  # (8, N)
    order = np.argsort(keys[0], kind="stable")
    known = keys[0][order]
    begin = np.searchsorted(known, keys[turn], side="left")
    counts = np.searchsorted(known, keys[turn], side="right") - begin
    totals = np.cumsum(counts)
    cuts = np.flatnonzero(np.diff(totals // CHUNK)) + 1
    for rows in np.split(np.arange(len(totals)), cuts):
        n = counts[rows]
        start = np.repeat(begin[rows] - (np.cumsum(n) - n), n)
        one, other = order[start + np.arange(len(start))], np.repeat(rows, n)
        yield one[one < other], other[one < other]


def _compare(
    phash: _Side,
    dhash: _Side,
    pairs: tuple[Numbers, Numbers],
    turn: int,
    bands: tuple[int, int],
    radius: int,
) -> Candidates:
    """Keep the pairs that are close and were not found by a band before."""
    one, other = pairs
    near, distances = np.ones(len(one), dtype=bool), []
    for side in (phash, dhash):
        differs = side.words[0, one] ^ side.words[turn, other]
        distances.append(np.bitwise_count(differs).astype(np.int64))
        near &= distances[-1] <= radius
    one, other = one[near], other[near]
    new = np.ones(len(one), dtype=bool)
    for side, band in zip((phash, dhash), bands, strict=True):
        for before in range(band):
            new &= side.bands[0, before, one] != side.bands[turn, before, other]
    phash_bits, dhash_bits = (bits[near][new] for bits in distances)
    return Candidates(one[new], other[new], np.full(new.sum(), turn), phash_bits, dhash_bits)
