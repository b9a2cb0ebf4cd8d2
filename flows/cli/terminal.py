"""What the command lines show: clean lines instead of Prefect's, tables, and how a run ended.

On a terminal, lines are wrapped at blanks and tables have rules. Elsewhere both are plain text for
scripts to read.
"""

import atexit
import logging
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.command_line import interpreter
from flows.cli.form import for_who_started, is_filled_in
from resnext.contracts.formatting import (
    display_width,
    is_terminal,
    percent,
    printable,
    share_with_interval,
)
from tasks import LOGGERS
from tasks.stage.artifact import current_stage
from tasks.stage.runs import LATEST, run_metrics

if TYPE_CHECKING:
    from flows.cli.plan import Plan
    from resnext.models.architectures import Architecture

log = logging.getLogger(__name__)

HIDDEN = tuple(
    f"prefect.{name}" for name in ("engine", "flow_runs", "task_runs", "events", "_internal")
)
PAGES = ("plan.html", "doubts.html", "report.html", "audit.html")
NAME_WIDTH = 9  # columns for a stage's name
UNLIMITED = 10_000  # columns, where no terminal breaks lines


class Lines(logging.Handler):
    """Show the project's log lines on standard error, each after the name of its stage.

    A record marked `extra={"plain": True}` is a result: it goes to standard output as it is.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if getattr(record, "plain", False):
            return write(record.getMessage(), sys.stdout)
        warning = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        name = current_stage.get()
        for line in record.getMessage().split("\n"):
            write(f"{warning}{line}", sys.stderr, name=f"{name:<{NAME_WIDTH}} ")
        return None


def write(text: str, file: TextIO, *, name: str = "") -> None:
    """Write lines, wrapped at blanks on a terminal, the first after a name, the others below it."""
    lines = text.split("\n")
    if is_terminal(file):
        width = max(20, Console(file=file).width - display_width(name))
        lines = [part for line in lines for part in _wrapped(line, width)]
    below = "\n" + " " * len(name)
    print(f"{name}{below.join(lines)}", file=file, flush=True)


def _wrapped(line: str, width: int) -> list[str]:
    """Part a line at blanks; a word that is longer than the width stays whole."""
    lines = [""]
    for word in re.findall(r"\s*\S+", line):
        if lines[-1] and display_width(lines[-1] + word) > width:
            lines.append(word.lstrip())
        else:
            lines[-1] += word
    return lines


def table(
    rows: Sequence[Mapping[str, object]], *, plain: Collection[str] = (), names: int | None = None
) -> str:
    """Lay out rows, by column, for standard output; without a terminal as plain text.

    The columns of `plain` are long, for scripts: a terminal does not show them. Columns after the
    first `names`, if given, hold numbers, which are aligned to the right.
    """
    watched = is_terminal(sys.stdout)
    cells = {
        name: [printable(str(row[name])) for row in rows]
        for name in rows[0]
        if not (watched and name in plain)
    }
    made = Table(
        box=box.SIMPLE_HEAD if watched else None,
        pad_edge=watched,
        padding=(0, 1 if watched else 2, 0, 0),
    )
    for number, (name, column) in enumerate(cells.items()):  # a single word is never broken
        right = names is not None and number >= names
        whole = right or not any(" " in cell for cell in column)
        made.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for row in zip(*cells.values(), strict=True):
        made.add_row(*map(Text, row))
    console = Console(width=None if watched else UNLIMITED, force_terminal=watched)
    with console.capture() as captured:
        console.print(made)
    return "\n".join(line.rstrip() for line in captured.get().split("\n")).strip("\n")


def architectures() -> str:
    """Tabulate the networks: how large they are, and where their ImageNet weights are to be had."""
    from resnext.models.architectures import LISTED
    from resnext.models.sizes import size_of

    rows = [
        {
            "network": each.name,
            "parameters": f"{size.parameters / 1e6:.1f} M",
            "multiply-adds": f"{size.multiply_adds / 1e9:.2f} G",
            "images": f"{each.input_size} px",
            "weights": _weights(each),
        }
        for each, size in ((each, size_of(each)) for each in LISTED)
    ]
    rest = "Other networks of timm go by their names there. Their weights: --weights imagenet."
    return f"{table(rows)}\n\n{rest}"


def _weights(record: "Architecture") -> str:
    """Say where a network's ImageNet weights come from, and under which licence."""
    if record.imagenet is None:
        return "none"
    return f"{'bundled, or ' if record.bundled else ''}{record.source} ({record.licence})"


def show_only_our_lines() -> None:
    """Show the project's lines instead of Prefect's, whose own go to the Prefect UI all the same.

    Called after Prefect was imported, which sets up its handlers.
    """
    logging.raiseExceptions = False  # else a server that is gone is said at every line
    for handler in logging.getLogger().handlers:
        handler.addFilter(_worth_showing)
    lines = Lines()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(lines)
        logger.propagate = False


def _worth_showing(record: logging.LogRecord) -> bool:
    """Hide the life of flow and task runs: how they end is said once, by `run_command`.

    That events can't be sent is hidden too: `tasks.callbacks.history` says that a server is gone.
    """
    return not record.name.startswith(HIDDEN) and record.levelno >= logging.WARNING


def show_until_exit(text: str) -> None:
    """Say on a terminal what the end of the program waits for; the results stay the last lines."""
    if is_terminal(sys.stderr):
        print(text, end="", file=sys.stderr, flush=True)
        clear = "\r\033[K"  # to the start of the line, and what follows away
        atexit.register(print, clear, end="", file=sys.stderr, flush=True)


def log_images(plan: "Plan") -> None:
    """Say which images are used, above all when they are no photographs."""
    if plan.data is not None:
        log.info("images: %s", plan.data)
        return
    text = (
        "No --data given: using a SYNTHETIC demonstration set that this program draws.\n"
        "Its scores say nothing about real images. For your own, in class folders:\n"
    )
    if is_filled_in():
        log.info(for_who_started(f"{text}    name their folder in --data, with --preset auto"))
    else:
        log.info("%s    %s flows/full_pipeline.py --data FOLDER --preset auto", text, interpreter())


def conclusion(run: Path, plan: "Plan") -> str:
    """Show the per-class table and where the report is; give the score in a line."""
    folder = plan.store / LATEST if plan.only is None else run  # latest names whole runs alone
    metrics = run_metrics(run)
    made = {name: folder / name for name in PAGES if (run / name).exists()}
    text = f"stopped after {plan.only}"
    if metrics:
        from reports.sections.folds import in_a_line
        from reports.sections.score import only_answer, terminal_rows
        from resnext.contracts.tables import read_table

        per_class = read_table(run / "per_class.csv")
        text = score_line(metrics)
        kind = "SYNTHETIC demonstration set, " if plan.data is None else ""
        more = filter(None, (in_a_line(metrics), only_answer(per_class)))
        said = "\n".join([f"{kind}{text}", *more])
        rows = table(terminal_rows(per_class), names=1)
        log.info("\n%s\n\n%s", rows, said, extra={"plain": True})
    if "report.html" not in made:
        log.info("Stopped after %s. Results: %s", plan.only, folder)
    if plan.predict is not None and plan.only is None:
        made["Predictions"] = folder / "batch_predictions.csv"
    for name, path in made.items():
        log.info("%s: %s", Path(name).stem.capitalize(), path, extra={"plain": True})
    return f"{plan.name}: {text}"


def show_plan(found: Mapping[str, Any]) -> None:
    """Tabulate what plan.json holds: what was chosen, and why."""
    from reports.sections.plan import expected, short_rows

    rows = table(short_rows(found["decisions"]))
    log.info("\n%s\n\n%s\n", rows, expected(found["expected"]), extra={"plain": True})


def score_line(metrics: Mapping[str, Any]) -> str:
    """Say in a line how good the network is, with the interval of 95 % where there is one."""
    return (
        f"{percent(metrics['accuracy'], ' ')} of {metrics['n']} test images right (always "
        f"answering the commonest class: {percent(metrics['majority_accuracy'], ' ')}); "
        f"balanced accuracy {share_with_interval(metrics, 'balanced_accuracy')}"
    )


def score_tags(run: Path) -> list[str]:
    """Say how good a run's network is in a tag, so that runs can be told apart in a list."""
    metrics = run_metrics(run)
    return [f"bal. acc. {percent(metrics['balanced_accuracy'], ' ')}"] if metrics else []
