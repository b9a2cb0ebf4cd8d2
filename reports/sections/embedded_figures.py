"""Put the drawn figures into a page: title, caption, words for those who can't see them, and size.

The figures come as PNG or SVG; title, caption and words are those of their records.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reports.gallery import PLOTS

SVG_WIDTH = re.compile(r'width="(\d+(?:\.\d*)?)pt"')


@dataclass(frozen=True)
class EmbeddedFigure:
    """Hold a figure as the page shows it."""

    title: str
    caption: str
    source: str
    """A data: URI."""
    alternative: str
    width: int
    """In CSS pixels at natural size; 0 where unknown."""

    @property
    def legible_width(self) -> int:
        """How narrow it may be shown (CSS pixels) before it is scrolled instead."""
        if self.width > 1200:
            return self.width
        return 540 if self.width > 480 else min(self.width, 300)


def embed(
    images: Mapping[str, bytes | str], tables: Mapping[str, pd.DataFrame]
) -> list[EmbeddedFigure]:
    """Embed figures, by name a PNG file's bytes or an SVG file's text, in their order.

    `tables` are those of the report, by file name. A figure without a record has its name alone.
    """
    return [_embed(name, image, tables) for name, image in images.items()]


def _embed(name: str, image: bytes | str, tables: Mapping[str, pd.DataFrame]) -> EmbeddedFigure:
    title, caption, describe = name.replace("_", " ").capitalize(), "", None
    for plot in PLOTS:
        if plot.name == name:
            title, caption, describe = plot.title, plot.caption, plot.alternative
    words = describe(tables) if describe else f"Figure: {title}. {caption}".strip()
    return EmbeddedFigure(title, caption, data_uri(image), words, _natural_width(image))


def data_uri(image: bytes | str) -> str:
    """Put a PNG or SVG into an address, so that the page needs no other file."""
    kind = "image/svg+xml" if isinstance(image, str) else "image/png"
    encoded = base64.b64encode(image.encode("utf-8") if isinstance(image, str) else image)
    return f"data:{kind};base64,{encoded.decode('ascii')}"


def _natural_width(image: bytes | str) -> int:
    """Read how wide a figure is meant to be in CSS pixels (96 an inch); 0 where unknown."""
    if isinstance(image, str):
        found = SVG_WIDTH.search(image[:2000])
        return round(float(found[1]) * 96 / 72) if found else 0
    if image[:8] != b"\x89PNG\r\n\x1a\n" or len(image) < 24:
        return 0
    return round(int.from_bytes(image[16:20], "big") * 96 / 150)
