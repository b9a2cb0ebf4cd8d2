"""What the Prefect UI shows of a run: the score in words, the curves, the per-class table.

Always runs, since every flow run has artifacts of its own. Tables and pictures are taken as they
lie in the store; nothing is computed or drawn here.
"""

import base64
import csv
import json
from pathlib import Path
from typing import Any

from tasks.orchestrator import (
    NO_CACHE,
    create_image_artifact,
    create_markdown_artifact,
    create_table_artifact,
    task,
)
from tasks.stage.artifact import Artifact

SHOWN = ("n", "groups", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "majority_accuracy")


@task(task_run_name="publish to the UI", cache_policy=NO_CACHE, persist_result=False)
def publish(name: str, scores: Artifact, figures: Artifact, report: Artifact) -> None:
    """Make the artifacts of a flow run.

    Args:
        name: What was evaluated, for people.
        scores: Holds per_class.csv and metrics.json.
        figures: Holds curves.png and confusion.png.
        report: Holds report.html.
    """
    curves = data_uri(figures.path("curves.png"))
    confusion = data_uri(figures.path("confusion.png"))
    rows = per_class_rows(scores.path("per_class.csv"))
    metrics = json.loads(scores.path("metrics.json").read_text(encoding="utf-8"))
    create_image_artifact(image_url=curves, key="curves", description=f"Learning curves: {name}")
    create_table_artifact(table=rows, key="per-class", description=f"Test part, by class: {name}")
    create_markdown_artifact(
        markdown=summary(name, metrics, curves, confusion, report.path("report.html")),
        key="summary",
        description=f"Score and figures: {name}",
    )


def summary(name: str, metrics: dict[str, Any], curves: str, confusion: str, report: Path) -> str:
    """Render the score as markdown with the figures inside."""
    lines = [f"# {name}", "", "| figure | test part |", "|---|---|"]
    lines += [f"| {key.replace('_', ' ')} | {number(metrics.get(key))} |" for key in SHOWN]
    lines += ["", f"![Learning curves]({curves})", "", f"![Confusion matrix]({confusion})"]
    return "\n".join([*lines, "", f"The report is in `{report}`.", ""])


def per_class_rows(path: Path) -> list[dict[str, str]]:
    """Read per_class.csv into rows for people."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: _cell(key, value) for key, value in row.items()} for row in rows]


def number(value: float | None) -> str:
    """Write a count as it is, a share as a percentage, what is undefined as n/a."""
    if value is None:
        return "n/a"
    return str(value) if isinstance(value, int) else f"{value:.1%}"


def data_uri(path: Path) -> str:
    """Write a PNG into an address, so that a page needs no other file."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _cell(column: str, value: str) -> str:
    if column == "class":
        return value
    if column == "support":
        return str(int(float(value)))
    return number(float(value) if value else None)
