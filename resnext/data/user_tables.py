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
LOOK_ALIKE = {"LATIN", "GREEK", "CYRILLIC"}  # scripts, by some of their letters
BUT_FOR_CASE = "but for case"
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
GROUP = Column("group", ("group_id", *PATIENTS, *WITHIN_PATIENTS), rivals=PATIENTS)
SPLIT = Column("split", ("set", "subset", "partition"))
LABEL = Column(
    "label", ("class", "class_name", "category", "diagnosis", "dx", "diagnostic", "target")
)


@dataclass(frozen=True, eq=False)
class UserTable:
    """Hold a table of a user's: what an error calls it, its rows under our names, and notes.

    `rows` holds text alone. `headings` says what the table itself calls our columns; `notes` say
    what a person must know of how it was read. `lines` are those of the file that the rows end on.
    """

    argument: str
    path: Path
    rows: pd.DataFrame
    headings: dict[str, str]
    notes: list[str] = field(default_factory=list)
    lines: Sequence[int] = ()

    def wrong(self, rule: str, got: str, remedy: str) -> InputError:
        """Give the error that says what this table must be and is not."""
        return InputError(self.argument, rule, got, f"File {str(self.path)!r}. {remedy}")


class Sheet(NamedTuple):
    """Hold a table as it was read: headings, rows of cells, and where columns of ours are."""

    headings: list[str]
    cells: list[list[str]]
    places: dict[str, list[int]]
    """By column of ours, at most one."""
    read: str
    """How it was read, for an error."""
    notes: list[str]
    lines: Sequence[int]
    """Those of the file that the rows end on."""

    def column(self, place: int) -> list[str]:
        """Give the cells of a column, empty where a row is shorter."""
        return [unguarded(row[place]) if place < len(row) else "" for row in self.cells]


def read_user_table(
    path: Path,
    argument: str,
    columns: Sequence[Column],
    remedy: str,
    optional: Sequence[Column] = (),
) -> UserTable:
    """Read some columns of a table that a user wrote, got or exported; cells are as they stand.

    An optional column that is not there is empty.

    Raises:
        InputError: it is missing, no table, or lacks a column, or two columns could be meant.
    """
    sheet = _sheet(path, argument, (*columns, *optional), remedy)
    needed = [column.name for column in columns]
    if missing := ", ".join(name for name in needed if not sheet.places[name]):
        rule = f"hold the columns {', '.join(needed)}"
        raise InputError(argument, rule, f"none named {missing}", f"{sheet.read} {remedy}")
    there = {name: found[0] for name, found in sheet.places.items() if found}
    rows = {name: [""] * len(sheet.cells) for name in sheet.places}
    rows |= {name: sheet.column(place) for name, place in there.items()}
    return UserTable(
        argument,
        path,
        pd.DataFrame(rows, columns=list(sheet.places), dtype="str"),
        {name: sheet.headings[place] for name, place in there.items()},
        sheet.notes,
        sheet.lines,
    )


def read_described(
    path: Path, argument: str, keys: Sequence[Column], remedy: str
) -> tuple[UserTable, str]:
    """Read all columns of a table whose rows are about images or groups, and say which.

    `keys` are what its rows may be about. The first that is there counts; its column is called
    `path` in the rows, whatever it is. The others keep their headings. Columns without one, and
    those that name an image, a group or a split, are left out.

    Raises:
        InputError: it is missing, no table, lacks all keys or any other column, or two columns
            could be meant.
    """
    sheet = _sheet(path, argument, keys, remedy)
    key = next((name for name, found in sheet.places.items() if found), "")
    if not key:
        rule = f"hold a column {' or '.join(each.name for each in keys)}"
        raise InputError(argument, rule, "none named so", f"{sheet.read} {remedy}")
    known = {bare(name) for each in (IMAGE, GROUP, SPLIT) for name in (each.name, *each.others)}
    names = [name for name in sheet.headings if name and bare(name) not in known]
    if len(names) > len(set(names)) or not names:
        rule = f"hold columns besides the {key}, each of another name"
        got = first_few(map(quoted, names)) or "none"
        raise InputError(argument, rule, got, f"{sheet.read} {remedy}")
    places = {IMAGE.name: sheet.places[key][0]} | {n: sheet.headings.index(n) for n in names}
    rows = pd.DataFrame({name: sheet.column(at) for name, at in places.items()}, dtype="str")
    headings = {name: sheet.headings[at] for name, at in places.items()}
    return UserTable(argument, path, rows, headings, sheet.notes, sheet.lines), key


def _sheet(path: Path, argument: str, columns: Sequence[Column], remedy: str) -> Sheet:
    """Read a table, and find columns of ours in it.

    Raises:
        InputError: it is missing or no table, or two columns could be meant.
    """
    if not path.is_file():
        raise InputError(argument, "be a file", f"{str(path)!r}", f"No such file. {remedy}")
    try:
        text, guessed = _decode(path.read_bytes())
        separator, text = _separator(text, columns)
        header, cells, lines = _cells(text, separator)
    except ValueError as error:
        rule = "be a CSV table in UTF-8"
        raise InputError(argument, rule, f"{str(path)!r}: {error}", remedy) from error
    headings = [heading.strip() for heading in header]
    keys = list(map(bare, header))
    places = {column.name: _meant(column, keys) for column in columns}
    read = (
        f"Its header reads {first_few(map(quoted, headings), most=HEADINGS)}, separated by "
        f"{_in_words(separator)}. File {str(path)!r}."
    )
    for name, found in places.items():
        if len(found) > 1:
            several = " and ".join(quoted(headings[place]) for place in found)
            rule, rename = f"hold one column that says the {name}", "Rename or remove all but one."
            raise InputError(argument, rule, several, f"{read} {rename}")
    notes = [f"{argument} {GUESSED.format(guessed)}"] if guessed else []
    return Sheet(headings, cells, places, read, notes, lines)


# ---------------------------------------------------------------- bytes to text


def _decode(data: bytes) -> tuple[str, str]:
    """Read bytes as text, and name their encoding where it had to be guessed.

    Raises:
        ValueError: they are no text.
    """
    if data.startswith(SPREADSHEETS):
        raise ValueError("it is a spreadsheet. Save it as CSV UTF-8")
    marked = [name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)]
    if not marked and b"\0" in data[:200]:  # of plain English in UTF-16, every other byte is 0
        marked = ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    for name in marked[:1] or ["utf-8", *LOCAL]:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, LOCAL.get(name, "")
    raise ValueError("it is text in no encoding that is known here")


# ---------------------------------------------------------------- text to cells


def _separator(text: str, columns: Sequence[Column]) -> tuple[str, str]:
    """Find what separates cells; give it with the text, without a line that only names it.

    It is what shows most of the columns wanted in the first line, then what shows most cells.
    """
    if stated := re.match(r"sep=(.)\r?\n", text):  # a line for Excel alone
        return stated[1], text[stated.end() :]
    first = re.search(r"[^\r\n]*\S[^\r\n]*", text)

    def worth(separator: str) -> tuple[int, int]:
        lines = [first[0]] if first else []
        try:
            cells = next(csv.reader(lines, delimiter=separator, skipinitialspace=True), [])
        except csv.Error:
            return 0, 0
        keys = list(map(bare, cells))
        return sum(bool(_meant(column, keys)) for column in columns), len(cells)

    return max(SEPARATORS, key=worth), text


def _cells(text: str, separator: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Cut a text into a header and rows, with the line that each ends on; no blank ones.

    Raises:
        ValueError: it can't be cut, or a row has more cells than the header.
    """
    lines = io.StringIO(text, newline=None)
    spaced = f'{separator} "' in text
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=spaced)
    limit = csv.field_size_limit(max(len(text), 1))  # a cell may hold a mask or a polygon
    try:
        found = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} can't be read ({error})") from error
    finally:
        csv.field_size_limit(limit)
    if not found:
        raise ValueError("it is empty")
    (_, header), *rows = found
    # rows that begin with their number, under no heading, as R writes them
    longer = len(header) + 1
    if rows and all(
        len(row) == longer and row[0].strip().isdigit() and row[-1].strip() for _, row in rows
    ):
        header = ["", *header]
    for line, row in rows:
        if any(map(str.strip, row[len(header) :])):
            raise ValueError(
                f"line {line} has {len(row)} cells and the header {len(header)}, read as separated "
                f"by {_in_words(separator)}; put names that hold one between double quotes"
            )
    return header, [row for _, row in rows], [line for line, _ in rows]


def _in_words(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


# ---------------------------------------------------------------- columns


def bare(heading: str) -> str:
    """Compare headings without case, blanks and marks: `Image ID` is `image_id`."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", heading).casefold())


def _meant(column: Column, keys: list[str]) -> list[int]:
    """Give the places that could be meant: of the first name that is there, and of its rivals."""
    there = [key for key in map(bare, (column.name, *column.others)) if key in keys]
    rivals = set(map(bare, column.rivals)) & set(there)
    names = set(there[:1]) if rivals.issuperset(there[:1]) else {there[0], *rivals}
    return [place for place, key in enumerate(keys) if key in names]


# ---------------------------------------------------------------- rows to images

Form: TypeAlias = Callable[[str], str]


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
        written = self.table.rows[IMAGE.name]
        return [image or name for image, name in zip(self.of_rows, written, strict=True)]

    @property
    def without(self) -> list[str]:
        """Give the images that no row is about."""
        named = set(self.of_rows)
        return [image for image in self.images if image not in named]

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
            InputError: no row is about an image, what is said of one is not one thing, or a row is
                about one of two images with names in one form, and none about the other.
        """
        if not any(self.of_rows):
            raise self.table.wrong(
                "name images by their paths below the data folder",
                f"{quoted(self.names[0])} in the column "
                f"{quoted(self.table.headings[IMAGE.name])}, where an image is "
                f"{quoted(self.images[0])}",
                "Correct the paths.",
            )
        require_one_answer(self.table, column, self.of_rows, rule)
        named, without = set(self.of_rows), dict.fromkeys(map(normal, self.without))
        twins: dict[str, list[str]] = {}
        for image in self.images if without else ():
            twins.setdefault(normal(image), []).append(image)
        for form in without:
            if rows := [twin for twin in twins[form] if twin in named]:
                raise _two_images(self.table, rows[0], twins[form])
        said = zip(self.of_rows, self.table.rows[column], strict=True)
        return {image: answer for image, answer in said if image}


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
    roots = [f"{normal(str(place)).rstrip('/')}/" for place in (root, os.path.realpath(root))]
    names = list(map(normal, written))
    for row, name in enumerate(names):
        above = next((place for place in roots if name.startswith(place)), "")
        names[row] = name.removeprefix(above)
    found: dict[int, str] = {}
    ways: dict[str, int] = {}
    for said, of_name, of_image in _ways(images, root):
        keys = {row: of_name(name) for row, name in enumerate(names) if row not in found}
        if not any(keys.values()):
            continue
        named = set(found.values()) if said == BUT_FOR_CASE else set()
        there: dict[str, list[str]] = {}
        for image in images:
            if image not in named:
                there.setdefault(of_image(image), []).append(image)
        for row, key in keys.items():
            if key and key in there:
                exact = [image for image in there[key] if image == written[row]]
                rivals = exact or there[key]
                if len(rivals) > 1:
                    raise _two_images(table, written[row], rivals)
                found[row] = rivals[0]
                ways[said] = ways.get(said, 0) + 1
    ways.pop("", None)
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
        both = " and ".join(f"{quoted(answer)} (row {quoted(name)})" for name, answer in rows)
        got = f"two for {quoted(twice.iloc[0])}: {both}"
        raise table.wrong(rule, got, "Correct or remove one.")


def _two_images(table: UserTable, written: str, rivals: Sequence[str]) -> InputError:
    return table.wrong(
        "name one image a row",
        f"{quoted(written)}, to which {first_few(map(quoted, rivals), ' and ', 2)} answer",
        "Give each a row with its whole path below the data folder.",
    )


def _ways(images: Sequence[str], root: Path) -> Iterator[tuple[str, Form, Form]]:
    """Give the ways to compare names with images, the surest first.

    Each says what it is, empty where it is exact, and the forms of a name and of an image in which
    they are compared; the form of a name that it is not for is empty.
    """
    known = {image: normal(image) for image in images}
    above, place = f"{normal(root.name)}/", _on_disk()

    def alone(name: str) -> str:
        return "" if "/" in name else name

    ways: list[tuple[str, Form, Form]] = [
        ("", str, lambda image: known[image]),
        ("without ending", str, lambda image: _stem(known[image])),
        ("without folder", alone, lambda image: known[image].rpartition("/")[2]),
        ("without folder and ending", alone, lambda image: _stem(known[image].rpartition("/")[2])),
    ]
    yield from ways
    yield (
        "from the folder above",
        lambda name: name.removeprefix(above) if name.startswith(above) else "",
        lambda image: known[image],
    )
    yield (
        "by the place on disk",
        lambda name: place(name) if name.startswith("/") else "",
        lambda image: place(str(root / image)),
    )
    for _, of_name, of_image in ways:
        yield BUT_FOR_CASE, _folded(of_name), _folded(of_image)


def _folded(form: Form) -> Form:
    return lambda name: form(name).casefold()


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
    for word in re.findall(r"\w+", name):
        scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
        if len(scripts & LOOK_ALIKE) > 1:
            return False
    return unicodedata.is_normalized("NFKC", name)
