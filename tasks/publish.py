"""What the Prefect UI shows of a run: score, curves, per-class table, where the report is.

Always runs, since every flow run has artifacts of its own. Tables and pictures are taken as they
lie in the store; nothing is computed or drawn here.
"""

import base64
from pathlib import Path
from typing import Any

from resnext.contracts.formatting import decimal_interval, percent_interval
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_rows
from tasks.callbacks.history import tell
from tasks.orchestrator import NO_CACHE, create_markdown_artifact, create_table_artifact, task
from tasks.stage.artifact import Artifact

COUNTS = {"n": "test pictures", "groups": "groups (patients) of them"}
SHARES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "majority_accuracy": "always the commonest class",
}
CLASS_SHARES = ("precision", "recall", "specificity", "f1")
AREA = "auroc"


@task(task_run_name="publish to the UI", cache_policy=NO_CACHE, persist_result=False, retries=0)
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
    metrics = read_json(scores.path("metrics.json"))
    page = report.path("report.html")

    def create() -> None:
        create_markdown_artifact(
            markdown=f"![Learning curves]({curves})",
            key="curves",
            description=f"Learning curves: {name}",
        )
        create_table_artifact(
            table=rows, key="per-class", description=f"Test part, by class: {name}"
        )
        create_markdown_artifact(  # a browser follows no link from a server's page to a file
            markdown=f"The whole report lies on the machine of the run:\n\n`{page}`\n",
            key="report",
            description=f"Report: {name}",
        )
        create_markdown_artifact(
            markdown=summary(name, metrics, curves, confusion, page),
            key="summary",
            description=f"Score and figures: {name}",
        )

    tell(create)


def summary(name: str, metrics: dict[str, Any], curves: str, confusion: str, report: Path) -> str:
    """Render the score as markdown with the figures inside."""
    lines = [f"# {name}", "", "| figure | test part (95 % interval) |", "|---|---|"]
    lines += [f"| {words} | {metrics[key]} |" for key, words in COUNTS.items()]
    for key, words in SHARES.items():
        shown = percent_interval(metrics.get(key), metrics.get(f"{key}_ci95"))
        lines.append(f"| {words} | {shown} |")
    lines.append(f"| AUROC | {decimal_interval(metrics.get(AREA), metrics.get(f'{AREA}_ci95'))} |")
    lines += ["", f"![Learning curves]({curves})", "", f"![Confusion matrix]({confusion})"]
    return "\n".join([*lines, "", f"The report is in `{report}`.", ""])


def per_class_rows(path: Path) -> list[dict[str, str]]:
    """Read per_class.csv into rows for people, each share with its interval of 95 %."""
    return [
        {"class": row["class"], "support": row["support"]}
        | {name: percent_interval(*_figure(row, name)) for name in CLASS_SHARES}
        | {AREA: decimal_interval(*_figure(row, AREA))}
        for row in read_rows(path)
    ]


def data_uri(path: Path) -> str:
    """Write a PNG into an address, so that a page needs no other file."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _figure(
    row: dict[str, str], name: str
) -> tuple[float | None, tuple[float | None, float | None]]:
    value, low, high = (_number(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    return value, (low, high)


def _number(text: str) -> float | None:
    return float(text) if text else None
