"""Write numbers and names for a reader: shares, counts, nouns, what a terminal can show.

What is undefined (NaN, None) reads "n/a", never 0.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

Bounds = Sequence[float | None] | None
"""An interval, low and high, as a table holds it."""
NOT_AVAILABLE = "n/a"
MARKS = re.compile(r"([\\`*_\[\]<>#|~&$])")


def percent(share: float | None, space: str = "\u00a0", decimals: int = 1) -> str:
    """Write a share 0..1 in percent; "n/a" where it is undefined.

    The blank before the sign does not break; a terminal and a text for scripts take a plain one.
    """
    if undefined(share):
        return NOT_AVAILABLE
    return f"{100 * float(share or 0):.{decimals}f}{space}%"


def percent_interval(share: float | None, interval: Bounds) -> str:
    """Write a share with its interval as "71.0 % (58-83)", the bounds in whole percent.

    Without an interval, as where too few groups are there, the share stands alone.
    """
    shown, bounds = percent(share, " "), defined(interval)
    return shown if bounds is None else f"{shown} ({100 * bounds[0]:.0f}-{100 * bounds[1]:.0f})"


def share_with_interval(metrics: Mapping[str, Any], name: str) -> str:
    """Write a share of metrics.json as "71.0 % (95 % interval 58 to 83 %)", alone without it."""
    interval = metrics.get(f"{name}_ci95")
    if not interval:
        return percent(metrics[name], " ")
    low, high = (f"{100 * bound:.0f}" for bound in interval)
    return f"{percent(metrics[name], ' ')} (95 % interval {low} to {high} %)"


def decimal(value: float | None) -> str:
    """Write a number with three decimals; "n/a" where it is undefined."""
    return NOT_AVAILABLE if undefined(value) else f"{float(value or 0):.3f}"


def count(value: float | None) -> str:
    """Write a whole number with thousands apart; "n/a" where it is undefined."""
    return NOT_AVAILABLE if undefined(value) else f"{float(value or 0):,.0f}"


def first_few(names: Iterable[str], between: str = ", ", most: int = 5) -> str:
    """List the first names, then how many more there are: "a, b, c, d, e and 7 more"."""
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return f"{between.join(listed[:most])}{more}"


def plural(number: float, noun: str, nouns: str | None = None) -> str:
    """Write a number with its noun, in the plural unless it is 1."""
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"


def undefined(value: float | None) -> bool:
    """Tell whether a number is missing."""
    return value is None or math.isnan(value)


def defined(bounds: Bounds) -> tuple[float, float] | None:
    """Give an interval as two numbers; None where one of them is missing."""
    low, high = bounds or (None, None)
    if low is None or high is None or math.isnan(low + high):
        return None
    return float(low), float(high)


def printable(text: str) -> str:
    """Write control characters as escapes, so that a name cannot steer a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def plain(text: str) -> str:
    """Escape what markdown or HTML would take for a sign, and keep the text on its line."""
    one_line = " ".join(str(text).split())
    return MARKS.sub(r"\\\1", one_line)


def display_width(text: str) -> int:
    """Count the columns that a terminal gives a text: wide characters 2, combining ones 0."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def is_terminal(file: TextIO | None) -> bool:
    """Tell whether a person looks at what is written; there may be no file at all."""
    return file is not None and file.isatty()
