r"""Write and read the tables of the project as CSV, so that names survive and bytes repeat.

A class may be called "NA" or "001" and a file may hold a comma, a quote or a line break in its
name: columns of text are never guessed at. Numbers are written in the shortest form that reads back
as the same number, and equal tables give equal bytes on every machine: UTF-8, line ends "\n". An
undefined number is NaN in memory and an empty field on disk.

A text that a spreadsheet would take for a formula, such as "=1+1.jpg", is written after an
apostrophe, which is taken off again where it is read.
Source: https://owasp.org/www-community/attacks/CSV_Injection

This module knows the columns of the tables, but not what their numbers mean.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from resnext.contracts.errors import InputError

SPLIT_COLUMNS = ["path", "label", "group", "copy", "split", "reason"]
MANIFEST_COLUMNS = [
    "path", "label", "sha256", "phash", "bytes", "width", "height", "mode", "format", "orientation",
]  # fmt: skip
PREDICTIONS_COLUMNS = ["path", "label", "group", "split", "predicted", "status"]
"""What is read of predictions.csv besides its columns p_<class>."""
TEXT_COLUMNS = frozenset(
    {
        *("path", "label", "group", "split", "reason", "sha256", "phash", "mode", "format"),
        *("predicted", "status", "error", "class", "recipe", "when", "finished_at"),
        *("other", "other_label", "verdict", "hashes", "measured", "cut", "reader"),
        *("note", "thumbnail", "attribute", "subgroup", "figure", "highest", "lowest", "cue"),
        *("covered", "kind", "decision", "suggested", "referral", "set"),
    }
)
"""The columns that hold text; every other column holds numbers, see `_text_columns`."""
TRUE = "true"
"""The heading of the first column of confusion.csv."""

FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that a spreadsheet runs (the last four are full-width), or one kept from it."""
ODD = re.compile(f'{FORMULA.pattern}|.*[,"\r\n]', re.DOTALL)
INTERRUPTED = "Calling read(nbytes) on source failed"
"""How pandas says that Ctrl-C came while it read a text in memory, where nothing else can fail."""
ROWS_AT_ONCE = 100_000  # that are text in memory while a table is written


def write_table(table: pd.DataFrame, path: Path | BinaryIO) -> None:
    """Write a table without its index."""
    if isinstance(path, Path):
        with path.open("wb") as file:
            write_table(table, file)
        return
    _write_rows(path, [[str(name)] for name in table.columns])
    for start in range(0, len(table), ROWS_AT_ONCE):
        rows = table.iloc[start : start + ROWS_AT_ONCE]
        _write_rows(path, [rows.iloc[:, place].tolist() for place in range(rows.shape[1])])


def write_rate(path: Path, images: int, seconds: float) -> None:
    """Write how many images took how many seconds, and how many that is a second."""
    rate = images / seconds if seconds else math.nan
    row = {"images": images, "seconds": seconds, "images_per_second": rate}
    write_table(pd.DataFrame([row]), path)


def read_table(path: Path, columns: Sequence[str] = (), *, remedy: str = "") -> pd.DataFrame:
    """Read a table from a file; see `parse_table`.

    Raises:
        InputError: it is missing, or see there.
    """
    with _opened(path, remedy) as file:
        return parse_table(file, columns, name=f"'{path}'", remedy=remedy)


def parse_table(
    file: BinaryIO, columns: Sequence[str] = (), *, name: str = "a table", remedy: str = ""
) -> pd.DataFrame:
    """Read a table: text columns as they stand, the others as numbers with empty as NaN.

    A byte-order mark, as Excel writes it, is passed over. With `columns` the table must hold them,
    and gives just these.

    Raises:
        InputError: it is no table in UTF-8 or lacks a column, or a column of numbers holds
            something else. It calls the table by `name` and ends in `remedy`.
    """
    header, cells = _parse(file, _text_columns, name, remedy)
    _require(columns, header, name, remedy)
    table = cells.set_axis(header, axis=1)
    return table[list(columns)] if columns else table


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest.

    Raises:
        InputError: the file is missing or lacks a column.
    """
    return read_table(path, MANIFEST_COLUMNS, remedy="Scan the data again.")


def read_predictions(path: Path) -> pd.DataFrame:
    """Read predictions.csv, whole: which columns p_<class> it holds depends on the classes.

    Raises:
        InputError: the file is missing or lacks a column.
    """
    table = read_table(path)
    _require(PREDICTIONS_COLUMNS, table.columns, f"'{path}'", "Predict again, or add them.")
    return table


def read_split_images(split: Path, manifest: Path) -> pd.DataFrame:
    """Read a split's rows, in its order, each with its image's sha256 from the manifest.

    Raises:
        InputError: one of them can't be read.
    """
    table = read_table(split)
    _require(
        ("path", "label", "group", "split"), table.columns, f"'{split}'", "Split the images again."
    )
    return table.merge(read_manifest(manifest)[["path", "sha256"]], on="path")


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a table for people: the cells of each row as text, by their headings."""
    return list(iterate_rows(path))


def iterate_rows(path: Path) -> Iterator[dict[str, str]]:
    """Read a table row by row, as `read_rows` does, without holding it."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: unguarded(cell) for name, cell in row.items()}


def read_confusion(path: Path) -> pd.DataFrame:
    """Read confusion.csv: whole numbers, rows = true class, columns = predicted class.

    Raises:
        InputError: the file is missing or no table, or a cell is no whole number.
    """
    with _opened(path, "") as file:
        header, cells = _parse(file, lambda _: {0}, f"'{path}'", "")
    counts = cells.iloc[:, 1:].to_numpy()
    if not np.issubdtype(counts.dtype, np.integer):
        raise InputError(f"'{path}'", "hold whole numbers", "others", "Evaluate again.")
    return confusion_table(counts, cells[0].tolist(), header[1:])


def write_confusion(confusion: pd.DataFrame, path: Path) -> None:
    """Write a confusion table, its true classes in the first column, named "true"."""
    numbered = confusion.set_axis(range(len(confusion.columns)), axis=1)  # a class may be "true"
    write_table(numbered.reset_index().set_axis([TRUE, *confusion.columns], axis=1), path)


def confusion_table(
    counts: Sequence[Sequence[int]] | np.ndarray[Any, Any],
    true: Sequence[str],
    predicted: Sequence[str],
) -> pd.DataFrame:
    """Build a confusion table (true, predicted) from counts, with class names kept as text."""
    values = np.asarray(counts, dtype=np.int64).reshape(len(true), len(predicted))
    index = pd.Index(list(true), name=TRUE, dtype=object)
    return pd.DataFrame(
        values, index=index, columns=pd.Index(list(predicted), name="predicted", dtype=object)
    )


def guarded(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run, however many stand there already."""
    return f"'{text}" if FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Take off the apostrophe that a formula was written after."""
    return text[1:] if text[:1] == "'" and FORMULA.match(text) else text


# ---------------------------------------------------------------- text to cells and back


def _opened(path: Path, remedy: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"'{path}'", "be a file", "nothing at that place", remedy) from error


def _require(columns: Sequence[str], header: Collection[str], name: str, remedy: str) -> None:
    if missing := [column for column in columns if column not in header]:
        rule = f"hold the columns {', '.join(columns)}"
        raise InputError(name, rule, f"none named {', '.join(missing)}", remedy)


def _text_columns(header: Sequence[str]) -> set[int]:
    """Give the places of the columns of text; near.csv names the turn between two images."""
    text = TEXT_COLUMNS | {"orientation"} if "other" in header else TEXT_COLUMNS
    return {place for place, name in enumerate(header) if name in text}


def _parse(
    file: BinaryIO, text_columns: Callable[[Sequence[str]], set[int]], name: str, remedy: str
) -> tuple[list[str], pd.DataFrame]:
    """Give the heading, and the cells below it with their columns by number."""
    # A file name that is not UTF-8 keeps its bytes.
    table = StringIO(file.read().decode("utf-8-sig", "surrogateescape"), newline="")
    try:
        header = [unguarded(each) for each in _read(table, nrows=1, dtype="str").iloc[0]]
        text = text_columns(header)
        table.seek(0)
        cells = _read_body(table, len(header), text)
    except ValueError as error:  # pandas' own
        if INTERRUPTED in str(error):
            raise KeyboardInterrupt from error
        rule = "be a CSV table with equally long rows"
        raise InputError(name, rule, " ".join(str(error).split()), remedy) from error
    for number, title in enumerate(header):
        if number in text:
            cells[number] = _unguarded(cells[number])
        elif not pd.api.types.is_numeric_dtype(cells[number].dtype):
            got = f"text in '{title}'"
            raise InputError(name, "hold numbers where no text belongs", got, remedy)
    return header, cells


def _read_body(file: StringIO, count: int, text: set[int]) -> pd.DataFrame:
    missing = {number: [""] for number in range(count) if number not in text}
    try:
        cells = _read(file, skiprows=1, dtype=dict.fromkeys(text, "str"), na_values=missing)
    except pd.errors.EmptyDataError:
        kinds = {number: "str" if number in text else "int64" for number in range(count)}
        return pd.DataFrame({number: pd.Series(dtype=kind) for number, kind in kinds.items()})
    if len(cells.columns) != count:
        raise ValueError(f"{count} headings over {len(cells.columns)} columns")
    return cells


def _read(file: StringIO, **how: Any) -> pd.DataFrame:
    found: pd.DataFrame = pd.read_csv(
        file,
        header=None,
        keep_default_na=False,
        skip_blank_lines=False,
        encoding_errors="surrogateescape",
        **how,
    )
    return found


def _unguarded(column: pd.Series[str]) -> pd.Series[str]:
    """Take the apostrophes off a column; nearly always there is none."""
    cells = column.tolist()
    if not any(cell[:1] == "'" for cell in cells):
        return column
    return pd.Series([unguarded(cell) for cell in cells], index=column.index, dtype="str")


def _write_rows(file: BinaryIO, columns: Sequence[Sequence[object]]) -> None:
    """Write rows given by their columns."""
    lines = zip(*(map(_cell, column) for column in columns), strict=True)
    text = "".join(f"{','.join(line)}\n" for line in lines)
    file.write(text.encode("utf-8", "surrogateescape"))


def _cell(value: object) -> str:
    """Write one field: shortest round-trip numbers, empty for a missing value.

    The csv module leaves a carriage return in a name bare, and a reader then sees two rows.
    """
    if isinstance(value, str):
        if not ODD.match(value):
            return value
        text = guarded(value)
        quoted = any(character in text for character in ',"\r\n')
        return '"' + text.replace('"', '""') + '"' if quoted else text
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)
