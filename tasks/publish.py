"""What the Prefect UI shows of a run: the head of its report, the classes, where the report is.

Always runs, since every flow run has artifacts of its own. Tables and figures are taken as they
lie in the store; nothing is computed or drawn here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.prediction import BatchSummary
from resnext.contracts.formatting import (
    count,
    percent,
    percent_interval,
    plain,
    plural,
    printable,
)
from resnext.contracts.tables import read_table
from tasks.callbacks.history import call_server
from tasks.report import content_of
from tasks.stage.artifact import Artifact

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    from reports.content import ReportContent

MOST_CLASSES = 20
ELSEWHERE = "The artifact per-class holds them."
SYNTHETIC = (
    "**Synthetic data.** The images are drawings made by a program, not photographs. The score "
    "says nothing about patients."
)
IN_SHORT = ("precision", "recall", "f1")
"""Metrics of a class that the summary holds: a table of all is wider than the UI's page."""


@task(task_run_name="publish to the UI", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish(name: str, report: Artifact, model: Artifact, *made: Any) -> None:
    """Make the artifacts of a flow run.

    Args:
        name: What was evaluated, for people.
        report: Holds report.html.
        model: Holds timing.csv, which says when it was trained, and for how long.
        made: What `tasks.report.content_of` takes.
    """
    content, page = content_of(*made), report.path("report.html")
    rows = per_class_rows(content.per_class)
    # a browser follows no link from a server's page to a file
    where = f"The whole report is on the machine of the run:\n\n`{page}`\n"
    text = summary(name, content, page) + trained(read_table(model.path("timing.csv")))
    texts = {"report": (where, "Report"), "summary": (text, "Score and figures")}

    def create() -> None:
        description = f"Test part, by class: {name}"
        create_table_artifact(table=rows, key="per-class", description=description)
        for key, (markdown, title) in texts.items():
            create_markdown_artifact(markdown=markdown, key=key, description=f"{title}: {name}")

    call_server(create)


def summary(name: str, content: "ReportContent", report: Path) -> str:
    """Render what the head of the report says as markdown, with the figures inside."""
    from reports.sections.figures import data_uri
    from reports.sections.score import score_table, sentences, verdict
    from reports.sections.split import leak_verdict, random_verdict

    metrics, per_class = content.metrics, content.per_class
    grave, leaks = leak_verdict(content.leakage, content.words.beings)
    drawn = {"curves": "Learning curves", "confusion": "Confusion matrix"}
    parts = [
        f"# {plain(name)}",
        SYNTHETIC if content.synthetic else "",
        _headline(metrics),
        plain(verdict(metrics, per_class)),
        f"**{plain(leaks)}**" if grave else plain(leaks),
        plain(random_verdict(content.leakage)),
        _advice(content),
        "\n".join(score_table(metrics, per_class)),
        *map(plain, sentences(metrics, content.calibration, per_class)),
        _listed("To be read with the score", map(plain, content.notes)),
        f"## Classes\n\n{class_table(per_class)}",
        *(f"![{title}]({data_uri(content.figures[key])})" for key, title in drawn.items()),
        f"The report is in `{report}`.\n",
    ]
    return "\n\n".join(part for part in parts if part)


def _headline(metrics: Mapping[str, Any]) -> str:
    """Say how many answers were right, and within which interval."""
    from reports.sections.score import reach

    if not metrics.get("n"):
        return "No score."
    tested = f"{plural(metrics['n'], 'test image')} of {plural(metrics['groups'], 'group')}"
    bounds = reach(metrics.get("accuracy_ci95"))
    right = f"Right on **{percent(metrics.get('accuracy'))}** of {tested}."
    return f"{right} 95 % interval: {bounds}." if bounds else right


def _advice(content: "ReportContent") -> str:
    from reports.advice import advise

    return _listed(
        "What to do next",
        (
            f"{plain(each['words'])} `{each['flag']}` {plain(each['effect'])}."
            for each in advise(content)
        ),
    )


def _listed(title: str, items: Iterable[str]) -> str:
    """Write a list in Markdown below its title; nothing where it is empty."""
    lines = "\n".join(f"* {item}" for item in items)
    return f"## {title}\n\n{lines}" if lines else ""


def class_table(per_class: pd.DataFrame) -> str:
    """Write the per-class table in Markdown, in short; a long one stands elsewhere."""
    from reports.sections.score import class_metrics

    if len(per_class) > MOST_CLASSES:
        return ELSEWHERE
    metrics = [metric for metric in class_metrics(per_class) if metric.name in IN_SHORT]
    lines = [["class", "images", *(metric.title for metric in metrics)]]
    lines.append(["---", *["--:"] * (1 + len(metrics))])
    for row in per_class.to_dict("records"):
        shares = [_short(row, metric.name) for metric in metrics]
        lines.append([plain(row["class"]), count(row["support"]), *shares])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _short(row: Mapping[Any, Any], name: str) -> str:
    """Write a share with its interval, which is not to be broken into lines."""
    interval = row.get(f"{name}_low"), row.get(f"{name}_high")
    return percent_interval(row[name], interval).replace(" ", "\u00a0")


def trained(timing: pd.DataFrame) -> str:
    """Say when a network was trained, and for how long; nothing without an epoch.

    The report does not say it: its bytes depend on no clock.
    """
    if timing.empty:
        return ""
    ended = datetime.fromisoformat(timing["finished_at"].iloc[-1]).astimezone(UTC)
    minutes = timing["seconds"].sum() / 60
    return f"Trained in {minutes:.1f} minutes, until {ended:%Y-%m-%d %H:%M} UTC.\n"


def per_class_rows(per_class: pd.DataFrame) -> list[dict[str, str]]:
    """Lay out per_class.csv for people, each metric with its interval of 95 %."""
    from reports.sections.score import class_metrics, class_rows

    names = [metric.title for metric in class_metrics(per_class)]
    return [
        {"class": row["name"], "images": count(row["support"])}
        | {name: cell["line"] for name, cell in zip(names, row["cells"], strict=True)}
        for row in class_rows(per_class)
    ]


@task(
    task_run_name="publish the predictions", cache_policy=NO_CACHE, persist_result=False, retries=0
)
def publish_predictions(summary: BatchSummary, place: Path) -> None:
    """Show the first answers on the flow run's page, and say where all of them are."""
    shown = [{"image": printable(path), "answer": answer} for path, answer in summary.first]
    text = f"{plain(str(summary))}. All of them: `{place}`"
    call_server(lambda: create_table_artifact(table=shown, key="predictions", description=text))
