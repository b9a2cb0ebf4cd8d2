"""Render the report: everything about one run in one file."""

from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from reports.domain import ReportSettings
from reports.gallery import NAMES
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_confusion, read_table
from tasks.audit import Divided, Found, data_and_split
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

if TYPE_CHECKING:
    from reports.content import ReportContent

CARD = "MODEL_CARD.md"
SCORE_TABLES = ("per_class", "reliability", "net_benefit")

Facts = tuple[tuple[str, str], ...]


class About(BaseModel):
    """What a report says of its run besides the tables, in words."""

    model_config = ConfigDict(frozen=True)

    data_name: str
    synthetic: bool
    architecture: str
    command: str
    settings: tuple[tuple[str, Facts], ...]
    environment: Facts
    notes: tuple[str, ...] = ()
    report: ReportSettings = ReportSettings()


@stage(run_name="report on {about.data_name}", registered=("report.html", CARD))
def report(
    work: Work,
    manifest: Found,
    split: Divided,
    model: Annotated[Artifact, Reads("history.csv")],
    scores: Annotated[
        Artifact,
        Reads(
            *("per_class.csv", "confusion.csv", "metrics.json", "calibration.json"),
            *("reliability.csv", "net_benefit.csv"),
        ),
    ],
    explained: Annotated[Artifact, Reads("explained.json")],
    figures: Annotated[Artifact, Reads(*(f"{name}.png" for name in NAMES))],
    about: About,
    subgroups: Annotated[
        Artifact | None, Reads("subgroups.csv", "subgroup_gaps.csv", "subgroups.json")
    ] = None,
    shortcuts: Annotated[Artifact | None, Reads("shortcuts.csv")] = None,
    covered: Annotated[Artifact | None, Reads("covered.csv")] = None,
    doubts: Annotated[Artifact | None, Reads("doubts.csv")] = None,
) -> None:
    """Write report.html and MODEL_CARD.md."""
    from reports import html, model_card

    made = manifest, split, model, scores, explained, figures, about
    content = content_of(*made, subgroups, shortcuts, covered, doubts)
    (work.out / "report.html").write_text(html.render_report(content), encoding="utf-8")
    words = model_card.render_card(content, about.architecture)
    (work.out / CARD).write_text(words, encoding="utf-8", errors="replace")


def content_of(
    manifest: Artifact,
    split: Artifact,
    model: Artifact,
    scores: Artifact,
    explained: Artifact,
    figures: Artifact,
    about: About,
    subgroups: Artifact | None = None,
    shortcuts: Artifact | None = None,
    covered: Artifact | None = None,
    doubts: Artifact | None = None,
) -> "ReportContent":
    """Read what the report is made from: the files that `report` reads."""
    from reports.content import ReportContent
    from reports.sections.score import unusable
    from reports.sections.shortcuts import warnings
    from reports.sections.split import notes

    known, tables = data_and_split(manifest, split), _of_scores(scores)
    history, cues = read_table(model.path("history.csv")), _table(shortcuts, "shortcuts.csv")
    far = unusable(tables["metrics"], tables["calibration"])
    said = [*filter(None, [far]), *warnings(cues), *notes(known["split"], history), *about.notes]
    return ReportContent(
        explained=read_json(explained.path("explained.json")),
        history=history,
        figures={name: figures.path(f"{name}.png").read_bytes() for name in NAMES},
        doubts=_table(doubts, "doubts.csv"),
        notes=said,
        subgroups=of_subgroups(subgroups) if subgroups else None,
        shortcuts=cues,
        covered=_table(covered, "covered.csv"),
        **known,
        **tables,
        **_of_run(about),
    )


def _of_run(about: About) -> dict[str, Any]:
    """Give what a report says of its run in words."""
    return {
        "title": f"Image classification report: {about.data_name}",
        "data_name": about.data_name,
        "synthetic": about.synthetic,
        "architecture": about.architecture,
        "command": about.command,
        "domain": about.report.domain,
        "pictures": not about.report.no_pictures,
        "settings": {section: dict(facts) for section, facts in about.settings},
        "environment": dict(about.environment),
    }


def _of_scores(scores: Artifact) -> dict[str, Any]:
    """Read what the evaluation found, and the classes."""
    confusion = read_confusion(scores.path("confusion.csv"))
    return {
        "classes": tuple(confusion.index),
        "confusion": confusion,
        **{name: read_table(scores.path(f"{name}.csv")) for name in SCORE_TABLES},
        **{name: read_json(scores.path(f"{name}.json")) for name in ("metrics", "calibration")},
    }


def _table(made: Artifact | None, name: str) -> pd.DataFrame | None:
    return read_table(made.path(name)) if made else None


def of_subgroups(subgroups: Artifact) -> dict[str, Any]:
    """Read the figures of subgroups, their gaps, and what must be said of them."""
    tables = {"figures": "subgroups.csv", "gaps": "subgroup_gaps.csv"}
    found = {name: read_table(subgroups.path(file)) for name, file in tables.items()}
    return found | read_json(subgroups.path("subgroups.json"))
