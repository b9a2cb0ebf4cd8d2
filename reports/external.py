"""Render the page of an external validation, and hold what it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.html import render
from reports.sections import external

Facts = Mapping[str, str]


@dataclass(frozen=True)
class ExternalContent:
    """Hold what the page is made from: tables, figures and texts."""

    data_name: str
    model: Facts
    command: str
    """What to type to get this page again."""
    environment: Facts
    found: Mapping[str, Any]
    """overlap.json."""
    overlap: pd.DataFrame
    split: pd.DataFrame
    metrics: Mapping[str, Any]
    per_class: pd.DataFrame
    confusion: pd.DataFrame
    calibration: Mapping[str, Any]
    comparison: Mapping[str, Any]
    """external.json."""
    drift: Mapping[str, Any] | None
    figures: Mapping[str, bytes]
    """By stem, a PNG file's bytes."""
    net_benefit: pd.DataFrame | None = None
    synthetic: bool = False

    @property
    def title(self) -> str:
        """Head the page."""
        return f"External validation: {self.data_name}"

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Give the tables that figures may be described from, by file name."""
        names = ("split", "per_class", "confusion", "net_benefit")
        found = {f"{name}.csv": getattr(self, name) for name in names}
        return {name: table for name, table in found.items() if table is not None}


def render_external(content: ExternalContent) -> str:
    """Render the page as one HTML text."""
    return render("external.html.j2", content, external=external)
