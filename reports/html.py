"""Render a report: one HTML file that opens offline and holds its style and its figures.

Everything that comes from the data is escaped, a policy in the file forbids requests and all
scripts but the one that sorts tables, and equal contents give equal text. The numbers come from
the tables as they are. A template asks a module of `reports/sections` for what it shows.

What is undefined (NaN, None) reads "n/a", never 0.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from reports import advice, checklists, parts, references
from reports.content import AuditContent, ReportContent
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
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+(?: (?:[A-Z]{4,}|general|medical)\b| &#39;.+?&#39;)?")
"""A flag in an escaped sentence, with its value or what stands for it, as in --groups FILE."""
MOST_ROWS = 20
"""So many rows of a long list are shown; the rest is counted."""


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
    filters = (percent, decimal, count, plural, plain, flags, images.thumbnail)
    environment.filters |= {each.__name__: each for each in filters}
    sections = (
        contents, doubts, figures, folder, folds, images, paper, probabilities, run, score,
        shortcuts, split, subgroups, uncertainty,
    )  # fmt: skip
    asked = (*sections, advice, checklists, parts, references)
    environment.globals |= {each.__name__.rpartition(".")[2]: each for each in asked}
    environment.globals |= script_of("sort.js")
    environment.globals["MOST_ROWS"] = MOST_ROWS
    return environment


def flags(text: str) -> Markup:
    """Set the flags of a sentence in the type of code; everything else is escaped."""
    return Markup(FLAG.sub(r"<code>\g<0></code>", str(escape(text))))


def script_of(name: str) -> dict[str, str]:
    """Give a page's one script, and what its policy knows it by: no other one runs.

    Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    script = (PAGES / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return {"script": Markup(script), "script_source": f"sha256-{digest}"}
