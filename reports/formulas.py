"""Keep a spreadsheet from running a text of ours as a formula, and read such text back.

A text that begins like a formula, such as "=1+1", is written after an apostrophe. One that holds
apostrophes before such a beginning gets one more, so that every text comes back as it was.
`resnext.contracts.tables` does the same for the tables of the library.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that a spreadsheet runs (the last four are full-width), or one kept from it."""


def guarded(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run."""
    return f"'{text}" if FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Take off the apostrophe that a formula was written after."""
    return text[1:] if text[:1] == "'" and FORMULA.match(text) else text


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a table for people: the cells of each row as text, by their headings."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: unguarded(cell) for name, cell in row.items()} for row in rows]
