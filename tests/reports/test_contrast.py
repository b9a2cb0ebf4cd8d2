"""Text of the pages can be read: contrast as WCAG 2.2 AA asks for it.

Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
"""

import re

import pytest

from reports.html import PAGES

READABLE = 4.5
TEXTS = [(ink, ground) for ink in ("ink", "quiet", "accent") for ground in ("ground", "card")]
TEXTS += [("warn-ink", "warn-ground"), ("quiet", "track")]


def colours(scheme: str) -> dict[str, str]:
    """Read the colours of a scheme; the dark one's replace the light one's."""
    style = (PAGES / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{([^}]*)\}", style)
    assert len(blocks) == 2
    found: dict[str, str] = {}
    for block in blocks[: 1 if scheme == "light" else 2]:
        found |= dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", block))
    return found


def luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXTS)
def test_text_stands_out_from_its_ground(scheme: str, ink: str, ground: str) -> None:
    known = colours(scheme)
    assert contrast(known[ink], known[ground]) >= READABLE
