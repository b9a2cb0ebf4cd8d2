"""Hold what the page of doubts is made from: what a person should look at, kind by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reports.html import render


@dataclass(frozen=True)
class DoubtsContent:
    """Hold the doubts (doubts.csv), the images that they are about, and their thumbnails."""

    data_name: str
    synthetic: bool
    doubts: pd.DataFrame
    images: pd.DataFrame
    """path, label, group and split of each image that was compared."""
    thumbnails: Mapping[str, str]
    """By path, of the doubts that are shown."""

    @property
    def title(self) -> str:
        """Head the page."""
        return f"Images to look at: {self.data_name}"


def render_doubts(content: DoubtsContent) -> str:
    """Render the page as one HTML text."""
    return render("doubts.html.j2", content)
