"""Put the drawn figures into a page: title, caption, words for those who can't see them, and size.

Title, caption and words are those of their records.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reports.drawing.style import DOTS
from reports.gallery import PLOTS, narrow

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
    narrow: str = ""
    """A data: URI of the same for a phone, empty where there is none."""

    @property
    def legible_width(self) -> int:
        """How narrow it may be shown (CSS pixels) before it is scrolled instead."""
        if self.width > 1200:
            return self.width
        return 540 if self.width > 480 else min(self.width, 300)


def embed(images: Mapping[str, bytes], tables: Mapping[str, pd.DataFrame]) -> list[EmbeddedFigure]:
    """Embed figures, by name a PNG file's bytes, in the order of the report.

    `tables` are those of the report, by file name. A figure whose first table has no rows, as that
    of decisions without a positive class, would hold a sentence alone, and is left out.
    """
    return [
        EmbeddedFigure(
            plot.title,
            plot.explain(tables),
            data_uri(images[plot.name]),
            plot.describe(tables),
            round(int.from_bytes(images[plot.name][16:20], "big") * CSS_DOTS / DOTS),  # of a PNG
            data_uri(images[narrow(plot.name)]) if narrow(plot.name) in images else "",
        )
        for plot in PLOTS
        if plot.name in images and not _is_empty(tables.get(plot.tables[0]))
    ]


def _is_empty(table: pd.DataFrame | None) -> bool:
    return table is not None and table.empty


def data_uri(image: bytes) -> str:
    """Put a PNG into an address, so that the page needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
