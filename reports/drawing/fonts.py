"""Find fonts that hold the characters of class names, and say what is drawn where there is none.

Text is drawn as it stands (no formulas). Where no installed font holds a character of a class
name, the figure shows the class's number instead, and font_note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from resnext.contracts.formatting import display_width, first_few

LATIN_FONT = "DejaVu Sans"
WIDE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Noto Sans CJK JP"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC"),
    *("Hiragino Sans GB", "Heiti SC", "SimHei", "SimSun", "Droid Sans Fallback"),
    "Arial Unicode MS",
)
"""Fonts with Chinese characters, by choice: free ones, then those of Windows and macOS."""
LABEL_WIDTH = 28
"""Longer class names are shortened in the middle, in columns (a Chinese character takes two)."""
NARROW_WIDTH = 18
"""Where a figure has less room, those longer than this are."""


def font_note(names: Iterable[str]) -> str | None:
    """Say which names no installed font can draw and what is drawn; None where all can be."""
    names = list(names)
    labels = zip(names, figure_labels(names), strict=True)
    changed = [f"'{name}' as '{label}'" for name, label in labels if _missing(name)]
    if not changed:
        return None
    return (
        f"No installed font holds all characters of some class names; the figures show "
        f"{first_few(changed)}. Install a font such as Noto Sans CJK to see them."
    )


def figure_labels(
    names: Sequence[str], width: int = LABEL_WIDTH, *, two_lines: bool = False
) -> list[str]:
    """Give class names as a figure shows them: shortened, numbered if not drawable.

    They stand on one line, or on two where that is allowed and shows all of a name.
    """
    labels = []
    for number, name in enumerate(names, start=1):
        label = (two_lines and _halve(name, width)) or _shorten(name, width)
        if missing := _missing(label):
            rest = "".join(" " if character in missing else character for character in label)
            label = " ".join([f"#{number}", *rest.split()])
        labels.append(label)
    return labels


def families(text: str) -> list[str]:
    """Choose fonts for a text: the Latin one, then wide ones, the one that holds most first."""
    wanted = {ord(each) for each in text if each.isprintable()} - _characters(LATIN_FONT)
    chosen = [LATIN_FONT]
    wide = [name for name in WIDE_FONTS if wanted and name in _installed()]
    while found := {name: held for name in wide if (held := wanted & _characters(name))}:
        best = max(found, key=lambda name: len(found[name]))
        chosen.append(best)
        wanted -= found[best]
    return chosen


def _shorten(text: str, width: int) -> str:
    """Put a text on one line of at most so many columns, shortened in the middle."""
    line = " ".join(text.split())
    if display_width(line) <= width:
        return line
    end = _first(line[::-1], width // 2 - 1)[::-1]
    return f"{_first(line, width // 2)}…{end}"


def _halve(text: str, width: int) -> str:
    """Put a text that is too long for a line on two; empty where it fits neither way."""
    line = " ".join(text.split())
    halves = [(line[:place], line[place + 1 :]) for place, each in enumerate(line) if each == " "]
    best = min(halves, key=lambda both: max(map(display_width, both)), default=(line, ""))
    fits = display_width(line) > width >= max(map(display_width, best))
    return "\n".join(best) if fits else ""


def _first(text: str, columns: int) -> str:
    """Give as many of the first characters as fit into so many columns."""
    ends = accumulate(map(display_width, text))
    return text[: sum(end <= columns for end in ends)]


def _missing(text: str) -> frozenset[str]:
    """Find the characters of a text that no chosen font holds; spaces are never missing."""
    held = frozenset[int]().union(*(_characters(name) for name in families(text)))
    return frozenset(each for each in text if ord(each) not in held and not each.isspace())


@lru_cache(maxsize=1)
def _installed() -> frozenset[str]:
    """Name the installed fonts, with those that came after matplotlib made its list of them."""
    from matplotlib import font_manager

    known = {Path(font.fname) for font in font_manager.fontManager.ttflist}
    for path in sorted(set(map(Path, font_manager.findSystemFonts())) - known):
        with suppress(OSError, RuntimeError, ValueError, KeyError):  # a broken font is not ours
            font_manager.fontManager.addfont(path)
    return frozenset(font_manager.get_font_names())


@lru_cache(maxsize=32)
def _characters(family: str) -> frozenset[int]:
    """Read the code points that an installed font holds."""
    from matplotlib import font_manager

    path = font_manager.findfont(family, fallback_to_default=False)
    return frozenset(font_manager.get_font(path).get_charmap())
