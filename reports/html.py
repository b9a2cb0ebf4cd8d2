"""Render a report: one HTML file that opens offline and holds its style and its figures.

Everything that comes from the data is escaped, a policy in the file forbids requests and all
scripts but the one that sorts tables, and equal contents give equal text. The numbers come from
the tables as they are: this module computes no metric, counts nothing in the
folder and draws no figure.

What is undefined (NaN, None) reads "n/a", never 0.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from reports.sections import score
from reports.sections.data_folder import folder_facts
from reports.sections.embedded_figures import embed
from reports.sections.heat_maps import lay_out
from reports.sections.similar_images import sheets
from reports.sections.split import (
    PARTS,
    cautions,
    crossings,
    label_conflicts,
    leak_verdict,
    random_verdict,
    split_facts,
    split_rows,
    unused_reasons,
    validation_name,
)
from resnext.contracts.formatting import count, decimal, percent, plural

CARRIED_FILES = ("pages/*",)

PAGES = Path(__file__).parent / "pages"
MOST_ROWS = 20
"""So many rows of a long list are shown; the rest is counted."""


@dataclass(frozen=True)
class AuditContent:
    """Hold what is known of the pictures and how they were divided, nothing computed."""

    title: str
    data_name: str
    synthetic: bool
    classes: Sequence[str]
    manifest: pd.DataFrame
    """The readable pictures."""
    split: pd.DataFrame
    quarantine: pd.DataFrame
    leakage: Mapping[str, Any] | None
    pairs: Mapping[str, Sequence[Mapping[str, Any]]]
    """Lists of pairs to look at: crossing, random, joined, listed."""
    command: str
    """What to type to get this page again."""


@dataclass(frozen=True)
class ReportContent(AuditContent):
    """Hold what a report is made from besides: tables, figures and texts."""

    settings: Mapping[str, Mapping[str, str]]
    """By section, each setting's name and value."""
    per_class: pd.DataFrame
    metrics: Mapping[str, Any]
    confusion: pd.DataFrame
    history: pd.DataFrame
    figures: Mapping[str, bytes | str]
    """By stem, a PNG file's bytes or an SVG file's text, in the order of the report."""
    environment: Mapping[str, str]
    notes: Sequence[str] = ()
    calibration: Mapping[str, Any] | None = None
    explained: Mapping[str, Any] | None = None

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Give the tables that figures may be described from, by file name."""
        names = ("history", "split", "per_class", "confusion")
        return {f"{name}.csv": getattr(self, name) for name in names}


def render_report(content: ReportContent) -> str:
    """Render the whole report as one HTML text."""
    return _render(
        "report.html.j2",
        content,
        verdict=score.verdict(content.metrics, content.per_class),
        bars=score.bars(content.metrics, content.per_class),
        tiles=score.tiles(content.metrics),
        sentences=score.sentences(content.metrics, content.calibration, content.per_class),
        class_metrics=score.class_metrics(content.per_class),
        scores=score.class_rows(content.per_class),
        accuracy_reach=score.reach(content.metrics.get("accuracy_ci95"), percent),
        validation_name=validation_name(content.split),
        mistakes=score.mistakes(content.confusion),
        figures=embed(content.figures, content.tables),
        heat_maps=lay_out(content.explained, content.confusion),
        history=content.history.to_dict("records"),
    )


def render_audit(content: AuditContent) -> str:
    """Render what is known before any training as one HTML text."""
    return _render("audit.html.j2", content)


def _render(page: str, content: AuditContent, **shown: Any) -> str:
    """Render one page with the section on the data; what is no UTF-8 becomes question marks."""
    template = _environment().get_template(page)
    text = template.render(content=content, **_data_and_split(content), **shown)
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
    writers = (percent, decimal, count, plural)
    environment.filters |= {writer.__name__: writer for writer in writers}
    script = (PAGES / "sort.js").read_text(encoding="utf-8")
    environment.globals |= {"MOST_ROWS": MOST_ROWS, "PARTS": PARTS}
    environment.globals |= {"script": Markup(script), "script_source": _hash_source(script)}
    return environment


def _hash_source(script: str) -> str:
    """Give what the page's policy knows its one script by; no other one runs.

    Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _data_and_split(content: AuditContent) -> dict[str, Any]:
    """Give what the section on the data shows, by the names of its template."""
    return {
        "leak_verdict": leak_verdict(content.leakage),
        "random_verdict": random_verdict(content.leakage),
        "cautions": cautions(content.leakage),
        "folder_facts": folder_facts(content.manifest, len(content.quarantine)),
        "quarantine": content.quarantine.head(MOST_ROWS).to_dict("records"),
        "split_facts": split_facts(content.leakage),
        "crossings": crossings(content.leakage),
        "split_rows": split_rows(content.split, content.classes),
        "unused": unused_reasons(content.split),
        "conflicts": label_conflicts(content.split),
        "sheets": sheets(content.pairs, (content.leakage or {}).get("near")),
    }
