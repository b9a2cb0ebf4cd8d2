"""Find duplicates: images with other bytes that show the same, and the same under two classes.

Two images are near-duplicates where both their perceptual hashes are close, flipped or turned, and
small grey copies of them agree closely in that orientation; the less close the hashes, the more
closely. Weaker pairs are listed for a person to judge, and change nothing. Cropped, sheared or
recoloured copies can escape every hash: what the file names say of patients and copies finds more.

The search is not quadratic. Each hash is cut into one band more than the bits that may differ, so
that at least one band of two close hashes is equal; images are compared where a band of their
pHash and a band of their dHash agree.

Images of one fixed camera, one plate or one video all look nearly the same, though they show
different things. So a table that names the group of every image outranks near-duplicates, and they
are not joined where that would swallow a class.

Source: multi-index hashing (Norouzi, Punjani and Fleet 2012, doi:10.1109/CVPR.2012.6248043). It
departs from it in that bands hold every n-th bit, since neighbouring bits depend on each other, and
in that both hashes must agree. The limits were measured on the Monkeypox Skin Lesion Dataset v1. Of
pairs of unlike patients, flips and turns tried, pHash alone within 4 bits finds 14, dHash alone 28,
both together just the one that is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from resnext.contracts.formatting import first_few
from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.manifest.hashing import SIDE, TURNS, Hashes, turn, turned
from resnext.data.split.groups import Groups, Joined, Numbers, join_groups
from resnext.data.split.settings import SplitSettings

CLOSE = 4  # bits of each hash that may differ where two images are taken for one
AGREE = 0.95  # least correlation of their grey copies then
LISTED = 6  # bits of each hash that may differ where a pair is looked at
AGREE_WELL = 0.99  # least correlation of images taken for one beyond CLOSE
WORTH_A_LOOK = 0.8  # least correlation of a pair that is listed
MOST_LISTED = 200  # pairs
MOST_WEAK = 10_000  # pairs that are kept in mind to be listed
AT_ONCE = 10_000  # pairs whose grey copies are compared at once
CHUNK = 1 << 20  # hashes compared at once
SWALLOWED = 0.5  # share of a class above which one joined group swallows it
AT_LEAST = 10  # images that such a group holds
JOINED, TO_JUDGE = "joined", "listed"
REPORTED = "reported"
"""The verdict on pairs that are near-duplicates and were not joined all the same."""
CONFLICT = "label conflict"
COLUMNS = [
    "path", "other", "label", "other_label", "orientation", "phash_distance", "dhash_distance",
    "correlation", "verdict",
]  # fmt: skip
ORIENTATIONS = np.array(
    [
        "as it is",
        "mirrored left to right",
        "mirrored top to bottom",
        "turned by 180 degrees",
        "mirrored at the falling diagonal",
        "turned by 90 degrees anticlockwise",
        "turned by 90 degrees clockwise",
        "mirrored at the rising diagonal",
    ],
    dtype=object,
)
BACK = np.array([0, 1, 2, 3, 4, 6, 5, 7])  # the orientation that undoes each
FLAT = float(SIDE)  # length of the deviations of an image that deviates by one grey level

Grey: TypeAlias = npt.NDArray[np.uint8]  # (N, 32, 32)
GreyReader: TypeAlias = Callable[[list[int]], Grey]


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Hold what was found: pairs (`COLUMNS`), and the cluster of each image by its sha256.

    `clusters` names only images that are joined with others; a cluster is called by the sha256 of
    one of them. `not_joined` says why others are not, whose pairs' verdict is `REPORTED`.
    """

    pairs: pd.DataFrame
    clusters: dict[str, str]
    not_joined: str = ""

    def cluster_of(self, images: pd.DataFrame) -> pd.Series[str]:
        """Name the cluster of each image (sha256), empty where it has none."""
        found = [self.clusters.get(digest, "") for digest in images["sha256"]]
        return pd.Series(found, images.index, dtype="str")


def find_near_duplicates(
    images: pd.DataFrame, hashes: Hashes, read_grey: GreyReader
) -> NearDuplicates:
    """Find near-duplicates among N images (path, label, sha256) with hashes (N, 8).

    `read_grey` gives small grey copies (n, 32, 32) of the images in some rows. Identical files
    count as one image. An image of one grey looks like nothing and is joined with none.
    """
    distinct = np.flatnonzero(~images["sha256"].duplicated())
    rows = images.iloc[distinct].reset_index(drop=True)
    search = _Search(len(rows), lambda numbers: read_grey([int(distinct[n]) for n in numbers]))
    joined = [
        pair for found in close_pairs(hashes[distinct], LISTED) for pair in search.join(found)
    ]
    tables = [_table(rows, joined, JOINED), _table(rows, [search.apart(search.weak)], TO_JUDGE)]
    digests, first = rows["sha256"].tolist(), search.joined.first
    sizes = np.bincount(first, minlength=len(first))
    clusters = {digests[n]: digests[first[n]] for n in np.flatnonzero(sizes[first] > 1)}
    return NearDuplicates(pd.concat(tables, ignore_index=True), clusters)


def grey_reader(
    root: Path, images: pd.DataFrame, workers: int, levels: Levels = Levels()
) -> GreyReader:
    """Give what reads small grey copies of the images (path, sha256) below root.

    It raises an InputError where an image changed since the scan.
    """

    def grey(path: str, sha256: str) -> Grey:
        image = read_scanned(root / path, sha256, levels)
        return np.asarray(image.convert("L").resize((SIDE, SIDE)))

    def read(numbers: list[int]) -> Grey:
        rows = images.iloc[numbers]
        with ThreadPoolExecutor(max(1, workers)) as pool:
            return np.stack(list(pool.map(grey, rows["path"], rows["sha256"])))

    return read


# ---------------------------------------------------------------- close hashes


class _Hash(NamedTuple):
    """Hold one hash of N images in the eight orientations (8, N), and its bands (8, B, N)."""

    bits: Hashes
    bands: Numbers


def close_pairs(hashes: Hashes, radius: int) -> Iterator[pd.DataFrame]:
    """Find the pairs of N hashed images (N, 8) of which neither hash differs in more bits.

    Gives tables of pairs by number: `other`, brought into orientation `turn`, resembles `one`;
    `phash` and `dhash` are the bits that differ. A pair is given once for each orientation in which
    it is found. Of images with equal hashes only the first is compared with the others.
    """
    distinct, first, number = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    firsts = first[number.reshape(-1)]
    equal = np.flatnonzero(firsts != np.arange(len(firsts)))
    yield pd.DataFrame({"one": firsts[equal], "other": equal, "turn": 0, "phash": 0, "dhash": 0})
    phash, dhash = (_cut(bits, radius + 1) for bits in turned(distinct))
    for bands in product(range(radius + 1), range(radius + 1)):
        for orientation in range(TURNS):
            for one, other in _meetings(phash.bands, dhash.bands, bands, orientation):
                found = _compare((phash, dhash), one, other, orientation, bands, radius)
                if len(found["one"]):
                    numbers = {name: first[found[name]] for name in ("one", "other")}
                    yield pd.DataFrame(found | numbers | {"turn": orientation})


def _cut(bits: Hashes, bands: int) -> _Hash:
    """Cut a hash (8, N) into bands of every n-th bit: numbers (8, B, N)."""
    each = np.unpackbits(bits.astype(">u8")[..., None].view(np.uint8), axis=2)  # (8, N, 64)
    cut = [each[:, :, start::bands] for start in range(bands)]
    powers = [1 << np.arange(band.shape[2], dtype=np.int32) for band in cut]
    return _Hash(bits, np.stack([b @ p for b, p in zip(cut, powers, strict=True)], axis=1))


def _meetings(
    phash: Numbers, dhash: Numbers, bands: tuple[int, int], orientation: int
) -> Iterator[tuple[Numbers, Numbers]]:
    """Pair images with an equal key made of one band of each hash, some at a time."""
    keys = (phash[:, bands[0]].astype(np.int64) << 16) | dhash[:, bands[1]]  # (8, N)
    order = np.argsort(keys[0], kind="stable")
    known = keys[0][order]
    begin = np.searchsorted(known, keys[orientation], side="left")
    counts = np.searchsorted(known, keys[orientation], side="right") - begin
    totals = np.cumsum(counts)
    cuts = np.flatnonzero(np.diff(totals // CHUNK)) + 1
    for rows in np.split(np.arange(len(totals)), cuts):
        n = counts[rows]
        start = np.repeat(begin[rows] - (np.cumsum(n) - n), n)
        one, other = order[start + np.arange(len(start))], np.repeat(rows, n)
        if (ahead := one < other).any():
            yield one[ahead], other[ahead]


def _compare(
    hashes: tuple[_Hash, _Hash],
    one: Numbers,
    other: Numbers,
    orientation: int,
    bands: tuple[int, int],
    radius: int,
) -> dict[str, Numbers]:
    """Keep the pairs that are close and were not found by a band before."""
    phash, dhash = (
        np.bitwise_count(side.bits[0, one] ^ side.bits[orientation, other]) for side in hashes
    )
    near = np.flatnonzero((phash <= radius) & (dhash <= radius))
    new = np.ones(len(near), dtype=bool)
    for side, band in zip(hashes, bands, strict=True):
        for before in range(band):
            new &= side.bands[0, before, one[near]] != side.bands[orientation, before, other[near]]
    columns = {"one": one, "other": other, "phash": phash, "dhash": dhash}
    return {name: column[near[new]].astype(np.int64) for name, column in columns.items()}


# ---------------------------------------------------------------- judging close pairs


class _Search:
    """Keep which images were joined so far, their grey copies, and the weak pairs to be listed.

    Pairs that are joined already through others are not compared again: so a thousand images
    that look the same cost a thousand comparisons, not a million.
    """

    def __init__(self, count: int, read_grey: GreyReader) -> None:
        self.joined = Joined(count)
        self.read_grey = read_grey
        self.greys: dict[int, Grey] = {}  # by number, (32, 32)
        self.weak = pd.DataFrame(columns=["one", "other", "correlation"])

    def join(self, waiting: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Join the pairs that agree well enough; give them, with their correlations."""
        share = 1
        while len(waiting := self.apart(waiting)):
            # the first few of each image are compared next, in all not too many
            chosen = waiting.groupby("other").cumcount() < share
            chosen &= chosen.cumsum() <= AT_ONCE
            share *= 2  # so that images which agree with none take few rounds too
            pairs, waiting = self._correlate(waiting[chosen]), waiting[~chosen]
            close = (pairs["phash"] <= CLOSE) & (pairs["dhash"] <= CLOSE)
            agree = pairs["correlation"] >= np.where(close, AGREE, AGREE_WELL)
            self._note_weak(pairs[~agree])
            self.joined.join(
                pairs.loc[agree, "one"].to_numpy(), pairs.loc[agree, "other"].to_numpy()
            )
            yield pairs[agree]

    def apart(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Keep the pairs that are not joined, directly or through others."""
        first = self.joined.first
        one, other = (first[pairs[name].to_numpy(dtype=np.int64)] for name in ("one", "other"))
        return pairs[pd.Series(one != other, pairs.index)]

    def _note_weak(self, pairs: pd.DataFrame) -> None:
        """Remember pairs that are worth a look, those that agree most where there are many."""
        pairs = pairs[pairs["correlation"] >= WORTH_A_LOOK]
        if len(pairs):
            every = pd.concat([self.weak, pairs] if len(self.weak) else [pairs], ignore_index=True)
            best = every["correlation"].sort_values(ascending=False, kind="stable").head(MOST_WEAK)
            self.weak = every.loc[best.index.sort_values()]

    def _correlate(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Correlate the grey values of each pair in its orientation; 0 where one is flat."""
        numbers = pd.unique(pairs[["one", "other"]].to_numpy().ravel())
        fresh = sorted(int(n) for n in numbers if n not in self.greys)
        if fresh:
            self.greys |= zip(fresh, self.read_grey(fresh), strict=True)
        found = pd.Series(0.0, pairs.index)
        for orientation in range(TURNS):
            mine = pairs[pairs["turn"] == orientation]
            if len(mine):
                one = self._standard(mine["one"], 0)
                other = self._standard(mine["other"], orientation)
                found[mine.index] = np.einsum("np,np->n", one, other)
        return pairs.assign(correlation=found)

    def _standard(self, numbers: pd.Series[int], orientation: int) -> npt.NDArray[np.float32]:
        """Give grey copies (n, 1024) of mean 0 and length 1; a flat one stays 0."""
        pixels = np.stack([self.greys[n] for n in numbers.tolist()]).astype(np.float32)
        flat = turn(pixels, orientation).reshape(len(numbers), SIDE * SIDE)
        flat = flat - flat.mean(axis=1, keepdims=True)
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        return np.where(length > FLAT, flat / np.maximum(length, FLAT), 0).astype(np.float32)


def _table(rows: pd.DataFrame, found: Iterable[pd.DataFrame], verdict: str) -> pd.DataFrame:
    """Lay pairs out, the smaller path first, those that agree most before others, each once."""
    pairs = pd.concat([pair for pair in found if len(pair)] or [pd.DataFrame()], ignore_index=True)
    if pairs.empty:
        return pd.DataFrame(columns=COLUMNS)
    paths, labels = rows["path"].to_numpy(dtype=object), rows["label"].to_numpy(dtype=object)
    one, other, turns = (pairs[name].to_numpy(dtype=np.int64) for name in ("one", "other", "turn"))
    swapped = paths[one] > paths[other]
    one, other = np.where(swapped, other, one), np.where(swapped, one, other)
    columns = [
        paths[one], paths[other], labels[one], labels[other],
        ORIENTATIONS[np.where(swapped, BACK[turns], turns)], pairs["phash"], pairs["dhash"],
        pairs["correlation"].round(4), verdict,
    ]  # fmt: skip
    table = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    order = ["correlation", "path", "other", "orientation"]
    table = table.sort_values(order, ascending=[False, True, True, True])
    table = table.drop_duplicates(["path", "other"])
    return table.head(MOST_LISTED) if verdict == TO_JUDGE else table


# ---------------------------------------------------------------- which ones are joined


def choose_joined(
    groups: Groups, near: NearDuplicates, settings: SplitSettings, before: pd.Series[str]
) -> NearDuplicates:
    """Choose the near-duplicates to join; `before` names the group of each image before, if any.

    Where they would leave a class in too few groups, or mostly in one, none of its groups is
    joined to others.
    """
    images = groups.images
    if settings.near_duplicates == "report":
        return _keep(images, near, {}, "--near-duplicates report was given")
    if groups.listed == len(images):
        return _keep(images, near, {}, "--groups names the group of every image")
    unit = images["original" if settings.strategy == "stratified" else "group"]
    columns = (images["sha256"], images["original"], images["decided"], before)
    keys = [column.tolist() for column in columns]
    apart = images.assign(apart=join_groups(unit.tolist(), *keys))
    clusters, swallowed = dict(near.clusters), list[str]()
    while found := _swallowed(apart, clusters, settings):
        swallowed += found
        mine = apart["apart"].isin(apart.loc[apart["label"].isin(found), "apart"])
        digests = apart.loc[mine, "sha256"]  # of other classes too
        cut = {clusters[digest] for digest in digests if digest in clusters}
        clusters = {digest: name for digest, name in clusters.items() if name not in cut}
    named = first_few(map(repr, sorted(swallowed)))
    why = f"joining would leave class {named} in too few groups, or mostly in one"
    return _keep(images, near, clusters, why)


def _keep(
    images: pd.DataFrame, near: NearDuplicates, clusters: dict[str, str], why: str
) -> NearDuplicates:
    """Join some of the near-duplicates alone; the reason counts only where others are left."""
    left = images.loc[~images["sha256"].isin(list(clusters)), "path"]
    reported = (near.pairs["verdict"] == JOINED) & near.pairs["path"].isin(left)
    pairs = near.pairs.assign(verdict=near.pairs["verdict"].mask(reported, REPORTED))
    return replace(near, pairs=pairs, clusters=clusters, not_joined=why if reported.any() else "")


def _swallowed(
    images: pd.DataFrame, clusters: Mapping[str, str], settings: SplitSettings
) -> list[str]:
    """Name the classes that joining would leave in too few groups, or mostly in one.

    The images' column `apart` names their groups without near-duplicates.
    """
    if not clusters:
        return []
    cluster = [clusters.get(digest, "") for digest in images["sha256"]]
    table = images.assign(joined=join_groups(images["apart"].tolist(), cluster))
    table = table[table["copy"].fillna(0) == 0].drop_duplicates(["label", "sha256"])
    needed = settings.fold[1] if settings.fold else len(settings.splits)
    sizes = (table.groupby(["label", column]).size() for column in ("apart", "joined"))
    apart, joined = (size.groupby(level="label").agg(["size", "max", "sum"]) for size in sizes)
    too_few = (joined["size"] < needed) & (apart["size"] >= needed)
    most = (joined["max"] >= AT_LEAST) & (joined["max"] > SWALLOWED * joined["sum"])
    new = apart["max"] <= SWALLOWED * apart["sum"]
    return joined.index[too_few | (most & new)].tolist()


# ---------------------------------------------------------------- the same under two classes


def label_conflicts(images: pd.DataFrame) -> pd.Series[str]:
    """Say of each image which one of another class it equals; empty where there is none.

    Nobody but a person can tell which class is right, so that they are left out and named.
    `images` holds path, label, sha256, original and cluster (empty where nothing is near), sorted
    by path. Identical files are named before near-duplicates, and these before copies of either.
    """
    said = pd.Series("", images.index, dtype="str")
    for column, words in (("sha256", "identical to"), ("cluster", "nearly identical to")):
        first = images[images[column] != ""].drop_duplicates([column, "label"])
        again = first[column].duplicated()  # the first of a second class
        one = first[~again].set_index(column)
        second = first[again].drop_duplicates(column).set_index(column)["path"]
        is_second = images["label"] != images[column].map(one["label"])
        rival = images[column].map(one["path"]).where(is_second, images[column].map(second))
        rival = rival.where(images[column].isin(second.index)).astype("str")
        said = said.where(said != "", (f"{CONFLICT}: {words} " + rival).fillna(""))
    named = images[said != ""].drop_duplicates("original", keep="last").set_index("original")
    copied = images["original"].map(named["path"]).astype("str")
    return said.where(said != "", (f"{CONFLICT}: copy of " + copied).fillna(""))
