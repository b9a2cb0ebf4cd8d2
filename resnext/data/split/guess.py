"""Guess from folders and names which images belong to one group, where no scheme is known.

A folder level below the class, or a field of the file names, may hold the patient, slide or video:
its values repeat within a class, and none of them holds much of a class. What is found is a
pattern for `--group-pattern`. It is plain where just one level or field can be it; else a person
must say. Dates and UUIDs are never plain, nor is the last field without a telling word: that one
counts images. It opens no image and groups nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from resnext.data.manifest.listing import SPLIT_FOLDER_NAMES

FIT = 0.95  # share of names that must be of one shape
REPEATS = 0.5  # least share of images whose value occurs again in their class
FEWEST, LARGEST = 5, 1 / 3  # values a class, and share of a class in one of them
FEWEST_NAMED, LARGEST_NAMED = 3, 0.6  # the same where a word says that it is a group
HOLDS = 0.9  # share of images in classes of which that must be true
PURE = 0.95  # share of repeated values that stand in one class alone
SHARED = 10  # so many values at least, where they are no more of one class than of another
MOST_FIELDS = 12
WORDS = (  # that name a group, the widest first
    "p pat patient pt subj subject sub sbj person participant donor animal mouse rat case id",
    "slide wsi specimen biopsy sample block plate plant study exam series session visit",
    "video vid clip movie seq sequence scene track well",
    "lesion les nodule wound tooth leaf",
)
COUNTERS = (  # that name the image itself, what is in it, or its class
    "img image im photo pic picture foto bild frame fr view tile patch crop row col aug copy rot "
    "page shot dsc dscn dscf imgp wa snap x y z r c t f v n no ch grade stage level score class "
    "label fold part split set"
)
LETTERS_RANK, DIGITS_RANK, COUNTER_RANK = len(WORDS), len(WORDS) + 1, len(WORDS) + 2
_RANKS: dict[str, int] = {
    word: rank
    for rank, words in zip((*range(len(WORDS)), COUNTER_RANK), (*WORDS, COUNTERS), strict=True)
    for word in words.split()
}
_TOKEN, _GLUED = r"[^\W_]+", r"[^\W\d_]*\d+|[^\W\d_]+"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WORD = re.compile(r"[\W_]*\d*$|[\W_]+")  # what is left out of patient_07 to read its word
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{6})?|(19|20)\d\d")
_TIME = re.compile(r"[0-5]\d|([01]\d|2[0-3])([0-5]\d){2}\d{0,3}")


class Guess(NamedTuple):
    """Hold a pattern that may tell groups, in words where it looks, and whether it is plain."""

    pattern: str
    where: str
    plain: bool
    enough: bool
    """Whether each class has as many groups then as there are splits."""
    rank: int
    """How telling the word in it is, from 0 (a patient)."""


@dataclass(frozen=True, eq=False)
class _Field:
    """Hold the values of one level or field, and the class of each image; how it is captured."""

    values: pd.Series[str]
    labels: pd.Series[str]
    pattern: str = ""
    where: str = ""
    rank: int = LETTERS_RANK
    is_last: bool = False
    is_doubtful: bool = False
    """A date, or folders called by words, such as subtypes: never plain."""

    @property
    def order(self) -> tuple[bool, int]:
        """Sort the most telling fields first."""
        return self.is_doubtful, self.rank

    @cached_property
    def count(self) -> int:
        """Count the distinct values."""
        return int(self.values.nunique())

    @cached_property
    def repeats(self) -> bool:
        """Tell whether the values of most images occur again in their class, and not one alone."""
        again = pd.DataFrame({"label": self.labels, "value": self.values}).duplicated(keep=False)
        several = self.values.groupby(self.labels).nunique() > 1
        return bool(again.mean() >= REPEATS and several.any())

    @cached_property
    def is_viable(self) -> bool:
        """Tell whether classes have enough values, and none that holds too much of them."""
        named = self.rank < LETTERS_RANK
        if not named and self.is_few_and_shared:
            return False
        fewest, largest = (FEWEST_NAMED, LARGEST_NAMED) if named else (FEWEST, LARGEST)
        sizes = self.values.groupby([self.labels, self.values]).size().groupby(level=0)
        totals = sizes.sum()
        good = (sizes.size() >= fewest) & (sizes.max() <= largest * totals)
        return bool(totals[good].sum() >= HOLDS * totals.sum())

    @cached_property
    def is_few_and_shared(self) -> bool:
        """Tell whether a few values stand in several classes each, as grades, rows or days do."""
        shared = (self.labels.groupby(self.values).nunique() > 1).mean()
        return bool(self.count < SHARED and shared > 0.5)

    @cached_property
    def is_pure(self) -> bool:
        """Tell whether nearly every value that repeats stands in one class."""
        if self.labels.nunique() < 2:
            return False
        found = self.labels.groupby(self.values).agg(["size", "nunique"])
        return bool((found.loc[found["size"] > 1, "nunique"] == 1).mean() >= PURE)

    def in_each_of(self, other: _Field) -> pd.Series[int]:
        """Count the values of this field that stand with each value of another."""
        return self.values.groupby(other.values).nunique()

    def crosses(self, other: _Field) -> bool:
        """Tell whether most values of each of two fields stand with several of the other one."""
        mine, theirs = other.in_each_of(self) > 1, self.in_each_of(other) > 1
        return bool(mine.mean() >= HOLDS and theirs.mean() >= REPEATS)

    def guess(self, *, plain: bool) -> Guess:
        """Give the guess that this field tells groups."""
        enough = self.values.groupby(self.labels).nunique().min() >= FEWEST_NAMED
        return Guess(self.pattern, self.where, plain, bool(enough), self.rank)


def find_structure(paths: Sequence[str], labels: Sequence[str]) -> Guess | None:
    """Find the level or field that may tell groups; None where nothing repeats."""
    if not paths:
        return None
    label = pd.Series(list(labels), dtype="str")
    folders = _folders(paths, label)
    found = [_choose(folders), _of_names(paths, label, folders)]
    guesses = [guess for guess in found if guess is not None]
    return min(guesses, key=lambda guess: (not guess.plain, guess.rank), default=None)


def counts_anew(groups: pd.Series[str], labels: pd.Series[str], paths: Sequence[str]) -> str:
    """Say that groups count anew in each folder or for each value of a field; empty if not so."""
    found = _Field(groups, labels)
    names = _fields(_stems(paths), labels, _TOKEN)
    if _begins_anew(found, [*_likely(_folders(paths, labels)), found, *_likely(names)]):
        return f"{groups.iloc[0]!r} and the like count anew in what seem to be groups"
    return ""


def doubt_of_groups(groups: pd.Series[str], labels: pd.Series[str]) -> str:
    """Say what in groups that a scheme reads speaks against them; empty where nothing does.

    A word that names the image or its class, as in img12 or tile_03; words before a number that
    would be groups themselves, as names of patients are (subtypes are fewer than what they are of);
    a few groups that stand in several classes each, as days or rows do, unless a word says that
    they are patients or slides.
    """
    first = groups.iloc[0]
    parts = groups.str.extract(r"^(?P<word>[^\W\d_]+)_(?P<number>\d+)$")
    begins_with_names = not parts.isna().any(axis=None) and (
        parts["number"].nunique() < parts["word"].nunique()
        and _Field(parts["word"], labels).is_viable
    )
    if begins_with_names:
        return f"what stands before the number in {first!r} seems to name who it is"
    match = re.match(r"[^\W\d_]+", first)
    word = match[0].lower() if match else ""
    rank = _RANKS.get(word, LETTERS_RANK)
    if rank == COUNTER_RANK and len(word) > 1:
        return f"{first!r} seems to count images or classes"
    if rank >= LETTERS_RANK and _Field(groups, labels).is_few_and_shared:
        return f"its {groups.nunique():,} groups would hold images of several classes each"
    return ""


# ---------------------------------------------------------------- folders and fields


def _folders(paths: Sequence[str], labels: pd.Series[str]) -> list[_Field]:
    """Give the folder levels between class and file that nearly all images have."""
    folders = [path.split("/")[:-1] for path in paths]
    divided = all(
        len(names) > 1 and names[0].lower() in SPLIT_FOLDER_NAMES and names[0] != label
        for names, label in zip(folders, labels, strict=True)
    )
    above = 2 if divided else 1
    deepest = sorted(len(names) - above for names in folders)
    fields = []
    for level in range(deepest[int((1 - FIT) * len(deepest))]):
        at = above + level
        values = pd.Series([names[at] if len(names) > at else "" for names in folders], dtype="str")
        pattern = rf"^(?:[^/]+/){{{at}}}(?P<group>[^/]+)/"
        where = "the folders below the class" + (f", level {level + 1}" if level else "")
        rank = _rank(values, "")
        doubtful = rank >= LETTERS_RANK and _is_called_by_words(values)
        fields.append(_Field(values, labels, pattern, where, rank, is_doubtful=doubtful))
    return fields


def _is_called_by_words(values: pd.Series[str]) -> bool:
    """Tell whether folders are called by words, as subtypes and breeds are, not by numbers."""
    words = {word.lower() for value in values.unique() for word in _LONG_WORD.findall(value)}
    described = _share(values, f".*{_LONG_WORD.pattern}") >= 0.5 and len(words) >= 3
    return described or _share(values, r".*\d") < FIT


def _of_names(paths: Sequence[str], labels: pd.Series[str], folders: list[_Field]) -> Guess | None:
    """Choose a field of the file names, cut at what is no letter or digit, else between these."""
    stems = _stems(paths)
    if sum(_UUID.search(stem) is not None for stem in stems[:100]) > 50:
        return None
    tokens = _choose(_fields(stems, labels, _TOKEN), folders)
    return tokens or _choose(_fields(stems, labels, _GLUED), folders)


def _stems(paths: Sequence[str]) -> list[str]:
    return [path.rpartition("/")[2].rpartition(".")[0] for path in paths]


def _fields(stems: Sequence[str], labels: pd.Series[str], token: str) -> list[_Field]:
    """Cut names of one shape into fields; none where they are of several shapes."""
    cut = re.compile(f"({token})")
    pieces = pd.Series([cut.split(stem) for stem in stems])  # before, field, between, field, after
    shape = pieces.map(lambda parts: tuple(parts[::2]))
    commonest = shape.value_counts().index[0]
    mine = pieces[shape == commonest]
    count = len(commonest) - 1
    if len(mine) < FIT * len(stems) or not 2 <= count <= MOST_FIELDS:
        return []
    columns = [mine.str[2 * place + 1].astype("str") for place in range(count)]
    dates = _date_fields(columns)
    fields = []
    for place, values in enumerate(columns):
        kinds = [f"(?:{token})"] * count
        kinds[place] = f"(?P<group>{token})"
        between = zip(kinds, map(_escaped, commonest[1:]), strict=True)
        pattern = rf"(?:^|/){_escaped(commonest[0])}{''.join(a + b for a, b in between)}\.[^./]*$"
        before = columns[place - 1] if place else None
        word = "" if before is None or before.nunique() > 1 else str(before.iloc[0])
        fields.append(
            _Field(
                values.reindex(pieces.index, fill_value=""),
                labels,
                pattern.replace(f"(?:{_TOKEN})", _TOKEN),
                f"field {place + 1} of the file names",
                DIGITS_RANK if dates[place] else _rank(values, word),
                place == count - 1,
                dates[place],
            )
        )
    return fields


def _escaped(text: str) -> str:
    """Escape a text for a pattern that a person reads: a hyphen or blank needs nothing."""
    return re.sub(r"\\([- ])", r"\1", re.escape(text))


def _date_fields(columns: list[pd.Series[str]]) -> list[bool]:
    """Tell the fields that hold a date or the time after it: 20240517_101112, 2024-05-17."""
    found: list[bool] = []
    for values in columns:
        kinds = [_DATE, _TIME] if found and found[-1] else [_DATE]
        found.append(any(all(map(kind.fullmatch, values)) for kind in kinds))
    return found


def _rank(values: pd.Series[str], before: str) -> int:
    """Rank a field by the word in it, or the one before it where it has none: 0 is a patient."""
    words = {_WORD.sub("", value).lower() for value in values.unique()}
    telling = (words.pop() or before.lower()) if len(words) == 1 else ""
    plain = LETTERS_RANK if _share(values, r".*[^\W\d_]") >= FIT else DIGITS_RANK
    return _RANKS.get(telling, plain)


def _share(values: pd.Series[str], pattern: str) -> float:
    """Give the share of the values that a pattern fits."""
    fits = {value for value in values.unique() if re.match(pattern, value)}
    return float(values.isin(fits).mean())


# ---------------------------------------------------------------- which one it is


def _choose(fields: list[_Field], above: Sequence[_Field] = ()) -> Guess | None:
    """Choose the field that is most likely the group's, and say whether that is plain.

    `above` are the folders above the names that the fields are of.
    """
    likely = _likely([*above, *fields])
    repeating = [field for field in fields if field.repeats and not _begins_anew(field, likely)]
    viable = [field for field in repeating if field in likely]
    viable = [field for field in viable if not _lies_within_another(field, viable)]
    best = [field for field in viable if field.order == min(one.order for one in viable)]
    pure = [field for field in best if field.is_pure]
    if len(pure or best) == 1:
        (only,) = pure or best
        tells = only.rank < LETTERS_RANK or pure or not only.is_last  # a last one counts images
        if tells and not only.is_doubtful:
            return only.guess(plain=True)
    worth = [field for field in repeating if not field.is_last or field.rank < DIGITS_RANK]
    if not worth:
        return None
    return min(worth, key=lambda field: (not field.is_pure, *field.order)).guess(plain=False)


def _likely(fields: Sequence[_Field]) -> list[_Field]:
    """Choose the fields that can be groups by their values alone."""
    return [field for field in fields if field.repeats and field.is_viable]


def _begins_anew(field: _Field, fields: Sequence[_Field]) -> bool:
    """Tell whether a field counts anew for each group of another, as visits of each patient do.

    The other one has more values. It stands in one class each where this one doesn't, or before it
    where both do or neither.
    """
    if field.rank == 0:
        return False
    before = True
    for other in fields:
        before = before and other is not field
        can_be = not (other.is_doubtful or other.is_last or other.rank == COUNTER_RANK)
        if can_be and other.count > field.count and field.crosses(other):
            purer = int(other.is_pure) - int(field.is_pure)
            if purer > 0 or (purer == 0 and before):
                return True
    return False


def _lies_within_another(field: _Field, fields: list[_Field]) -> bool:
    """Tell whether each value stands with one value of a wider field, as a lesion with a patient.

    Of two fields that say the same the first one stays.
    """
    place = fields.index(field)
    for other_place, other in enumerate(fields):
        if other is field or other.is_doubtful or other.rank == COUNTER_RANK:
            continue
        is_first = other.count != field.count or other_place < place
        if is_first and (other.in_each_of(field) == 1).all():
            return True
    return False
