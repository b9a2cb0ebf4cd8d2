"""Render a report: one HTML file that opens offline and holds its style and its figures.

Everything that comes from the data is escaped, a policy in the file forbids requests and all
scripts but the one that sorts tables, and equal contents give equal text. The numbers come from
the tables as they are. A template asks a module of `reports/sections` for what it shows.

What is undefined (NaN, None) reads "n/a", never 0.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from reports import advice, checklists, references
from reports.domain import WORDS, Domain, Words, domain_of, reason
from reports.sections import (
    contents,
    doubts,
    figures,
    folder,
    folds,
    images,
    paper,
    probabilities,
    run,
    score,
    shortcuts,
    split,
    subgroups,
    uncertainty,
)
from resnext.contracts.formatting import count, decimal, percent, plain, plural

CARRIED_FILES = ("pages/*",)

PAGES = Path(__file__).parent / "pages"
MOST_ROWS = 20
"""So many rows of a long list are shown; the rest is counted."""


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
    architecture: str = ""
    doubts: pd.DataFrame | None = None
    """What a person should look at in the images, if that was looked for."""

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Give the tables that figures may be described from, by file name."""
        names = ("history", "split", "per_class", "confusion")
        return {f"{name}.csv": getattr(self, name) for name in names}


def render_report(content: ReportContent) -> str:
    """Render the whole report as one HTML text."""
    return render("report.html.j2", content)


def render_audit(content: AuditContent) -> str:
    """Render what is known before any training as one HTML text."""
    return render("audit.html.j2", content)


def render(template: str, content: object, **more: Any) -> str:
    """Fill a template of `pages`; what is no UTF-8 becomes question marks."""
    text = _environment().get_template(template).render(content=content, **more)
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _environment() -> jinja2.Environment:
    """Build the template engine: everything is escaped, a missing name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (percent, decimal, count, plural, plain, images.thumbnail)
    environment.filters |= {each.__name__: each for each in filters}
    sections = (
        contents, doubts, figures, folder, folds, images, paper, probabilities, run, score,
        shortcuts, split, subgroups, uncertainty,
    )  # fmt: skip
    asked = (*sections, advice, checklists, references)
    environment.globals |= {each.__name__.rpartition(".")[2]: each for each in asked}
    environment.globals |= script_of("sort.js")
    environment.globals["MOST_ROWS"] = MOST_ROWS
    return environment


def script_of(name: str) -> dict[str, str]:
    """Give a page's one script, and what its policy knows it by: no other one runs.

    Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    script = (PAGES / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return {"script": Markup(script), "script_source": f"sha256-{digest}"}
