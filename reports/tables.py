r"""Read and write the tables that reports are made from, so that names survive.

A class may be called "NA" or "001" and a file may hold a comma, a quote or a line break in its
name: text columns are never guessed at. Numbers are written in the shortest form that reads back
as the same number, and equal tables give equal bytes on every machine: utf-8, line ends "\n".

A text that a spreadsheet would take for a formula, such as "=1+1", is written after an apostrophe,
which is taken off again where it is read (`reports.formulas`).

An undefined number is NaN in memory, an empty field in CSV and null in JSON.
This module knows the columns of the tables, but not what their numbers mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.formulas import guarded, unguarded

TEXT_COLUMNS = frozenset(
    {
        "path",
        "label",
        "group",
        "split",
        "reason",
        "predicted",
        "other",
        "other_label",
        "verdict",
        "status",
        "error",
        "class",
        "finished_at",
        "recipe",
        "when",
        "sha256",
        "phash",
        "mode",
        "format",
    }
)
"""The columns that hold text; every other column holds numbers."""

TRUE = "true"
"""The heading of the first column of confusion.csv."""


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV table: text columns as they stand, the others as numbers with empty as NaN.

    Raises:
        ValueError: the file is empty or no table, or a number column holds something else.
    """
    header, cells = _read_cells(path)
    columns = {name: _column(path, name, cells[index]) for index, name in enumerate(header)}
    return pd.DataFrame(columns, columns=pd.Index(header, dtype=object))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV without its index."""
    columns = [list(table.iloc[:, index]) for index in range(table.shape[1])]
    _write_rows(path, [str(name) for name in table.columns], list(zip(*columns, strict=True)))


def read_confusion(path: Path) -> pd.DataFrame:
    """Read confusion.csv: whole numbers, rows = true class, columns = predicted class.

    Raises:
        ValueError: the file is empty or no table, or a cell is no whole number.
    """
    header, cells = _read_cells(path)
    try:
        counts = cells.iloc[:, 1:].to_numpy().astype(np.int64)
    except ValueError as error:
        raise ValueError(f"Counts must be whole numbers. {path}: {error}.") from error
    return confusion_table(counts, list(map(unguarded, cells[0])), header[1:])


def write_confusion(confusion: pd.DataFrame, path: Path) -> None:
    """Write a confusion table as CSV, its true classes in the first column, named "true"."""
    names = [str(name) for name in confusion.index]
    rows = [(name, *counts) for name, counts in zip(names, confusion.to_numpy(), strict=True)]
    _write_rows(path, [TRUE, *(str(name) for name in confusion.columns)], rows)


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


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; null stays None.

    Raises:
        ValueError: the file holds no JSON object.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(content).__name__}.")
    return content


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a JSON object in the order given; NaN and infinite numbers become null."""
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    _write_text(path, text + "\n")


def _read_cells(path: Path) -> tuple[list[str], pd.DataFrame]:
    """Read the heading and, as text, the fields below it; a byte-order mark is passed over."""
    try:
        cells = pd.read_csv(
            path,
            header=None,
            dtype=object,
            na_filter=False,
            encoding="utf-8-sig",
            encoding_errors="surrogateescape",
        )
    except pd.errors.ParserError as error:
        raise ValueError(f"A table must have equally long rows. {path}: {error}") from error
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"A table must begin with a heading, got nothing. {path}.") from error
    header = [unguarded(str(name)) for name in cells.iloc[0]]
    return header, cells.iloc[1:].reset_index(drop=True)


def _write_rows(path: Path, header: list[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a heading and rows, quoting what a reader could take for a separator.

    The csv module is not used because it leaves a carriage return in a name bare, and a reader
    then sees two rows.
    """
    lines = [",".join(map(_cell, row)) for row in [header, *rows]]
    _write_text(path, "".join(line + "\n" for line in lines))


def _write_text(path: Path, text: str) -> None:
    """Write utf-8 bytes; a file name that is not utf-8 keeps the bytes that it has on disk."""
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))


def _cell(value: object) -> str:
    """Give one CSV field: shortest round-trip numbers, empty for a missing value."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, np.generic):
        return _cell(value.item())
    text = repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, str):
        text = guarded(value)
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _column(path: Path, name: str, cells: pd.Series[Any]) -> pd.Series[Any]:
    """Give the fields of one column as text or as numbers (whole where all of them are)."""
    if name in TEXT_COLUMNS:
        return cells.map(unguarded)
    try:
        if cells.str.fullmatch(r"-?[0-9]+").all():
            return cells.astype(np.int64)
        return cells.where(cells != "", "nan").astype(np.float64)
    except ValueError as error:
        raise ValueError(f"Column '{name}' must hold numbers. {path}: {error}.") from error


def _plain(value: Any) -> Any:
    """Turn numpy numbers, tuples and mappings into what JSON knows."""
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
