"""Write a command line to copy: every flag that was given, quoted."""

import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import BaseModel

from flows import REPOSITORY
from flows.cli.flags import full_path

README_PYTHON = ".venv/bin/python"  # of the commands in README and reports


def command_line(program: str, *flags: BaseModel, positional: Sequence[str] = ()) -> str:
    """Write the command that asks for the same again, with the paths of here and now.

    Args:
        program: The file in flows/.
        flags: Its groups of flags; what is as by default is left out.
        positional: Its arguments without a flag.
    """
    program_path = [interpreter(), _near(REPOSITORY / "flows" / program)]
    return shlex.join([*program_path, *positional, *arguments_of(*flags)])


def interpreter() -> str:
    """Name this Python for a command to copy."""
    return _near(Path(sys.executable))


def arguments_of(*flags: BaseModel, without: Collection[str] = ()) -> list[str]:
    """Write the flags that were given, but for those of the names `without`."""
    arguments: list[str] = []
    for model in flags:
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if name not in without and value != field.default:
                arguments += _arguments(f"--{name.replace('_', '-')}", value)
    return arguments


def _arguments(flag: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [flag] if value else []
    text = str(value)
    if flag == "--weights" and Path(text).is_file():  # else it is a name
        text = str(full_path(Path(text)))
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _near(path: Path) -> str:
    """Write a path below the working directory without it, any other one in full."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
