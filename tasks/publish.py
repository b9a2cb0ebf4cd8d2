"""What the Prefect UI shows of a run: score, leaks, classes, curves, where the report is.

Always runs, since every flow run has artifacts of its own. Tables and figures are taken as they
lie in the store; nothing is computed or drawn here.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from reports.prediction import BatchSummary
from resnext.contracts.formatting import count, percent, plain, plural, printable
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
from tasks.callbacks.history import call_server
from tasks.stage.artifact import Artifact

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

MOST_CLASSES = 20
ELSEWHERE = "The artifact per-class holds them."


@task(task_run_name="publish to the UI", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish(
    name: str,
    scores: Artifact,
    figures: Artifact,
    report: Artifact,
    split: Artifact | None = None,
    model: Artifact | None = None,
) -> None:
    """Make the artifacts of a flow run.

    Args:
        name: What was evaluated, for people.
        scores: Holds per_class.csv and metrics.json.
        figures: Holds curves.png and confusion.png.
        report: Holds report.html.
        split: Holds leakage.json.
        model: Holds timing.csv, which says when it was trained, and for how long.
    """
    from reports.sections.figures import data_uri

    curves, confusion = (
        data_uri(figures.path(f"{name}.png").read_bytes()) for name in ("curves", "confusion")
    )
    per_class = read_table(scores.path("per_class.csv"))
    rows = per_class_rows(per_class)
    metrics = read_json(scores.path("metrics.json"))
    page = report.path("report.html")
    leakage = read_json(split.path("leakage.json")) if split else None
    text = summary(name, metrics, per_class, curves, confusion, page, leakage)
    text += trained(read_table(model.path("timing.csv"))) if model else ""

    # a browser follows no link from a server's page to a file
    where = f"The whole report is on the machine of the run:\n\n`{page}`\n"
    texts = {
        "curves": (f"![Learning curves]({curves})", "Learning curves"),
        "report": (where, "Report"),
        "summary": (text, "Score and figures"),
    }

    def create() -> None:
        description = f"Test part, by class: {name}"
        create_table_artifact(table=rows, key="per-class", description=description)
        for key, (markdown, title) in texts.items():
            create_markdown_artifact(markdown=markdown, key=key, description=f"{title}: {name}")

    call_server(create)


def summary(
    name: str,
    metrics: dict[str, Any],
    per_class: pd.DataFrame,
    curves: str,
    confusion: str,
    report: Path,
    leakage: dict[str, Any] | None = None,
) -> str:
    """Render what the head of the report says as markdown, with the figures inside."""
    from reports.sections.score import score_table, sentences, verdict
    from reports.sections.split import leak_verdict, random_verdict

    grave, leaks = leak_verdict(leakage)
    leaks = f"**{plain(leaks)}**" if grave else plain(leaks)
    compared, random = plain(verdict(metrics, per_class)), plain(random_verdict(leakage))
    classes = class_table(per_class) if len(per_class) <= MOST_CLASSES else ELSEWHERE
    parts = [
        f"# {name}", _headline(metrics), compared, leaks, random,
        "\n".join(score_table(metrics, per_class)),
        *map(plain, sentences(metrics, None, per_class)),
        f"## Classes\n\n{classes}",
        f"![Learning curves]({curves})", f"![Confusion matrix]({confusion})",
        f"The report is in `{report}`.\n",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part)


def _headline(metrics: dict[str, Any]) -> str:
    """Say how many answers were right, and within which interval."""
    from reports.sections.score import reach

    tested = f"{plural(metrics['n'], 'test image')} of {plural(metrics['groups'], 'group')}"
    bounds = reach(metrics.get("accuracy_ci95"))
    right = f"Right on **{percent(metrics.get('accuracy'))}** of {tested}."
    return f"{right} 95 % interval: {bounds}." if bounds else right


def class_table(per_class: pd.DataFrame) -> str:
    """Write the per-class table in Markdown."""
    rows = per_class_rows(per_class)
    lines = [[*rows[0]], ["---"] * len(rows[0]), *([*map(plain, row.values())] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def trained(timing: pd.DataFrame) -> str:
    """Say when a network was trained, and for how long; nothing without an epoch.

    The report does not say it: its bytes depend on no clock.
    """
    if timing.empty:
        return ""
    minutes = timing["seconds"].sum() / 60
    return f"Trained in {minutes:.1f} minutes, until {timing['finished_at'].iloc[-1]}.\n"


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
