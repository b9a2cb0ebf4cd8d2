"""Find near-duplicates: pictures with other bytes that show the same photograph.

Two pictures are taken for one photograph where both their perceptual hashes are close, flipped or
turned, and small grey copies of them agree closely in that orientation; the less close the hashes,
the more closely. Weaker pairs are listed for
a person to judge, and change nothing. Cropped, sheared or recoloured copies can escape every
hash: what the file names say of patients and copies finds more.

Source: the limits were measured on the Monkeypox Skin Lesion Dataset v1. Of pairs of unlike
patients, flips and turns tried, pHash alone within 4 bits finds 14, dHash alone 28, both together
just the one that is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.manifest.hashing import SIDE, TURNS, Words, turn
from resnext.data.split.neighbours import Candidates, Numbers, neighbours

CLOSE = 4  # bits of each hash that may differ where two pictures are taken for one
AGREE = 0.95  # least correlation of their grey copies then
LISTED = 6  # bits of each hash that may differ where a pair is looked at
AGREE_WELL = 0.99  # least correlation of pictures taken for one beyond CLOSE
WORTH_A_LOOK = 0.8  # least correlation of a pair that is listed
MOST_LISTED = 200  # pairs
MOST_WEAK = 10_000  # pairs that are kept in mind to be listed
AT_ONCE = 10_000  # pairs whose grey copies are compared at once
JOINED, TO_JUDGE = "joined", "listed"
REPORTED = "reported"
"""The verdict on pairs that are near-duplicates and were not joined all the same."""
COLUMNS = [
    "path", "other", "label", "other_label", "orientation", "phash_distance", "dhash_distance",
    "correlation", "verdict",
]  # fmt: skip
ORIENTATIONS = (
    "as it is",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by 180 degrees",
    "mirrored at the falling diagonal",
    "turned by 90 degrees anticlockwise",
    "turned by 90 degrees clockwise",
    "mirrored at the rising diagonal",
)

BACK = np.array([0, 1, 2, 3, 4, 6, 5, 7])  # the orientation that undoes each
FLAT = float(SIDE)  # length of the deviations of a picture that deviates by one grey level

Grey: TypeAlias = npt.NDArray[np.uint8]  # (N, 32, 32)
GreyReader: TypeAlias = Callable[[list[int]], Grey]
Correlations: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Hold what was found: pairs (`COLUMNS`), and by sha256 the photograph that a picture shows.

    `looks` names only pictures that were joined with others; a photograph is called by the sha256
    of one of them.
    """

    pairs: pd.DataFrame
    looks: dict[str, str]


def find_near_duplicates(
    pictures: pd.DataFrame, words: Words, read_grey: GreyReader
) -> NearDuplicates:
    """Find near-duplicates among N pictures (path, label, sha256) with hashes (N, 8).

    `read_grey` gives small grey copies (n, 32, 32) of the pictures in some rows. Identical files
    count as one picture. A picture of one grey looks like nothing and is joined with none.
    """
    distinct = np.flatnonzero(~pictures["sha256"].duplicated())
    rows = pictures.iloc[distinct].reset_index(drop=True)
    search = _Search(len(rows), lambda numbers: read_grey([int(distinct[n]) for n in numbers]))
    joined = [pair for found in neighbours(words[distinct], LISTED) for pair in search.join(found)]
    tables = [_table(rows, joined, JOINED), _table(rows, search.list_weak(), TO_JUDGE)]
    pairs = pd.concat(tables, ignore_index=True)
    return NearDuplicates(pairs, search.looks(rows["sha256"].tolist()))


def grey_reader(
    root: Path, pictures: pd.DataFrame, workers: int, levels: Levels = Levels()
) -> GreyReader:
    """Give what reads small grey copies of the pictures (path, sha256) below root.

    It raises an InputError where a picture changed since the scan.
    """

    def read(numbers: list[int]) -> Grey:
        rows = pictures.iloc[numbers]
        with ThreadPoolExecutor(max(1, workers)) as pool:
            paths = [root / path for path in rows["path"]]
            copies = list(pool.map(partial(_grey, levels), paths, rows["sha256"]))
        return np.stack(copies)

    return read


def _grey(levels: Levels, path: Path, sha256: str) -> Grey:
    return np.asarray(read_scanned(path, sha256, levels).convert("L").resize((SIDE, SIDE)))


# ---------------------------------------------------------------- judging candidates


class _Search:
    """Keep which pictures were joined so far, and the weak pairs that may be listed.

    Pairs that are joined already through others are not compared again: so a thousand pictures
    of one look cost a thousand comparisons, not a million.
    """

    def __init__(self, pictures: int, read_grey: GreyReader) -> None:
        self.parents = np.arange(pictures)
        self.copies = _GreyCopies(pictures, read_grey)
        self.weak: list[tuple[Candidates, Correlations]] = []

    def join(self, found: Candidates) -> Iterator[tuple[Candidates, Correlations]]:
        """Join the pairs that agree well enough; give them, with their correlations."""
        waiting, share = found, 1
        while len(waiting.one):
            waiting = waiting.take(self._is_open(waiting))
            now = _some_of_each(waiting, share)
            part, waiting = waiting.take(now), waiting.take(~now)
            share *= 2  # so that pictures which agree with none take few rounds too
            correlations = self.copies.correlate(part)
            close = (part.phash <= CLOSE) & (part.dhash <= CLOSE)
            agree = correlations >= np.where(close, AGREE, AGREE_WELL)
            self._note_weak(part.take(~agree), correlations[~agree])
            part = part.take(agree)
            self._unite(part)
            yield part, correlations[agree]

    def list_weak(self) -> list[tuple[Candidates, Correlations]]:
        """Give the pairs that a person should see and that were not joined through others."""
        apart = [self._root(pairs.one) != self._root(pairs.other) for pairs, _ in self.weak]
        kept = zip(self.weak, apart, strict=True)
        return [(pairs.take(mark), correlations[mark]) for (pairs, correlations), mark in kept]

    def looks(self, names: list[str]) -> dict[str, str]:
        """Name, for every picture that was joined, the first one that it was joined with."""
        roots = self._root(np.arange(len(names)))
        sizes = np.bincount(roots, minlength=len(names))
        return {names[n]: names[roots[n]] for n in np.flatnonzero(sizes[roots] > 1)}

    def _is_open(self, pairs: Candidates) -> npt.NDArray[np.bool_]:
        """Tell the pairs that are not joined yet."""
        return np.asarray(self._root(pairs.one) != self._root(pairs.other))

    def _unite(self, pairs: Candidates) -> None:
        for one, other in zip(self._root(pairs.one), self._root(pairs.other), strict=True):
            first, second = sorted(int(self._root(np.array(n))) for n in (one, other))
            self.parents[second] = first

    def _root(self, numbers: Numbers) -> Numbers:
        """Follow pictures to the first one that they were joined with."""
        above = self.parents[numbers]
        while not np.array_equal(above, numbers):
            numbers, above = above, self.parents[above]
        return numbers

    def _note_weak(self, pairs: Candidates, correlations: Correlations) -> None:
        """Remember pairs that are worth a look, those that agree most where there are many."""
        columns = [*self.weak, (pairs, correlations)]
        every = Candidates(*map(np.concatenate, zip(*(found for found, _ in columns), strict=True)))
        agreeing = np.concatenate([values for _, values in columns])
        best = np.argsort(-agreeing, kind="stable")[:MOST_WEAK]
        best = np.sort(best[agreeing[best] >= WORTH_A_LOOK])
        self.weak = [(every.take(best), agreeing[best])]


def _some_of_each(pairs: Candidates, share: int) -> npt.NDArray[np.bool_]:
    """Choose the pairs to compare next: the first few of each picture, in all not too many."""
    place = pd.Series(pairs.other).groupby(pairs.other).cumcount().to_numpy()
    chosen = place < share
    return np.asarray(chosen & (np.cumsum(chosen) <= AT_ONCE))


class _GreyCopies:
    """Hold the small grey copies that were needed so far."""

    def __init__(self, pictures: int, read: GreyReader) -> None:
        self.read = read
        self.place = np.full(pictures, -1)
        self.pixels: Grey = np.empty((0, SIDE, SIDE), dtype=np.uint8)

    def correlate(self, pairs: Candidates) -> Correlations:
        """Correlate the grey values of each pair in its orientation; 0 where one is flat."""
        self._take_up(np.unique(np.concatenate([pairs.one, pairs.other])))
        found = np.zeros(len(pairs.one))
        for orientation in range(TURNS):
            for start in range(0, len(found), AT_ONCE):
                rows = np.flatnonzero(pairs.turn[start : start + AT_ONCE] == orientation) + start
                one = self._standard(pairs.one[rows], 0)
                other = self._standard(pairs.other[rows], orientation)
                found[rows] = np.einsum("np,np->n", one, other)
        return found

    def _take_up(self, numbers: Numbers) -> None:
        fresh = numbers[self.place[numbers] < 0]
        if len(fresh):
            self.place[fresh] = len(self.pixels) + np.arange(len(fresh))
            self.pixels = np.concatenate([self.pixels, self.read(fresh.tolist())])

    def _standard(self, numbers: Numbers, orientation: int) -> npt.NDArray[np.float32]:
        """Give copies (n, 1024) of mean 0 and length 1; a flat one stays 0."""
        pixels = turn(self.pixels[self.place[numbers]].astype(np.float32), orientation)
        flat = pixels.reshape(len(numbers), SIDE * SIDE)
        flat = flat - flat.mean(axis=1, keepdims=True)
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        return np.where(length > FLAT, flat / np.maximum(length, FLAT), 0).astype(np.float32)


# ---------------------------------------------------------------- the table


def _table(
    rows: pd.DataFrame, found: Iterable[tuple[Candidates, Correlations]], verdict: str
) -> pd.DataFrame:
    """Lay pairs out, those that agree most first, each once."""
    empty = pd.DataFrame(columns=COLUMNS[:-1])
    parts = [_lay_out(rows, pairs, correlations) for pairs, correlations in found]
    table = pd.concat([part for part in parts if len(part)] or [empty], ignore_index=True)
    order = ["correlation", "path", "other", "orientation"]
    table = table.sort_values(order, ascending=[False, True, True, True], ignore_index=True)
    table = table.drop_duplicates(["path", "other"]).assign(verdict=verdict)
    return table.head(MOST_LISTED) if verdict == TO_JUDGE else table


def _lay_out(rows: pd.DataFrame, pairs: Candidates, correlations: Correlations) -> pd.DataFrame:
    """Name the pictures of each pair, the smaller path first."""
    paths, labels = rows["path"].to_numpy(dtype=object), rows["label"].to_numpy(dtype=object)
    swapped = paths[pairs.one] > paths[pairs.other]
    one = np.where(swapped, pairs.other, pairs.one)
    other = np.where(swapped, pairs.one, pairs.other)
    turns = np.where(swapped, BACK[pairs.turn], pairs.turn)
    columns = [
        paths[one], paths[other], labels[one], labels[other],
        np.array(ORIENTATIONS, dtype=object)[turns], pairs.phash, pairs.dhash,
        correlations.round(4),
    ]  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=False)))
