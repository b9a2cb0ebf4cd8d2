"""Put the drawn figures into a page: title, caption, words for those who can't see them, and size.

Title, caption and words are those of their records.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reports.drawing.style import DOTS
from reports.gallery import PLOTS

CSS_DOTS = 96
"""CSS pixels an inch."""


@dataclass(frozen=True)
class EmbeddedFigure:
    """Hold a figure as the page shows it."""

    title: str
    caption: str
    source: str
    """A data: URI."""
    alternative: str
    width: int
    """In CSS pixels at natural size."""

    @property
    def legible_width(self) -> int:
        """How narrow it may be shown (CSS pixels) before it is scrolled instead."""
        if self.width > 1200:
            return self.width
        return 540 if self.width > 480 else min(self.width, 300)


def embed(images: Mapping[str, bytes], tables: Mapping[str, pd.DataFrame]) -> list[EmbeddedFigure]:
    """Embed figures, by name a PNG file's bytes, in the order of the report.

    `tables` are those of the report, by file name.
    """
    return [
        EmbeddedFigure(
            plot.title,
            plot.explain(tables),
            data_uri(images[plot.name]),
            plot.describe(tables),
            round(int.from_bytes(images[plot.name][16:20], "big") * CSS_DOTS / DOTS),  # of a PNG
        )
        for plot in PLOTS
        if plot.name in images
    ]


def data_uri(image: bytes) -> str:
    """Put a PNG into an address, so that the page needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
