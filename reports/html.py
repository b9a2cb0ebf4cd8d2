"""Render a report: one HTML file that opens offline and holds its style and its figures.

Everything that comes from the data is escaped, a policy in the file forbids scripts and requests,
and equal contents give equal text. The numbers come from the tables as they are: this module
computes no metric, counts nothing in the folder and draws no figure.

What is undefined (NaN, None) reads "n/a", never 0.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

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
from reports.words import count, decimal, display_width, percent, plural, printable, undefined

CARRIED_FILES = (
    "pages/audit.html.j2",
    "pages/data.html.j2",
    "pages/macros.html.j2",
    "pages/page.css",
    "pages/page.html.j2",
    "pages/report.html.j2",
    "pages/reproduce.html.j2",
)

SHOWN = 20
"""So many rows of a long list are shown; the rest is counted."""
PERCENT_COLUMNS = {
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "f1": "F1",
}
"""Columns of the per-class table that hold shares, with their headings."""
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


@dataclass(frozen=True)
class Mistake:
    """Hold one pair of classes that is confused, with count and share of the true class."""

    true: str
    predicted: str
    count: int
    share: float


def render_report(content: ReportContent) -> str:
    """Render the whole report as one HTML text."""
    return _render(
        "report.html.j2",
        content,
        verdict=verdict(content),
        bars=_bars(content),
        validation_name=validation_name(content.split),
        scores=content.per_class.to_dict("records"),
        mistakes=mistakes(content.confusion),
        figures=[_shown(stem, data, content) for stem, data in content.figures.items()],
        history=content.history.to_dict("records"),
    )


def render_audit(content: AuditContent) -> str:
    """Render what is known before any training as one HTML text."""
    return _render("audit.html.j2", content)


def format_per_class(per_class: pd.DataFrame) -> str:
    """Lay out the per-class table for a terminal: shares in percent, "n/a" where undefined."""
    names = [name for name in PERCENT_COLUMNS if name in per_class]
    header = ["class", "support", *names]
    rows = [
        [
            printable(str(row["class"])),
            f"{row['support']:.0f}",
            *(percent(row[n], " ") for n in names),
        ]
        for row in per_class.to_dict("records")
    ]
    widths = [max(map(display_width, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(_line(row, widths) for row in [header, *rows])


def verdict(content: ReportContent) -> str:
    """Say in a sentence how the score compares with always answering the commonest class."""
    accuracy = content.metrics.get("accuracy")
    baseline = content.metrics.get("majority_accuracy")
    if accuracy is None or baseline is None or undefined(accuracy) or undefined(baseline):
        return "No test picture could be evaluated, so there is no score."
    answer = f"always answering “{commonest(content.per_class)}” ({percent(baseline)})"
    points = round(100 * accuracy, 1) - round(100 * baseline, 1)  # as they are shown
    if round(points, 1) == 0:
        return f"Just as often right as {answer}."
    side = "above" if points > 0 else "below"
    return f"{abs(points):.1f} percentage points {side} {answer}."


def commonest(per_class: pd.DataFrame) -> str:
    """Name the class with the most pictures, the first one of equals."""
    return str(per_class["class"].iloc[int(per_class["support"].to_numpy().argmax())])


def mistakes(confusion: pd.DataFrame, most: int = 5) -> list[Mistake]:
    """List the pairs of classes that are confused most often."""
    counts, totals = confusion.to_numpy(), confusion.to_numpy().sum(axis=1)
    pairs = [
        (int(counts[row, column]), row, column)
        for row, column in zip(*counts.nonzero(), strict=True)
        if row != column
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    names = [str(name) for name in confusion.index]
    return [
        Mistake(names[row], names[column], number, number / totals[row])
        for number, row, column in pairs[:most]
    ]


def _render(page: str, content: AuditContent, **shown: Any) -> str:
    """Render one page with the section on the data; what is no UTF-8 becomes question marks."""
    template = _environment().get_template(page)
    text = template.render(content=content, **_data_and_split(content), **shown)
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _environment() -> jinja2.Environment:
    """Build the template engine: everything is escaped, a missing name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    writers = (percent, decimal, count, plural)
    environment.filters |= {writer.__name__: writer for writer in writers}
    environment.globals |= {"SHOWN": SHOWN, "PARTS": PARTS, "SCORES": PERCENT_COLUMNS}
    return environment


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


def _bars(content: ReportContent) -> list[tuple[str, float | None]]:
    """Give the shares that are set beside each other at the head of the report."""
    metrics = content.metrics
    return [
        ("Accuracy", metrics.get("accuracy")),
        ("Balanced accuracy", metrics.get("balanced_accuracy")),
        (f"Always “{commonest(content.per_class)}”", metrics.get("majority_accuracy")),
    ]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Align one line of a terminal table: the name to the left, numbers to the right."""
    pads = [" " * (width - display_width(cell)) for cell, width in zip(cells, widths, strict=True)]
    first = cells[0] + pads[0]
    rest = (pad + cell for cell, pad in zip(cells[1:], pads[1:], strict=True))
    return "  ".join([first, *rest])


def _shown(stem: str, data: bytes | str, content: ReportContent) -> ShownFigure:
    """Prepare a figure for the page: title, caption, data: URI and alternative text."""
    title, caption = CAPTIONS.get(stem, (stem.replace("_", " ").capitalize(), ""))
    describe = {"curves": _describe_curves, "confusion": _describe_confusion}.get(stem)
    alternative = describe(content) if describe else f"Figure: {title}."
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
