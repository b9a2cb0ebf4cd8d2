"""Find which images belong to one group, as those of one patient, and which are copies of one.

A pattern or a table of the user's decides. Else names and folders only seem to say it, and evidence
decides which part of it is believed: a copy's number where copies look like their originals, a
group where none holds nearly a whole class. Without hashes nothing speaks against the copies, so
that they are taken. What is taken so is a guess, but for a built-in scheme with mirrored or turned
copies in it. It opens no image.

Source: the naming schemes are those of the Monkeypox Skin Lesion Dataset v1 (Ali et al. 2022,
arXiv:2207.03342) and v2 (Ali et al. 2023, arXiv:2306.14169), with any letters in front. The limits
of likeness were measured on v1, where 78 % of the copies lie within `ALIKE` of their original, and
no pair of two originals of 2,061 does. Of copies that are turned by any angle up to 30 degrees 23 %
do, of colour changes, noise and blur nearly all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from resnext.contracts.errors import InputError
from resnext.data.manifest.hashing import Hashes, turned
from resnext.data.split.guess import Guess, counts_anew, doubt_of_groups, find_structure

FIT = 0.95  # share of names that a built-in scheme must fit
NAMED_IDS = 12  # of a joined group that are in its name
AGAIN = "="  # after the name of a joined group that another group has already
ORIGINALS = 0.1  # share of originals that must be there themselves, not as copies alone
WHOLE = 0.8  # share of a class in one group that shows a guess to be wrong
JUDGED = 4  # images of a class from which that is looked at
SAMPLE = 500  # copies compared with their originals, and originals with each other
ALIKE = 28  # of 128 bits of both hashes that may differ, in the best of eight orientations
LEAST = 0.2  # share of copies that must look like their original
CLEARLY = 4  # times as many as of the originals
TURNED = 0.05  # share of the alike ones that must be mirrored or turned, as no second image is
GOLDEN = (5**0.5 - 1) / 2  # so spread, a sample does not fall in step with the copies' numbers
NOT_BELIEVED = "its numbers of copies are not believed"
ALONE = "(?P<group>.+)"
EACH_ALONE = f"--group-pattern '{ALONE}'"
"""What to give where every image is a group of its own."""
_COPY = r"(?:_(?P<copy>\d{1,3}))?(?:\.[^./]*)?$"

Numbers: TypeAlias = npt.NDArray[np.int64]


class Scheme(NamedTuple):
    """Name a way of naming images, with patterns such as `group_pattern` takes."""

    name: str
    words: str
    """What a reader calls it."""
    pattern: str
    """Of group, original and copy."""
    without_copies: str
    of_originals: str
    """By which each original is a group, with its copies."""


SCHEMES = tuple(
    Scheme(
        name,
        words,
        rf"(?:^|/)(?P<group>{group})_\d{{1,3}}{_COPY}",
        rf"(?:^|/)(?P<group>{group})_",
        rf"^(?P<group>(?:.*/)?{group}_\d{{1,3}}){_COPY}",
    )
    for name, words, group in (
        (
            "patient_photograph_copy",
            "the form P01_02_03 (patient, photograph, copy)",
            r"[A-Za-z]+\d{1,4}",
        ),
        (
            "class_patient_photograph",
            "the form POX_01_02_03 (class, patient, photograph, copy)",
            r"[A-Za-z]+_\d{1,4}",
        ),
    )
)


def in_words(text: str) -> str:
    """Write built-in schemes in a text as a reader knows them."""
    for scheme in SCHEMES:
        text = text.replace(scheme.name, scheme.words)
    return text


class Reading(NamedTuple):
    """Say by what pattern names are read, and how far that can be believed.

    `pattern` is what `group_pattern` would say for the same; it is empty where nothing was taken.
    `but` says what was not believed of the names, and why. `proposal` may tell groups, but a person
    must say so.
    """

    scheme: str = ""
    pattern: str = ""
    guessed: bool = False
    but: str = ""
    proposal: str = ""


@dataclass(frozen=True, eq=False)
class Groups:
    """Hold how names were read, and the images with what names and the user's table say.

    `images` is sorted by path: path, label, sha256, group, copy, original, fits (the pattern does),
    listed (the table names its group); its groups are not joined yet. A person may have `decided`
    which group an image joins, and that an image is `left_out`, and why; else these are empty.
    """

    reading: Reading
    images: pd.DataFrame

    @property
    def fits(self) -> int:
        """Count the images that the pattern fits."""
        return int(self.images["fits"].sum())

    @property
    def listed(self) -> int:
        """Count the images whose group stands in the user's table."""
        return int(self.images["listed"].sum())

    @property
    def unknown(self) -> int:
        """Count the images that are a group of their own since nothing tells theirs."""
        return int((~self.images["fits"] & ~self.images["listed"]).sum())

    @property
    def guessed(self) -> bool:
        """Tell whether the group of an image stands on a guess."""
        return self.reading.guessed and self.listed < len(self.images)

    @property
    def ids(self) -> int:
        """Count the groups before any are joined."""
        return int(self.images["group"].nunique())


def find_groups(
    manifest: pd.DataFrame,
    group_pattern: str | None = None,
    groups: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    hashes: Hashes | None = None,
) -> Groups:
    """Find the group of each image, and the copies.

    The pattern decides, else the first built-in scheme that fits, else the first that fits the
    paths of an earlier split, else what is plain in folders and names, else every image is a
    group. `groups`, by path, wins over all of them where it names an image. `hashes` (N, 8) are
    those of the manifest's rows.

    Raises:
        InputError: the pattern fits no path, or its `copy` is no number.
    """
    order = np.argsort(manifest["path"].to_numpy(), kind="stable")
    images = manifest[["path", "label", "sha256"]].iloc[order].reset_index(drop=True)
    if group_pattern is None:
        reading = _choose_reading(images, None if hashes is None else hashes[order], before)
    else:
        reading = Reading(f"--group-pattern {group_pattern}", group_pattern)
    read = _read(reading.pattern, images)
    if group_pattern is not None and not read["fits"].any():
        raise InputError(
            "group_pattern",
            "fit the paths",
            f"{group_pattern!r}",
            f"It fits none of {len(images):,}, for example {images['path'].iloc[0]!r}. Correct it "
            "or leave it out.",
        )
    listed = read["path"].map(groups or {}).astype("str")
    group = listed.fillna(read["group"])
    read = read.assign(group=group, listed=listed.notna(), decided="", left_out="")
    return Groups(reading, read)


class Joined:
    """Keep which of some things are joined: each is known by the first that it is joined with."""

    def __init__(self, count: int) -> None:
        self.first: Numbers = np.arange(count)

    def join(self, one: Numbers, other: Numbers) -> None:
        """Join pairs of things, by their numbers."""
        while (apart := self.first[one] != self.first[other]).any():
            ends = self.first[one[apart]], self.first[other[apart]]
            np.minimum.at(self.first, np.maximum(*ends), np.minimum(*ends))
            while not np.array_equal(above := self.first[self.first], self.first):
                self.first = above


def join_groups(groups: Sequence[str], *keys: Sequence[str]) -> list[str]:
    """Join groups that hold an equal key, directly or through others; an empty key joins none.

    `keys` are columns, each with a key for every entry of `groups`. A joined group is called by
    its ids in order, `A=B`; of very many, by the first ones and the number of the others. No two
    groups get one name, even where ids hold a `=` themselves.
    """
    ids = sorted(set(groups))
    number = {name: place for place, name in enumerate(ids)}
    mine = np.array([number[group] for group in groups], dtype=np.int64)
    joined = Joined(len(ids))
    for column in keys:
        first: dict[str, int] = {}
        pairs = zip(column, mine.tolist(), strict=True)
        firsts = [first.setdefault(key, one) if key else one for key, one in pairs]
        joined.join(mine, np.array(firsts, dtype=np.int64))
    members: dict[int, list[str]] = {}
    for root, name in zip(joined.first.tolist(), ids, strict=True):
        members.setdefault(root, []).append(name)
    names = {root: found[0] for root, found in members.items() if len(found) == 1}
    taken = set(names.values())
    for root, found in members.items():
        if len(found) > 1:
            names[root] = _joined_name(found, taken)
            taken.add(names[root])
    return [names[root] for root in joined.first[mine].tolist()]


def _joined_name(ids: list[str], taken: set[str]) -> str:
    """Name a group by its sorted ids, which a name can't always be parted into again."""
    more = len(ids) - NAMED_IDS
    name = "=".join(ids[:NAMED_IDS]) + (f"=+{more}" if more > 0 else "")
    while name in taken:
        name += AGAIN
    return name


# ---------------------------------------------------------------- what names say


def _choose_reading(images: pd.DataFrame, hashes: Hashes | None, before: Sequence[str]) -> Reading:
    """Choose how the images (path, label) are read, by names and evidence.

    A few new images of other names must not make strangers of patients that a model knows.
    """
    paths, but = images["path"].tolist(), ""
    for those in (paths, before):
        for scheme in SCHEMES:
            search = re.compile(scheme.pattern).search
            if those and sum(map(bool, map(search, those))) >= FIT * len(those):
                reading = _judge(scheme, images, hashes)
                if reading.pattern:
                    return reading
                but = but or reading.but
    guess = find_structure(paths, images["label"].tolist())
    if before and not (guess and guess.plain):
        earlier = find_structure(before, [path.split("/")[0] for path in before])
        guess = earlier if earlier and earlier.plain else guess
    return _guessed(guess, images, but) if guess else Reading(but=but)


def _guessed(guess: Guess, images: pd.DataFrame, but: str) -> Reading:
    """Take a guess where it is plain, propose it where it can serve, else say why it is neither."""
    if not guess.enough:
        return Reading(but=but or f"values repeat in {guess.where}, but a class has too few")
    if not guess.plain:
        return Reading(but=but, proposal=guess.pattern)
    if giant := _giant_group(_read(guess.pattern, images)):
        return Reading(but=f"{guess.where} would tell groups, but {giant}")
    return Reading(guess.where, guess.pattern, guessed=True, but=but)


def _judge(scheme: Scheme, images: pd.DataFrame, hashes: Hashes | None) -> Reading:
    """Say what of a built-in scheme that fits the names is believed; no pattern if nothing is."""
    read = _read(scheme.pattern, images)
    named = read[read["fits"]].reset_index(drop=True)
    if named.empty:  # the scheme is that of an earlier split
        return Reading()
    doubt, certain = _doubt_of_copies(read, named, hashes)
    has_copies = not doubt and bool((read["copy"] > 0).any())
    group, label = named["group"], named["label"]
    wrong = _giant_group(read) or counts_anew(group, label, named["path"].tolist())
    if not wrong and not has_copies:
        wrong = doubt_of_groups(group, label)
    if not wrong:
        pattern = scheme.without_copies if doubt else scheme.pattern
        return Reading(scheme.name, pattern, guessed=not certain, but=doubt)
    if has_copies:
        name = f"{scheme.name}, originals as groups"
        return Reading(name, scheme.of_originals, guessed=True, but=wrong)
    return Reading(but=f"{scheme.name} fits the names, but {wrong}")


def _giant_group(read: pd.DataFrame) -> str:
    """Name a group that holds nearly a whole class, which no patient does; empty without one."""
    sizes = read.groupby(["label", "group"]).size()
    by_class = sizes.groupby(level="label").agg(["sum", "max", "idxmax"])
    found = by_class[(by_class["sum"] >= JUDGED) & (by_class["max"] >= WHOLE * by_class["sum"])]
    for label, (total, largest, (_, group)) in zip(found.index, found.to_numpy(), strict=True):
        return f"group {group!r} would hold {largest:,} of {total:,} images of class {label!r}"
    return ""


def _read(pattern: str, images: pd.DataFrame) -> pd.DataFrame:
    """Put beside images (path) what a pattern reads in their names; an empty one reads nothing."""
    compiled = re.compile(pattern or r"(?!)(?P<group>)")
    names = [read_name(compiled, path) for path in images["path"]]
    group, copy, original, fits = zip(*names, strict=True)
    return images.assign(
        group=pd.Series(group, images.index, dtype="str"),
        copy=pd.array(copy, dtype="Int64"),
        original=pd.Series(original, images.index, dtype="str"),
        fits=pd.Series(fits, images.index, dtype="bool"),
    )


def read_name(pattern: re.Pattern[str], path: str) -> tuple[str, int | None, str, bool]:
    """Read group, copy and original in a path, and whether the pattern fits it.

    The original is the path without ending and copy number. A path that the pattern does not fit
    is a group of its own.

    Raises:
        InputError: what the pattern captures as copy is no number.
    """
    match = pattern.search(path)
    if match is None or not match["group"]:
        return path, None, path, False
    if "copy" not in pattern.groupindex:
        return match["group"], None, path, True
    stem, copy = path.removesuffix(Path(path).suffix), match["copy"]
    if not copy:
        return match["group"], 0, stem, True
    if not (copy.isascii() and copy.isdigit()):
        raise InputError(
            "group_pattern",
            "capture digits as 'copy'",
            f"{copy!r}",
            f"Path {path!r}. Correct the pattern.",
        )
    before, after = stem[: match.start("copy")].rstrip("_-. ("), stem[match.end("copy") :]
    return match["group"], int(copy), before + after, True


# ---------------------------------------------------------------- whether copies are copies


class Likeness(NamedTuple):
    """Count the copies that were compared, those alike, those alike but turned, and a control."""

    compared: int
    alike: int
    turned: int
    control: int
    control_alike: int

    @property
    def believed(self) -> bool:
        """Tell whether copies look like their originals, clearly more than other originals do."""
        share = self.alike / self.compared
        return share >= LEAST and share > CLEARLY * self.control_alike / max(self.control, 1)

    @property
    def certain(self) -> bool:
        """Tell whether they can't be second photographs or frames, since some are mirrored."""
        return self.believed and self.turned >= max(TURNED * self.alike, 1)


def _doubt_of_copies(
    read: pd.DataFrame, named: pd.DataFrame, hashes: Hashes | None
) -> tuple[str, bool]:
    """Say why a scheme's copies are not believed, empty where they are, and whether for certain.

    Most originals must not be there as copies alone, which keeps dates from being taken for
    copies; and with hashes, copies must look like their originals.
    """
    there = named.loc[named["copy"] == 0, "original"].nunique()
    if there < ORIGINALS * named["original"].nunique():
        return f"{NOT_BELIEVED}: most originals would be there as copies alone", False
    found = None if hashes is None else compare_copies(read, hashes)
    if found is None or found.believed:
        return "", found is not None and found.certain
    return (
        f"{NOT_BELIEVED}: {found.alike:,} of {found.compared:,} that were compared look like "
        f"the original, and {found.control_alike:,} of {found.control:,} pairs of other "
        "originals look alike"
    ), False


def compare_copies(images: pd.DataFrame, hashes: Hashes) -> Likeness | None:
    """Compare some copies with originals by their hashes (N, 8); None where names tell no copy.

    Numbers that count something else, such as tiles, frames of a fixed camera or further
    photographs of a lesion, make no difference to the control: as many originals compared with
    others, those of the same group where there are some.
    `images` holds label, group, original and copy (empty counts as 0), sorted by path. The original
    is the lowest number that is there.
    """
    ranked = images.assign(copy=images["copy"].fillna(0), row=np.arange(len(images)))
    ranked = ranked.sort_values(["original", "copy"], kind="stable")
    is_first = ~ranked["original"].duplicated()
    originals = ranked[is_first].sort_values(["label", "group", "original"])
    copies = ranked[~is_first]
    if copies.empty:
        return None
    copies = copies.iloc[_spread(len(copies))]
    own = originals.set_index("original")["row"][copies["original"]]
    alike, is_turned = _alike(hashes, own.to_numpy(), copies["row"].to_numpy())
    rows = originals["row"].to_numpy()
    chosen = _spread(len(rows) - 1)
    control, _ = _alike(hashes, rows[chosen], rows[chosen + 1])
    same, mirrored, others = (int(found.sum()) for found in (alike, alike & is_turned, control))
    return Likeness(len(alike), same, mirrored, len(control), others)


def _spread(n: int) -> Numbers:
    """Choose at most `SAMPLE` numbers below n, evenly spread."""
    if n <= SAMPLE:
        return np.arange(n)
    return np.unique((np.arange(SAMPLE) * GOLDEN % 1 * n).astype(np.int64))


def _alike(
    hashes: Hashes, one: Numbers, other: Numbers
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which pairs are alike, and which are closest mirrored or turned."""
    bits = np.zeros((8, len(one)), dtype=np.int64)
    for mine, theirs in zip(turned(hashes[one]), turned(hashes[other]), strict=True):
        bits += np.bitwise_count(mine[0] ^ theirs)
    return bits.min(axis=0) <= ALIKE, bits.argmin(axis=0) > 0
