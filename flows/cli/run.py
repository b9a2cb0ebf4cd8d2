"""Read a command line, run its command, and end with the right exit code.

Exit codes: 0 done; 2 the user's input was wrong (one line, no traceback); 1 anything else.
"""

import errno
import inspect
import logging
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from cyclopts.config import Toml
from pydantic import ValidationError

from flows.cli import flags, torchrun
from flows.cli.form import for_who_started
from flows.serving.address import ServerError
from flows.serving.signals import end_with_starter
from resnext.contracts.errors import ExportError, InputError, StoppedError, TrainingError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

log = logging.getLogger("flows.cli.run")

SETTING = re.compile(r"`(\w+)`")
DONE, FAILED, WRONG_INPUT = 0, 1, 2
STOPPED = (
    "Stopped. Every finished stage is kept, and what was saved of the unfinished one; the same "
    "command goes on from there."
)
FULL = (
    "The disk or a quota is full ({error}). Finished stages are kept. Make room and run the same "
    "command again."
)
DENIED = (
    "Files must be open to this user, got {error}. Change their rights, or name another folder (of "
    "results: --store). Finished stages are kept."
)
TOO_LONG = "Paths must be short enough for this system, got {error}. Finished stages are kept."
OF_THE_SYSTEM = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (FAILED, FULL)),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), (WRONG_INPUT, DENIED)),
    errno.ENAMETOOLONG: (WRONG_INPUT, TOO_LONG),
}
"""Exit code and message for errors of the operating system that a person can mend."""
REWORDED = (
    ("Input should be ", "be "),
    ("greater than or equal to", "at least"),
    ("Extra inputs are not permitted", "not be given here"),
)
"""What pydantic says, and how it is said here."""
QUESTIONS = ("--help", "-h", "--version", "--install-completion")
EPILOGUE = (
    "--help shows this, --version the version. --install-completion lets bash, zsh or fish "
    "complete the flags of an alias: alias {alias}='python flows/{alias}.py'"
)


def answer_help(command: Callable[..., Any], *, name: str) -> None:
    """Print the help or the version and end, before the program imports Prefect, which is slow.

    Else say on a terminal what takes so long. A process that torchrun started besides helps the one
    that goes on.
    """
    torchrun.help_rank_0()
    if not {*QUESTIONS}.isdisjoint(sys.argv[1:]):
        sys.exit(run_command(command, name=name))
    if sys.stderr is not None and sys.stderr.isatty():
        print("loading the program (some seconds) ...", file=sys.stderr, flush=True)


def run_command(
    command: Callable[..., Any], *, name: str, arguments: Sequence[str] | None = None
) -> int:
    """Read a command line, run the command and give the exit code.

    Args:
        command: A function whose parameters are the flags.
        name: What the program is called in its help.
        arguments: The words after the program's name; those of this process by default.
    """
    code = _exit_code(command, name, list(sys.argv[1:] if arguments is None else arguments))
    torchrun.end_others(code)
    return code


def _exit_code(command: Callable[..., Any], name: str, words: Sequence[str]) -> int:
    alias = name.removesuffix(".py")  # what a shell completes must be a word
    app = _app(command, alias if "--install-completion" in words else name)
    try:
        app.config = _config_file(words)
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _complain(_first_line(error))
    except (InputError, ValidationError) as error:
        return _complain(error_line(error))
    except KeyboardInterrupt:
        print(f"\n{STOPPED}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in OF_THE_SYSTEM:
            raise
        code, text = OF_THE_SYSTEM[error.errno]
        return _complain(text.format(error=error), code)
    except (ExportError, TrainingError, StoppedError, ServerError) as error:
        return _complain(str(error), FAILED)
    return DONE


def _app(command: Callable[..., Any], name: str) -> App:
    """Make the reader of a command line; the last line of its help is about every program."""
    app = App(
        name=name,
        version=lambda: version("resnext-pipeline"),
        help_format="plaintext",
        help_epilogue=EPILOGUE.format(alias=name.removesuffix(".py")),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(show_default=False, negative=""),
    )
    app.register_install_completion_command()
    for question in QUESTIONS:
        app[question].show = False  # no box of their own
    # A description goes on over line ends, and the help is wrapped as wide as the terminal.
    command.__doc__ = re.sub(r"\n {8}", " ", inspect.cleandoc(command.__doc__ or ""))
    app.default(command)
    return app


@dataclass
class Outcome:
    """How a flow ends."""

    state: "State[Any]"


_ended: list[Outcome] = []
"""The last flow of this process, once its work is done: Prefect may still fail to write it down."""


@contextmanager
def flow_outcome() -> Iterator[Outcome]:
    """Turn wrong input into a failed state whose message is the reason, without a traceback.

    A process that was asked to end, by Ctrl-C too, gives a cancelled one.
    """
    from prefect.states import Cancelled, Failed

    end_with_starter()
    outcome = Outcome(Failed(message="did not end"))
    try:
        yield outcome
    except (InputError, ValidationError) as error:
        outcome.state = Failed(message=for_who_started(error_line(error)), data=error)
    except StoppedError as error:
        outcome.state = Cancelled(message=str(error), data=StoppedError(str(error)))
    except KeyboardInterrupt:
        outcome.state = Cancelled(message=STOPPED, data=KeyboardInterrupt())
    _ended[:] = [outcome]


def run_flow(flow: Callable[..., Any], *args: Any) -> None:
    """Run a flow with a server, show its lines, and raise what it failed with.

    Where the server went away meanwhile, what the flow did counts, not that nobody wrote it down.

    Raises:
        InputError: the user's input was wrong.
        Exception: anything else.
    """
    from flows.cli import terminal
    from flows.serving import server

    terminal.show_only_our_lines()
    away = False
    with server.connected():
        _ended.clear()
        try:
            state = flow(*args, return_state=True)
        except Exception as error:
            if not _ended:
                raise
            state, away = _ended[0].state, True
            log.warning(
                "The Prefect server went away (%s), so that the run history does not show how this "
                "run ended. Its results are complete: the same command would find all of them "
                "cached.",
                error,
            )
        result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    if away:  # Prefect would try to reach it for minutes
        sys.stdout.flush()
        sys.stderr.flush()
        torchrun.end_others(DONE)
        os._exit(DONE)
    terminal.show_until_exit("finishing the run history (a few seconds) ...")


def error_line(error: InputError | ValidationError) -> str:
    """Write in one line what was wrong with the input."""
    if isinstance(error, InputError):
        return _with_flags(error)
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return _with_flags(cause, error.title)
    rule = reduce(lambda text, pair: text.replace(*pair), REWORDED, first["msg"])
    name = str(first["loc"][0]) if first["loc"] else "settings"
    got = _plain(first["input"])
    return _with_flags(InputError(name, rule.partition(", unable")[0], got), error.title)


def _with_flags(error: InputError, model: str = "") -> str:
    """Write an error in one line, with the flags of the settings that it names."""
    name, _, rest = error.argument.partition(" ")
    argument = f"{_flag_of(name, model)} {rest}".rstrip()
    rule, remedy = (
        SETTING.sub(lambda found: _flag_of(found[1], model), text)
        for text in (error.rule, error.remedy)
    )
    return " ".join(str(InputError(argument, rule, error.got, remedy)).split())


def _flag_of(name: str, model: str) -> str:
    """Give the flag of a setting; another name stays as it is."""
    name = flags.flag_name(model, name)
    return f"--{name.replace('_', '-')}" if name in flags.NAMES else name


def _plain(value: object) -> str:
    """Show a value as it was given; a number that a command line gave as text without quotes."""
    try:
        float(str(value))
    except ValueError:
        return repr(value)
    return str(value)


def _complain(text: str, code: int = WRONG_INPUT) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code


def _first_line(error: CycloptsError) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, ValidationError):
        return error_line(cause)
    if isinstance(error, UnusedCliTokensError):
        words = " ".join(error.unused_tokens or [])
        return f"There is no place for '{words}' here. Name a flag before it, such as --data."
    return " ".join(str(error).split())


def _config_file(words: Sequence[str]) -> list[Toml]:
    """Find `--config FILE` among the words, which must be known before they are read."""
    for word, following in pairwise([*words, ""]):
        flag, _, given = word.partition("=")
        if flag != "--config":
            continue
        path = Path(given if "=" in word else following)
        read_toml(path, "config")
        return [Toml(path, must_exist=True, search_parents=False)]
    return []


def read_toml(path: Path, argument: str) -> dict[str, Any]:
    """Read a TOML file that an argument names.

    Raises:
        InputError: it can't be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        remedy = f"It can't be read: {error}."
        raise InputError(argument, "be a TOML file", f"'{path}'", remedy) from error
