"""What the command lines have in common: clean lines on the terminal, and exit codes.

Exit codes: 0 done; 2 the user's input was wrong (one line, no traceback); 1 anything else.
"""

import errno
import logging
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Toml
from pydantic import ValidationError

from flows.settings import Plan
from resnext.errors import InputError, TrainingError
from tasks.orchestrator import Failed, State
from tasks.stage.decorator import current_stage
from tasks.stage.run import LATEST

log = logging.getLogger(__name__)

PROJECT_LOGGERS = ("flows", "tasks", "resnext", "reports")
# Flags that are called otherwise than the field that their value ends up in.
RENAMED = {("SplitSettings", "strategy"): "split", ("SplitSettings", "seed"): "split-seed"}
# Arguments of the library by the flag that they come from.
FLAGS = {"data": "--data", "architecture": "--arch", "device": "--device", "source": "SOURCE"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
AT_LEAST = "greater than or equal to"
DONE, FAILED, WRONG_INPUT = 0, 1, 2


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
    root = logging.getLogger()
    for handler in root.handlers:
        handler.addFilter(_worth_showing)
    lines = Lines()
    for name in PROJECT_LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(lines)
        logger.propagate = False


def _worth_showing(record: logging.LogRecord) -> bool:
    """Hide the life of flow and task runs: how they end is said once, by `run_command`."""
    if record.name.startswith(("prefect.flow_runs", "prefect.task_runs")):
        return False
    return record.levelno >= logging.WARNING


def run_command(
    command: Callable[..., Any], *, name: str, arguments: Sequence[str] | None = None
) -> int:
    """Read a command line, run the command and give the exit code.

    Args:
        command: A function whose parameters are the flags.
        name: What the program is called in its help.
        arguments: The words after the program's name; those of this process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    app = App(
        name=name,
        version_flags=[],
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(show_default=False, negative=""),
    )
    app.default(command)
    try:
        app.config = _config_file(words)
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _complain(_first_line(error))
    except (InputError, ValidationError) as error:
        return _complain(in_words(error))
    except KeyboardInterrupt:
        print(
            "\nStopped. Every finished stage is kept; the same command starts the one that was "
            "under way anew.",
            file=sys.stderr,
        )
        return FAILED
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in FULL:
            raise
        print(
            f"error: The disk or a quota is full ({error}). Finished stages are kept. Make room "
            "and run the same command again.",
            file=sys.stderr,
        )
        return FAILED
    return DONE


def in_words(error: Exception) -> str:
    """Say in one line what was wrong with the input."""
    if not isinstance(error, ValidationError):
        argument, _, rest = " ".join(str(error).split()).partition(" ")
        return f"{FLAGS.get(argument, argument)} {rest}"
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    flag = "--" + RENAMED.get((error.title, name), name).replace("_", "-")
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return in_words(cause)
    if first["type"] == "value_error":  # a sentence that begins with the field's name
        return flag + " ".join(str(cause).split()).removeprefix(name)
    rule = first["msg"].replace("Input should be", "must be").replace(AT_LEAST, "at least")
    return f"{flag} {rule.partition(', unable')[0]}, got {first['input']!r}."


@dataclass
class Outcome:
    """How a flow ends."""

    state: State[Any]


@contextmanager
def wrong_input_fails_in_words() -> Iterator[Outcome]:
    """Turn wrong input into a failed state with the reason as its message, not a traceback."""
    outcome = Outcome(Failed(message="did not end"))
    try:
        yield outcome
    except (InputError, ValidationError) as error:
        text = in_words(error)
        outcome.state = Failed(message=text, data=InputError(text))


def end(state: State[Any]) -> None:
    """Raise what a flow failed with.

    Raises:
        InputError: the user's input was wrong.
        Exception: anything else.
    """
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result


def is_watched() -> bool:
    """Tell whether standard error is a terminal; a closed one is none."""
    return sys.stderr is not None and sys.stderr.isatty()


def interpreter() -> str:
    """Name this Python as one would type it here."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


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
    latest = plan.store / LATEST
    if not (run / "metrics.json").exists():
        log.info("Stopped after %s. Results: %s", plan.only, latest)
        return f"{plan.name}: stopped after {plan.only}"
    from reports.html import format_per_class
    from reports.tables import read_json, read_table

    metrics = read_json(run / "metrics.json")
    table = format_per_class(read_table(run / "per_class.csv"))
    score = (
        f"{metrics['accuracy']:.1%} of {metrics['n']} test pictures right "
        f"(always answering the commonest class: {metrics['majority_accuracy']:.1%})"
    )
    kind = "SYNTHETIC demonstration set, " if plan.data is None else ""
    log.info("\n%s\n\n%s%s", table, kind, score, extra={"plain": True})
    log.info("Report: %s", latest / "report.html", extra={"plain": True})
    if plan.predict is not None:
        log.info("Predictions: %s", latest / "batch_predictions.csv", extra={"plain": True})
    return f"{plan.name}: {score}"


def plain(value: object) -> str:
    """Write a setting's value for people."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return " / ".join(plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _complain(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return WRONG_INPUT


def _first_line(error: CycloptsError) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, ValidationError):
        return in_words(cause)
    return " ".join(str(error).split())


def _config_file(words: Sequence[str]) -> list[Toml]:
    """Find `--config FILE` among the words, which must be known before they are read."""
    for word, following in pairwise([*words, ""]):
        if word == "--config" or word.startswith("--config="):
            path = following if word == "--config" else word.partition("=")[2]
            return [_toml(Path(path))]
    return []


def _toml(path: Path) -> Toml:
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"--config must be a TOML file, got '{path}'. It can't be read: {error}."
        ) from error
    return Toml(path, must_exist=True, search_parents=False)
