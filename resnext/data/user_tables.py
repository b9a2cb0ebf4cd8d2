"""Read the tables that a user brings, and find the image that each row is about.

Spreadsheets, R, pandas and the publishers of data sets write tables in many ways: all of them are
read here, and what can't be read is refused with what was found. Names of images are compared in
one form on both sides, so that the same file is found however it was written down. What was guessed
is kept in words, to be said. Tables that the program wrote itself and reads back are `tables`'.

Source: the columns are those of the metadata of ISIC (`isic_id`, `image_name`), HAM10000
(`image_id`, `lesion_id`) and PAD-UFES-20 (`img_id`, `patient_id`), and what others call the same.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import unguarded

HEADINGS = 12  # of a table's that are shown
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx and ods; xls
BYTE_ORDER_MARKS = {  # the longer ones first: that of UTF-32 begins as that of UTF-16 does
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
LOCAL = {"gb2312": "GB2312", "cp1252": "Windows-1252"}
"""What spreadsheets write where no Unicode is asked for; in the first, no odd byte can stand."""
GUESSED = "is not in UTF-8 and was read as {}: if names are not found, save it as UTF-8"
UNKNOWN = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "#ref!", "#value!", "nan", "null", "none", "nil", "unknown",
     "missing", "not available", "-", "--", "?", ".", "<na>"}
)  # fmt: skip
"""What stands in a cell of published metadata where nothing is known."""


class Column(NamedTuple):
    """Name a column of ours, and what others call it, by rank: the first that is there is taken.

    A table is refused where that one is no rival and a rival stands beside it.
    """

    name: str
    others: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()


IMAGE = Column(
    "path",
    (
        "image_path", "img_path", "file_path", "filename", "file_name", "file", "image_file",
        "image_filename", "image_name", "img_name", "img_id", "image_id", "isic_id", "image", "img",
        "image_index", "picture", "photo", "name",
    ),
)  # fmt: skip
PATIENTS = (
    "patient_id", "patient", "subject_id", "subject", "participant_id", "participant", "person_id",
    "person", "individual_id", "case_id",
)  # fmt: skip
WITHIN_PATIENTS = ("lesion_id", "lesion", "slide_id", "slide")
GROUP = Column(
    "group",
    ("group_id", *PATIENTS, *WITHIN_PATIENTS),
    rivals=PATIENTS,
)
SPLIT = Column("split", ("set", "subset", "partition"))


@dataclass(frozen=True, eq=False)
class UserTable:
    """Hold a table of a user's: what an error calls it, its rows under our names, and notes.

    `rows` holds text alone. `headings` says what the table itself calls our columns; `notes` say
    what a person must know of how it was read.
    """

    argument: str
    path: Path
    rows: pd.DataFrame
    headings: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def wrong(self, rule: str, got: str, remedy: str) -> InputError:
        """Give the error that says what this table must be and is not."""
        return InputError(self.argument, rule, got, f"File {str(self.path)!r}. {remedy}")


def read_user_table(path: Path, argument: str, columns: Sequence[Column], remedy: str) -> UserTable:
    """Read some columns of a table that a user wrote, got or exported; cells are as they stand.

    Raises:
        InputError: it is missing, no table, or lacks a column, or two columns could be meant.
    """
    file = _File(path, argument, remedy)
    text, notes = _decode(file)
    separator, text = _separator(text, columns)
    header, cells = _cells(file, text, separator)
    places = _places(file, header, separator, columns)
    rows = {
        name: [unguarded(row[place]) if place < len(row) else "" for row in cells]
        for name, place in places.items()
    }
    table = pd.DataFrame(rows, columns=list(places), dtype="str")
    headings = {name: header[place].strip() for name, place in places.items()}
    notes = [f"{argument} {note}" for note in notes]
    return UserTable(argument, path, table, headings, notes)


class _File(NamedTuple):
    """Name a file, what an error calls it, and what to do where it is no table."""

    path: Path
    argument: str
    remedy: str

    def no_table(self, why: str) -> InputError:
        """Give the error that says why this is no table."""
        return InputError(
            self.argument,
            "be a CSV table in UTF-8",
            f"{str(self.path)!r}: {why}",
            self.remedy,
        )


# ---------------------------------------------------------------- bytes to text


def _decode(file: _File) -> tuple[str, list[str]]:
    """Read a file as text, and say so where its encoding had to be guessed."""
    if not file.path.is_file():
        raise InputError(
            file.argument,
            "be a file",
            f"{str(file.path)!r}",
            f"No such file. {file.remedy}",
        )
    data = file.path.read_bytes()
    if data.startswith(SPREADSHEETS):
        raise file.no_table("it is a spreadsheet. Save it as CSV UTF-8")
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "")
    for name in [encoding] if encoding else _likely(data):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, [GUESSED.format(LOCAL[name])] if name in LOCAL else []
    raise file.no_table("it is text in no encoding that is known here")


def _likely(data: bytes) -> list[str]:
    """Name the encodings to try, where no byte-order mark names one."""
    if b"\0" in data[:200]:  # of plain English in UTF-16, every other byte is 0
        return ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    return ["utf-8", *LOCAL]


# ---------------------------------------------------------------- text to cells


def _separator(text: str, columns: Sequence[Column]) -> tuple[str, str]:
    """Find what separates cells; give it with the text, without a line that only names it.

    It is what shows most of the columns wanted in the first line, then what shows most cells.
    """
    if stated := re.match(r"sep=(.)\r?\n", text):  # a line for Excel alone
        return stated[1], text[stated.end() :]
    first = re.search(r"[^\r\n]*\S[^\r\n]*", text)
    line = first[0] if first else ""

    def worth(separator: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
        except csv.Error:
            return 0, 0
        keys = set(map(bare, cells))
        wanted = (map(bare, (column.name, *column.others)) for column in columns)
        return sum(bool(keys & set(names)) for names in wanted), len(cells)

    return max(SEPARATORS, key=worth), text


def _cells(file: _File, text: str, separator: str) -> tuple[list[str], list[list[str]]]:
    """Cut a text into a header and rows; blank ones are left out."""
    lines = io.StringIO(text, newline=None)
    spaced = f'{separator} "' in text
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=spaced)
    limit = csv.field_size_limit(max(len(text), 1))  # a cell may hold a mask or a polygon
    try:
        found = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise file.no_table(f"line {reader.line_num} can't be read ({error})") from error
    finally:
        csv.field_size_limit(limit)
    if not found:
        raise file.no_table("it is empty")
    (_, header), *rows = found
    if _has_row_names(header, [row for _, row in rows]):
        header = ["", *header]
    for line, row in rows:
        if any(map(str.strip, row[len(header) :])):
            raise file.no_table(
                f"line {line} has {len(row)} cells and the header {len(header)}, read as separated "
                f"by {_in_words(separator)}; put names that hold one between double quotes"
            )
    return header, [row for _, row in rows]


def _in_words(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


def _has_row_names(header: list[str], rows: list[list[str]]) -> bool:
    """Tell a table whose rows begin with their number, under no heading, as R writes it."""
    return bool(rows) and all(
        len(row) == len(header) + 1 and row[0].strip().isdigit() and row[-1].strip() for row in rows
    )


# ---------------------------------------------------------------- columns


def bare(heading: str) -> str:
    """Compare headings without case, blanks and marks: `Image ID` is `image_id`."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", heading).casefold())


def _places(
    file: _File, header: list[str], separator: str, columns: Sequence[Column]
) -> dict[str, int]:
    """Find the place of each column wanted.

    Raises:
        InputError: one is missing, or two could be meant.
    """
    headings = [quoted(heading.strip()) for heading in header]
    read = (
        f"Its header reads {first_few(headings, most=HEADINGS)}, separated by "
        f"{_in_words(separator)}. File {str(file.path)!r}."
    )
    keys = [bare(heading) for heading in header]
    places = {column.name: _meant(column, keys) for column in columns}
    for name, meant in places.items():
        if len(meant) > 1:
            raise InputError(
                file.argument,
                f"hold one column that says the {name}",
                " and ".join(headings[place] for place in meant),
                f"{read} Rename or remove all but one.",
            )
    missing = ", ".join(name for name, meant in places.items() if not meant)
    if missing:
        raise InputError(
            file.argument,
            f"hold the columns {', '.join(places)}",
            f"none named {missing}",
            f"{read} {file.remedy}",
        )
    return {name: meant[0] for name, meant in places.items()}


def _meant(column: Column, keys: list[str]) -> list[int]:
    """Give the places that could be meant: of the first name that is there, and of its rivals."""
    there = [key for key in map(bare, (column.name, *column.others)) if key in keys]
    rivals = set(map(bare, column.rivals)) & set(there)
    names = set(there[:1]) if rivals.issuperset(there[:1]) else {there[0], *rivals}
    return [place for place, key in enumerate(keys) if key in names]


# ---------------------------------------------------------------- rows to images

Form: TypeAlias = Callable[[str], str]


class Way(NamedTuple):
    """Compare names in one form, if they are `for_names`, with images in one form.

    `said` is empty where that is exact. What `is_last` takes no image that a row is about.
    """

    said: str
    for_names: Callable[[str], bool]
    of_name: Form
    of_image: Form
    is_last: bool = False


@dataclass(frozen=True, eq=False)
class Found:
    """Hold what was found for the rows of a table among `images`.

    `of_rows` are their images, in their order, empty where there is none. `ways` counts the rows
    by how they were found, where it was not by their whole path.
    """

    table: UserTable
    images: Sequence[str]
    of_rows: list[str]
    ways: dict[str, int]

    @property
    def names(self) -> list[str]:
        """Give the image of each row, or what the row calls it where it is not here."""
        return [image or name for image, name in zip(self.of_rows, self._written(), strict=True)]

    @property
    def without(self) -> list[str]:
        """Give the images that no row is about."""
        told = set(self.of_rows)
        return [image for image in self.images if image not in told]

    def counts(self) -> dict[str, Any]:
        """Count rows and images that met, for leakage.json."""
        return {
            "columns": list(self.table.headings.values()),
            "rows": len(self.of_rows),
            "met": sum(map(bool, self.of_rows)),
            "pictures": len(self.images),
            "pictures_without": len(self.without),
            "ways": self.ways,
        }

    def answers(self, column: str, rule: str) -> dict[str, str]:
        """Give what a column says of each image that a row is about.

        Raises:
            InputError: no row is about an image, or what is said of one is not one thing.
        """
        if not any(self.of_rows):
            raise self.table.wrong(
                "name pictures by their paths below the data folder",
                f"{quoted(self._written()[0])} in the column "
                f"{quoted(self.table.headings[IMAGE.name])}, where a picture is "
                f"{quoted(self.images[0])}",
                "Correct the paths.",
            )
        require_one_answer(self.table, column, self.of_rows, rule)
        self._require_no_twins()
        said = zip(self.of_rows, self.table.rows[column], strict=True)
        return {image: answer for image, answer in said if image}

    def _require_no_twins(self) -> None:
        """Refuse a row that is about one of two images with names in one form, and the other not.

        Raises:
            InputError: there is such a row.
        """
        without, told = self.without, set(self.of_rows)
        times = Counter(map(normal, self.images)) if without else Counter()
        for image in without:
            if times[normal(image)] > 1:
                twins = [other for other in self.images if normal(other) == normal(image)]
                if rows := [twin for twin in twins if twin in told]:
                    raise _two_images(self.table, rows[0], twins)

    def _written(self) -> list[str]:
        names: list[str] = self.table.rows[IMAGE.name].tolist()
        return names


def normal(name: str) -> str:
    """Give the one form in which names of images are compared.

    Composed characters (NFC), `/` for each backslash, no blanks around, no `./`.
    """
    name = name.strip().replace("\\", "/")
    name = name if name.isascii() else unicodedata.normalize("NFC", name)
    if "//" in name or "./" in name:
        name = re.sub(r"(?<![^/])(?:\./)+", "", re.sub(r"/{2,}", "/", name))
    return name


def find_images(table: UserTable, images: Sequence[str], root: Path) -> Found:
    """Find the image (a path below root) that each row of a table is about.

    Whole paths count first, then those without ending, then names without folder. What differs in
    case alone is found last, and only among the images that no other row is about.

    Raises:
        InputError: two images answer to one row.
    """
    written = table.rows[IMAGE.name].tolist()
    names = _below(written, root)
    found: dict[int, str] = {}
    ways: dict[str, int] = {}
    for way in _ways(images, root):
        left = [row for row, name in enumerate(names) if row not in found and way.for_names(name)]
        if not left:
            continue
        told = set(found.values()) if way.is_last else set()
        there: dict[str, list[str]] = {}
        for image in images:
            if image not in told:
                there.setdefault(way.of_image(image), []).append(image)
        met = {row: there[key] for row in left if (key := way.of_name(names[row])) in there}
        found |= {row: _one(table, written[row], rivals) for row, rivals in met.items()}
        ways |= {way.said: ways.get(way.said, 0) + len(met)} if met and way.said else {}
    return Found(table, images, [found.get(row, "") for row in range(len(names))], ways)


def require_one_answer(table: UserTable, column: str, keys: Iterable[str], rule: str) -> None:
    """Refuse a table in which rows of one key say different things; an empty key is passed over.

    `keys` holds one for each row; `rule` says what must be.

    Raises:
        InputError: it has such rows.
    """
    said = table.rows.assign(key=list(keys))
    said = said[said["key"] != ""].drop_duplicates(["key", column])
    twice = said.loc[said["key"].duplicated(), "key"]
    if len(twice):
        pair = said[said["key"] == twice.iloc[0]].head(2)
        rows = zip(pair[IMAGE.name], pair[column], strict=True)
        told = " and ".join(f"{quoted(answer)} (row {quoted(name)})" for name, answer in rows)
        raise table.wrong(
            rule, f"two for {quoted(twice.iloc[0])}: {told}", "Correct or remove one."
        )


def _one(table: UserTable, written: str, rivals: list[str]) -> str:
    """Give the image that a row is about: the one that is called just so, where there are more."""
    if len(rivals) == 1 or written in rivals:
        return written if written in rivals else rivals[0]
    raise _two_images(table, written, rivals)


def _two_images(table: UserTable, written: str, rivals: Sequence[str]) -> InputError:
    return table.wrong(
        "name one picture a row",
        f"{quoted(written)}, to which {first_few(map(quoted, rivals), ' and ', 2)} answer",
        "Give each a row with its whole path below the data folder.",
    )


def _below(written: Sequence[str], root: Path) -> list[str]:
    """Give names in the form that is compared, those below the root without it."""
    roots = [f"{normal(str(place)).rstrip('/')}/" for place in (root, os.path.realpath(root))]
    names = map(normal, written)
    return [
        next((name.removeprefix(place) for place in roots if name.startswith(place)), name)
        for name in names
    ]


def _ways(images: Sequence[str], root: Path) -> Iterator[Way]:
    """Give the ways to compare names with images, the surest first."""
    known = {image: normal(image) for image in images}
    above, place = f"{normal(root.name)}/", _on_disk()
    ways = (
        Way("", bool, str, lambda image: known[image]),
        Way("without ending", bool, str, lambda image: _stem(known[image])),
        Way("without folder", _is_bare, str, lambda image: _name(known[image])),
        Way("without folder and ending", _is_bare, str, lambda image: _stem(_name(known[image]))),
    )
    yield from ways
    yield Way(
        "from the folder above",
        lambda name: name.startswith(above),
        lambda name: name.removeprefix(above),
        lambda image: known[image],
    )
    yield Way("by the place on disk", os.path.isabs, place, lambda image: place(str(root / image)))
    for way in ways:
        yield Way("but for case", way.for_names, str.casefold, _folded(way.of_image), is_last=True)


def _is_bare(name: str) -> bool:
    """Tell a name without folder."""
    return bool(name) and "/" not in name


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folded(form: Form) -> Form:
    return lambda image: form(image).casefold()


def _stem(path: str) -> str:
    """Take the ending off a path; a name that is all ending keeps it."""
    folder, slash, name = path.rpartition("/")
    stem, _, ending = name.rpartition(".")
    return f"{folder}{slash}{stem}" if stem and " " not in ending else path


def _on_disk() -> Form:
    """Give what says where an absolute path leads, links followed, in the form compared."""
    folder = cache(os.path.realpath)

    def place(path: str) -> str:
        above, _, name = path.rpartition("/")
        there = f"{folder(above or '/')}/{name}"
        return normal(os.path.realpath(there) if Path(there).is_symlink() else there)

    return place


# ---------------------------------------------------------------- names to read


def shown(name: str) -> str:
    """Show a name so that it can be told from every other on a screen: escaped where need be."""
    return name if _is_clear(name) else ascii(name)


def first_shown(names: Iterable[str]) -> str:
    """List the first names so that they can be told apart, and how many more there are."""
    return first_few(map(shown, names), "; ")


def quoted(name: str) -> str:
    """Show a name between quotes, escaped where it could be taken for another one."""
    return repr(name) if _is_clear(name) else ascii(name)


def _is_clear(name: str) -> bool:
    """Tell whether a name looks like no other: no blank at an end, no letters of two scripts."""
    if not name or name != name.strip() or not name.isprintable():
        return False
    if name.isascii():
        return True
    words = re.findall(r"\w+", name)
    return unicodedata.is_normalized("NFKC", name) and all(len(_scripts(w)) < 2 for w in words)


def _scripts(word: str) -> set[str]:
    """Name the scripts of a word whose letters look alike."""
    found = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
    return found & {"LATIN", "GREEK", "CYRILLIC"}
