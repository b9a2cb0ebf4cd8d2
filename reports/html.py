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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from reports import score
from reports.division import (
    PARTS,
    cautions,
    crossings,
    division_facts,
    label_conflicts,
    leak_verdict,
    random_verdict,
    split_rows,
    unused_reasons,
    validation_name,
)
from reports.folder import folder_facts
from reports.pairs import sheets
from reports.words import count, decimal, percent, plural, undefined

CARRIED_FILES = (
    "pages/audit.html.j2",
    "pages/data.html.j2",
    "pages/macros.html.j2",
    "pages/page.css",
    "pages/page.html.j2",
    "pages/report.html.j2",
    "pages/reproduce.html.j2",
    "pages/sort.js",
)

PAGES = Path(__file__).parent / "pages"
SHOWN = 20
"""So many rows of a long list are shown; the rest is counted."""
CAPTIONS = {
    "curves": (
        "Learning curves",
        "Accuracy and loss after each epoch. Where the training line goes on improving and the "
        "other does not, the network is learning the training pictures by heart.",
    ),
    "confusion": (
        "Confusion matrix",
        "Test pictures by true class (rows) and predicted class (columns). Right answers stand on "
        "the diagonal; the colour is the share of the true class.",
    ),
    "per_class": (
        "Scores by class",
        "Each figure of a class with its 95 % interval. Where intervals overlap, classes may well "
        "be told equally well.",
    ),
    "roc": (
        "ROC curve",
        "The share of a class that is found against the share of other pictures that are taken for "
        "it, at every threshold. The band is the 95 % interval; the diagonal is chance.",
    ),
    "precision_recall": (
        "Precision and recall",
        "How many of the pictures given a class are of it, against the share of the class that is "
        "found. Chance is the share of the class.",
    ),
    "reliability": (
        "Reliability",
        "How often the network is right against how sure it says it is: on the diagonal, 80 % sure "
        "means right in 80 of 100. Calibrated probabilities are those of new pictures.",
    ),
    "confidences": (
        "Confidence",
        "How sure the network was of its answers, right ones and wrong ones.",
    ),
}
"""Title and caption of the figures that are known, by stem."""


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


@dataclass(frozen=True)
class ShownFigure:
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


def render_report(content: ReportContent) -> str:
    """Render the whole report as one HTML text."""
    return _render(
        "report.html.j2",
        content,
        verdict=score.verdict(content.metrics, content.per_class),
        bars=score.bars(content.metrics, content.per_class),
        tiles=score.tiles(content.metrics),
        sentences=score.sentences(content.metrics, content.calibration),
        headings=score.headings(content.per_class),
        scores=score.class_rows(content.per_class),
        accuracy_reach=score.reach(content.metrics.get("accuracy_ci95"), percent),
        validation_name=validation_name(content.split),
        mistakes=score.mistakes(content.confusion),
        figures=[_shown(stem, data, content) for stem, data in content.figures.items()],
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
    environment.globals |= {"SHOWN": SHOWN, "PARTS": PARTS}
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
        "quarantine": content.quarantine.head(SHOWN).to_dict("records"),
        "division_facts": division_facts(content.leakage),
        "crossings": crossings(content.leakage),
        "split_rows": split_rows(content.split, content.classes),
        "unused": unused_reasons(content.split),
        "conflicts": label_conflicts(content.split),
        "sheets": sheets(content.pairs, (content.leakage or {}).get("near")),
    }


def _shown(stem: str, data: bytes | str, content: ReportContent) -> ShownFigure:
    """Prepare a figure for the page: title, caption, data: URI and alternative text."""
    title, caption = CAPTIONS.get(stem, (stem.replace("_", " ").capitalize(), ""))
    describe = {"curves": _describe_curves, "confusion": _describe_confusion}.get(stem)
    alternative = describe(content) if describe else f"Figure: {title}. {caption}".strip()
    return ShownFigure(title, caption, _data_uri(data), alternative, _natural_width(data))


def _describe_curves(content: ReportContent) -> str:
    """Say in words where the learning curves end."""
    if content.history.empty:
        return "Learning curves without an epoch."
    last = content.history.iloc[-1]
    ends = f"train accuracy {percent(last['train_accuracy'])}"
    if not undefined(last["val_accuracy"]):
        name = validation_name(content.split).lower()
        ends += f", {name} accuracy {percent(last['val_accuracy'])}"
    return f"Learning curves over {plural(len(content.history), 'epoch')}. At the end: {ends}."


def _describe_confusion(content: ReportContent) -> str:
    """Say in words how many pictures stand on the diagonal of the confusion matrix."""
    counts = content.confusion.to_numpy()
    return (
        f"Confusion matrix of {plural(len(counts), 'class', 'classes')}: "
        f"{count(counts.trace())} of {plural(int(counts.sum()), 'test picture')} on the diagonal."
    )


def _data_uri(data: bytes | str) -> str:
    """Put a picture into an address, so that the file needs no other one."""
    kind = "image/svg+xml" if isinstance(data, str) else "image/png"
    encoded = base64.b64encode(data.encode("utf-8") if isinstance(data, str) else data)
    return f"data:{kind};base64,{encoded.decode('ascii')}"


def _natural_width(data: bytes | str) -> int:
    """Read how wide a figure is meant to be in CSS pixels (96 an inch); 0 where unknown."""
    if isinstance(data, str):
        words: Iterable[str] = data[:2000].split('width="')[1:2]
        points = [word.split('pt"')[0] for word in words]
        return round(float(points[0]) * 96 / 72) if points and _is_number(points[0]) else 0
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return 0
    return round(int.from_bytes(data[16:20], "big") * 96 / 150)


def _is_number(text: str) -> bool:
    """Tell whether a text is a plain decimal number."""
    return text.replace(".", "", 1).isdecimal()
