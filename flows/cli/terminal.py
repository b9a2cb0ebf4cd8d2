"""What the command lines show: clean lines instead of Prefect's, and how a run ended."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.cli.command_line import interpreter
from flows.cli.plan import Plan
from tasks.stage.decorator import current_stage
from tasks.stage.runs import LATEST

log = logging.getLogger(__name__)

METRICS = "metrics.json"
HIDDEN = (
    "prefect.engine",
    "prefect.flow_runs",
    "prefect.task_runs",
    "prefect.events",
    "prefect._internal",
)
PROJECT_LOGGERS = ("flows", "tasks", "resnext", "reports")


class Lines(logging.Handler):
    """Show the project's log lines on standard error, each after the name of its stage.

    A record marked `extra={"plain": True}` is a result: it goes to standard output as it is.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if getattr(record, "plain", False):
            print(record.getMessage(), flush=True)
            return
        warning = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        for line in record.getMessage().split("\n"):
            print(f"{current_stage.get():<9} {warning}{line}", file=sys.stderr, flush=True)


def show_only_our_lines() -> None:
    """Show the project's lines instead of Prefect's, whose own go to the Prefect UI all the same.

    Called after Prefect was imported, which sets up its handlers.
    """
    logging.raiseExceptions = False  # else a server that is gone is told of at every line
    root = logging.getLogger()
    for handler in root.handlers:
        handler.addFilter(_worth_showing)
    lines = Lines()
    for name in PROJECT_LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(lines)
        logger.propagate = False


def _worth_showing(record: logging.LogRecord) -> bool:
    """Hide the life of flow and task runs: how they end is said once, by `run_command`.

    That events can't be sent is hidden too: `tasks.callbacks.history` says that a server is gone.
    """
    if record.name.startswith(HIDDEN):
        return False
    return record.levelno >= logging.WARNING


def is_watched() -> bool:
    """Tell whether standard error is a terminal; a closed one is none."""
    return sys.stderr is not None and sys.stderr.isatty()


def say_what_runs(plan: Plan) -> None:
    """Say which pictures are used, above all when they are no photographs."""
    if plan.data is None:
        log.info(
            "No --data given: using a SYNTHETIC demonstration set that this program draws.\n"
            "Its scores say nothing about real pictures. For your own, in class folders:\n"
            "    %s flows/full_pipeline.py --data FOLDER",
            interpreter(),
        )
    else:
        log.info("pictures: %s", plan.data)


def conclusion(run: Path, plan: Plan) -> str:
    """Show the per-class table and where the report is; give the score in a line."""
    place = plan.store / LATEST if plan.only is None else run  # latest names whole runs alone
    if not (run / METRICS).exists():
        log.info("Stopped after %s. Results: %s", plan.only, place)
        if (run / "audit.html").exists():
            log.info("Audit: %s", place / "audit.html", extra={"plain": True})
        return f"{plan.name}: stopped after {plan.only}"
    from reports.sections.score import format_per_class
    from resnext.contracts.json_files import read_json
    from resnext.contracts.tables import read_table

    metrics = read_json(run / METRICS)
    table = format_per_class(read_table(run / "per_class.csv"))
    score = score_line(metrics)
    kind = "SYNTHETIC demonstration set, " if plan.data is None else ""
    log.info("\n%s\n\n%s%s", table, kind, score, extra={"plain": True})
    if (run / "report.html").exists():
        log.info("Report: %s", place / "report.html", extra={"plain": True})
    else:
        log.info("Stopped after %s. Results: %s", plan.only, place)
    if plan.predict is not None and plan.only is None:
        log.info("Predictions: %s", place / "batch_predictions.csv", extra={"plain": True})
    return f"{plan.name}: {score}"


def score_line(metrics: Mapping[str, Any]) -> str:
    """Say in a line how good the network is, with the interval of 95 % where there is one."""
    from resnext.contracts.formatting import percent

    return (
        f"{percent(metrics['accuracy'], ' ')} of {metrics['n']} test pictures right (always "
        f"answering the commonest class: {percent(metrics['majority_accuracy'], ' ')}); "
        f"balanced accuracy {balanced_accuracy(metrics)}"
    )


def score_tags(run: Path) -> list[str]:
    """Say how good a run's network is in a tag, so that runs can be told apart in a list."""
    if not (run / METRICS).exists():
        return []
    from resnext.contracts.formatting import percent
    from resnext.contracts.json_files import read_json

    share = read_json(run / METRICS)["balanced_accuracy"]
    return [f"bal. acc. {percent(share, ' ')}"]


def balanced_accuracy(metrics: Mapping[str, Any]) -> str:
    """Write the balanced accuracy with its interval of 95 % where there is one."""
    from resnext.contracts.formatting import percent

    interval = metrics.get("balanced_accuracy_ci95")
    bounds = f" (95 % {100 * interval[0]:.0f} to {100 * interval[1]:.0f})" if interval else ""
    return f"{percent(metrics['balanced_accuracy'], ' ')}{bounds}"


def plain(value: object) -> str:
    """Write a setting's value for people."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return " / ".join(plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
