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
from typing import NamedTuple

import pandas as pd

from resnext.data.manifest.listing import PART_NAMES

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
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{6})?")
_YEAR = re.compile(r"(19|20)\d\d")
_TIME = re.compile(r"[0-5]\d|([01]\d|2[0-3])([0-5]\d){2}\d{0,3}")


class Guess(NamedTuple):
    """Hold a pattern that may tell groups, in words where it looks, and whether it is plain."""

    pattern: str
    where: str
    plain: bool
    enough: bool
    """Whether each class has as many groups then as a split has parts."""
    rank: int
    """How telling the word in it is, from 0 (a patient)."""


@dataclass(frozen=True, eq=False)
class _Field:
    """Hold one field: its values (index as the images'), and how it is known and captured."""

    values: pd.Series[str]
    pattern: str
    where: str
    rank: int
    is_last: bool
    is_doubtful: bool
    """A date, or folders called by words, such as subtypes: never plain."""


def find_structure(paths: Sequence[str], labels: Sequence[str]) -> Guess | None:
    """Find the level or field that may tell groups; None where nothing repeats."""
    if not paths:
        return None
    label, folders = pd.Series(list(labels), dtype="str"), _folders(paths, labels)
    found = [_choose(folders, label), _of_names(paths, label, folders)]
    guesses = [guess for guess in found if guess is not None]
    return min(guesses, key=lambda guess: (not guess.plain, guess.rank), default=None)


def counts_anew(groups: pd.Series[str], labels: pd.Series[str], paths: Sequence[str]) -> str:
    """Say that groups count anew in each folder or for each value of a field; empty if not so."""
    found = _Field(groups, "", "", LETTERS_RANK, False, False)
    folders, names = _folders(paths, labels.tolist()), _fields(_stems(paths), _TOKEN)
    fields = [*_likely(folders, labels), found, *_likely(names, labels)]
    if _begins_anew(found, fields, labels):
        return f"{groups.iloc[0]!r} and the like count anew in what seem to be groups"
    return ""


def doubt_of_groups(groups: pd.Series[str], labels: pd.Series[str]) -> str:
    """Say what in groups that a scheme reads speaks against them; empty where nothing does.

    A word that names the image or its class, as in img12 or tile_03; words before a number that
    would be groups themselves, as names of patients are; a few groups that stand in several classes
    each, as days or rows do, unless a word says that they are patients or slides.
    """
    if _begin_with_names(groups, labels):
        return f"what stands before the number in {groups.iloc[0]!r} seems to name who it is"
    word = re.match(r"[^\W\d_]*", groups.iloc[0])
    rank = _RANKS.get(word[0].lower(), LETTERS_RANK) if word else LETTERS_RANK
    if rank == COUNTER_RANK and word and len(word[0]) > 1:
        return f"{groups.iloc[0]!r} seems to count images or classes"
    if rank >= LETTERS_RANK and _few_and_shared(groups, labels):
        return f"its {groups.nunique():,} groups would hold images of several classes each"
    return ""


def _begin_with_names(groups: pd.Series[str], labels: pd.Series[str]) -> bool:
    """Tell whether words stand before numbers that begin anew for each, as names before lesions.

    Subtypes are fewer than what they are of.
    """
    words = groups.str.extract(r"^(?P<word>[^\W\d_]+)_(?P<number>\d+)$")
    if words.isna().any(axis=None) or words["number"].nunique() >= words["word"].nunique():
        return False
    return _is_viable(_Field(words["word"], "", "", LETTERS_RANK, False, False), labels)


# ---------------------------------------------------------------- folders and fields


def _folders(paths: Sequence[str], labels: Sequence[str]) -> list[_Field]:
    """Give the folder levels between class and file that nearly all images have."""
    folders = [path.split("/")[:-1] for path in paths]
    divided = all(
        len(names) > 1 and names[0].lower() in PART_NAMES and names[0] != label
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
        fields.append(_Field(values, pattern, where, rank, False, doubtful))
    return fields


def _is_called_by_words(values: pd.Series[str]) -> bool:
    """Tell whether folders are called by words, as subtypes and breeds are, not by numbers."""
    words = [word.lower() for value in values.unique() for word in _LONG_WORD.findall(value)]
    described = _share(values, f".*{_LONG_WORD.pattern}") >= 0.5 and len(set(words)) >= 3
    return described or _share(values, r".*\d") < FIT


def _of_names(paths: Sequence[str], labels: pd.Series[str], folders: list[_Field]) -> Guess | None:
    """Choose a field of the file names, cut at what is no letter or digit, else between these."""
    stems = _stems(paths)
    if sum(_UUID.search(stem) is not None for stem in stems[:100]) > 50:
        return None
    tokens = _choose(_fields(stems, _TOKEN), labels, folders)
    return tokens or _choose(_fields(stems, _GLUED), labels, folders)


def _stems(paths: Sequence[str]) -> list[str]:
    return [path.rpartition("/")[2].rpartition(".")[0] for path in paths]


def _fields(stems: Sequence[str], token: str) -> list[_Field]:
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
        after = found[-1:] == [True]
        kinds = [_DATE, _YEAR, *([_TIME] if after else [])]
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


def _choose(
    fields: list[_Field], labels: pd.Series[str], above: Sequence[_Field] = ()
) -> Guess | None:
    """Choose the field that is most likely the group's, and say whether that is plain.

    `above` are the folders above the names that the fields are of.
    """
    likely = _likely([*above, *fields], labels)
    repeating = [
        field
        for field in fields
        if _repeats(field.values, labels) and not _begins_anew(field, likely, labels)
    ]
    viable = [field for field in repeating if field in likely]
    viable = [field for field in viable if not _lies_within_another(field, viable)]
    ordered = sorted(viable, key=_order)
    best = [field for field in ordered if _order(field) == _order(ordered[0])]
    pure = [field for field in best if _is_pure(field.values, labels)]
    if len(pure or best) == 1 and _may_be_plain((pure or best)[0], bool(pure)):
        return _guess((pure or best)[0], labels, plain=True)
    worth = [field for field in repeating if not field.is_last or field.rank < DIGITS_RANK]
    if not worth:
        return None
    first = min(worth, key=lambda field: (not _is_pure(field.values, labels), *_order(field)))
    return _guess(first, labels, plain=False)


def _likely(fields: Sequence[_Field], labels: pd.Series[str]) -> list[_Field]:
    """Choose the fields that can be groups by their values alone."""
    return [
        field for field in fields if _repeats(field.values, labels) and _is_viable(field, labels)
    ]


def _begins_anew(field: _Field, fields: Sequence[_Field], labels: pd.Series[str]) -> bool:
    """Tell whether a field counts anew for each group of another, as visits of each patient do.

    The other one has more values. It stands in one class each where this one doesn't, or before it
    where both do or neither.
    """
    if field.rank == 0:
        return False
    is_pure = _is_pure(field.values, labels)
    before = True
    for other in fields:
        before = before and other is not field
        is_more = other.values.nunique() > field.values.nunique()
        if not is_more or other.is_doubtful or other.is_last or other.rank == COUNTER_RANK:
            continue
        purer = int(_is_pure(other.values, labels)) - int(is_pure)
        if _crosses(field, other) and (purer > 0 or (purer == 0 and before)):
            return True
    return False


def _crosses(field: _Field, other: _Field) -> bool:
    """Tell whether most values of each of two fields stand with several of the other one."""
    with_several = other.values.groupby(field.values).nunique() > 1
    return bool(
        with_several.mean() >= HOLDS
        and (field.values.groupby(other.values).nunique() > 1).mean() >= REPEATS
    )


def _guess(field: _Field, labels: pd.Series[str], *, plain: bool) -> Guess:
    enough = field.values.groupby(labels).nunique().min() >= FEWEST_NAMED
    return Guess(field.pattern, field.where, plain, bool(enough), field.rank)


def _may_be_plain(field: _Field, is_pure: bool) -> bool:
    """Tell whether a field says enough by itself: the last one, without a word, counts images."""
    sure = field.rank < LETTERS_RANK or is_pure or not field.is_last
    return sure and not field.is_doubtful


def _order(field: _Field) -> tuple[bool, int]:
    return field.is_doubtful, field.rank


def _repeats(values: pd.Series[str], labels: pd.Series[str]) -> bool:
    """Tell whether the values of most images occur again in their class, and are not all one."""
    again = pd.DataFrame({"label": labels, "value": values}).duplicated(keep=False)
    several = values.groupby(labels).nunique() > 1
    return bool(again.mean() >= REPEATS and several.any())


def _is_viable(field: _Field, labels: pd.Series[str]) -> bool:
    """Tell whether classes have enough values, and none that holds too much of them."""
    named = field.rank < LETTERS_RANK
    if not named and _few_and_shared(field.values, labels):
        return False
    fewest, largest = (FEWEST_NAMED, LARGEST_NAMED) if named else (FEWEST, LARGEST)
    sizes = field.values.groupby([labels, field.values]).size().groupby(level=0)
    totals = sizes.sum()
    good = (sizes.size() >= fewest) & (sizes.max() <= largest * totals)
    return bool(totals[good].sum() >= HOLDS * totals.sum())


def _few_and_shared(values: pd.Series[str], labels: pd.Series[str]) -> bool:
    """Tell whether a few values stand in several classes each, as grades, rows or days do."""
    shared = (labels.groupby(values).nunique() > 1).mean()
    return bool(values.nunique() < SHARED and shared > 0.5)


def _lies_within_another(field: _Field, fields: list[_Field]) -> bool:
    """Tell whether each value stands with one value of a wider field, as a lesion with a patient.

    Of two fields that say the same the first one stays.
    """
    place = fields.index(field)
    for other_place, other in enumerate(fields):
        if other is field or other.is_doubtful or other.rank == COUNTER_RANK:
            continue
        if (other.values.groupby(field.values).nunique() == 1).all():
            same = other.values.nunique() == field.values.nunique()
            if not same or other_place < place:
                return True
    return False


def _is_pure(values: pd.Series[str], labels: pd.Series[str]) -> bool:
    """Tell whether nearly every value that repeats stands in one class."""
    if labels.nunique() < 2:
        return False
    found = labels.groupby(values).agg(["size", "nunique"])
    found = found[found["size"] > 1]
    return bool((found["nunique"] == 1).mean() >= PURE)
