"""What a report and an audit are made from: tables, figures and texts, nothing computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from reports.domain import WORDS, Domain, Words, domain_of, reason


@dataclass(frozen=True)
class AuditContent:
    """Hold what is known of the images and how they were split, nothing computed."""

    title: str
    data_name: str
    synthetic: bool
    classes: Sequence[str]
    manifest: pd.DataFrame
    """The readable images."""
    split: pd.DataFrame
    quarantine: pd.DataFrame
    leakage: Mapping[str, Any] | None
    pairs: Mapping[str, Sequence[Mapping[str, Any]]]
    """Lists of pairs to look at: crossing, random, joined, listed."""
    command: str
    """What to type to get this page again."""
    domain: Domain | None = field(default=None, kw_only=True)
    """What the images are of, None where that is to be guessed."""
    pictures: bool = field(default=True, kw_only=True)
    """Whether images of the data may be shown."""

    @property
    def is_medical(self) -> bool:
        """Tell whether the images are of patients."""
        return domain_of(self.domain, self.classes) == "medical"

    @property
    def words(self) -> Words:
        """Give the words that fit the images."""
        return WORDS["medical" if self.is_medical else "general"]

    @property
    def why_these_words(self) -> str:
        """Say why they fit."""
        return reason(self.domain, self.classes)


@dataclass(frozen=True)
class ReportContent(AuditContent):
    """Hold what a report is made from besides: tables, figures and texts."""

    settings: Mapping[str, Mapping[str, str]]
    """By section, each setting's name and value."""
    per_class: pd.DataFrame
    metrics: Mapping[str, Any]
    confusion: pd.DataFrame
    history: pd.DataFrame
    figures: Mapping[str, bytes]
    """By stem, a PNG file's bytes."""
    environment: Mapping[str, str]
    notes: Sequence[str] = ()
    calibration: Mapping[str, Any] | None = None
    explained: Mapping[str, Any] | None = None
    subgroups: Mapping[str, Any] | None = None
    """The tables `figures` and `gaps`, and what must be said of them."""
    shortcuts: pd.DataFrame | None = None
    covered: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None
    net_benefit: pd.DataFrame | None = None
    architecture: str = ""
    doubts: pd.DataFrame | None = None
    """What a person should look at in the images, if that was looked for."""

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Give the tables that figures may be described from, by file name."""
        names = ("history", "split", "per_class", "confusion", "net_benefit")
        found = {f"{name}.csv": getattr(self, name) for name in names}
        return {name: table for name, table in found.items() if table is not None}
