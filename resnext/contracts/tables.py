"""Write and read tables as CSV, so that text stays text and equal tables have equal bytes.

It knows which columns are whole numbers, and which ones a manifest has. It does not know what
the rows mean, and it does not choose where a file lies.

A text that a spreadsheet would take for a formula, such as "=1+1.jpg", is written after an
apostrophe, which is taken off again where it is read, in every column of text.
Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from resnext.contracts.errors import InputError

MANIFEST_COLUMNS = [
    "path",
    "label",
    "sha256",
    "phash",
    "bytes",
    "width",
    "height",
    "mode",
    "format",
    "orientation",
]
FORMULA_SIGNS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width
SUSPECT = FORMULA_SIGNS | {"'"}
NUMBERS = ["bytes", "width", "height", "orientation", "size", "mtime_ns", "inode", "pages"]


def write_table(table: pd.DataFrame, path: Path | BinaryIO) -> None:
    r"""Write a table as CSV: UTF-8, `\n`, no index; equal tables give equal bytes."""
    inert = _texts_changed(table, _guarded)
    inert.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def read_table(path: Path | BinaryIO) -> pd.DataFrame:
    """Read a CSV that `write_table` wrote: text stays text, even a class named NA or 001."""
    kinds = defaultdict(lambda: "str", dict.fromkeys(NUMBERS, "int64"))
    table = pd.read_csv(path, dtype=kinds, keep_default_na=False, encoding="utf-8")
    return _texts_changed(table, unguarded)


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest.

    Raises:
        InputError: the file is missing or lacks a column.
    """
    return read_columns(path, "manifest", MANIFEST_COLUMNS, remedy="Scan the data again.")


def read_columns(path: Path, what: str, columns: Sequence[str], *, remedy: str) -> pd.DataFrame:
    """Read some columns of a table that must hold them; `what` and `remedy` are words for an error.

    Raises:
        InputError: the file is missing, no table in UTF-8, or lacks a column.
    """
    if not path.is_file():
        raise InputError(f"{what} must be a file, got {str(path)!r}. No such file. {remedy}")
    try:
        table = _read_text(path)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            f"{what} must be a CSV table in UTF-8, got {str(path)!r}: "
            f"{' '.join(str(error).split())}. {remedy}"
        ) from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(
            f"{what} must hold the columns {', '.join(columns)}, got none named "
            f"{', '.join(missing)}. File {str(path)!r}. {remedy}"
        )
    return typed(table[list(columns)])


def read_split_pictures(split: Path, manifest: Path) -> pd.DataFrame:
    """Read a split's rows, in its order, each with its picture's sha256 from the manifest.

    Raises:
        InputError: the manifest can't be read.
    """
    return read_table(split).merge(read_manifest(manifest)[["path", "sha256"]], on="path")


def _read_text(path: Path) -> pd.DataFrame:
    """Read a CSV with every cell as text; a byte-order mark, as Excel writes it, is passed over."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    return _texts_changed(table, unguarded)


def _texts_changed(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Change the texts in a table that need it; nearly always that is none."""
    for column in table.select_dtypes(exclude=["number", "bool"]).columns:
        cells = table[column].tolist()
        if any(map(_is_suspect, cells)):
            changed = [change(cell) if isinstance(cell, str) else cell for cell in cells]
            table = table.assign(**{column: changed})
    return table


def _is_suspect(cell: object) -> bool:
    return isinstance(cell, str) and cell[:1] in SUSPECT


def _guarded(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run, however many stand there already."""
    return f"'{text}" if _is_formula(text) else text


def unguarded(text: str) -> str:
    """Take off the apostrophe that a formula was written after."""
    return text[1:] if text[:1] == "'" and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    return text.lstrip("'")[:1] in FORMULA_SIGNS


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give every known number int64 and every other column text, empty tables included."""
    types = {name: "int64" if name in NUMBERS else "str" for name in table.columns}
    return table.astype(types).reset_index(drop=True)
