"""Write a command line as one types it: every flag that was given, quoted, ready to be pasted."""

import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import BaseModel

from flows.cli.flags import REPOSITORY

README_PYTHON = ".venv/bin/python"


def command_line(program: str, *flags: BaseModel, words: Sequence[str] = ()) -> str:
    """Write the command that asks for the same again, with the paths of here and now.

    Args:
        program: The file in flows/.
        flags: What it was told; what is as by default is left out.
        words: What it was told without a flag.
    """
    place = [interpreter(), _near(REPOSITORY / "flows" / program)]
    return shlex.join([*place, *words, *words_of(*flags)])


def interpreter() -> str:
    """Name this Python as one would type it here."""
    return _near(Path(sys.executable))


def as_in_readme(command: str) -> str:
    """Give a command that begins with `python` the Python of the README, to be typed beside it."""
    return f"{README_PYTHON}{command.removeprefix('python')}"


def words_of(*flags: BaseModel, without: Collection[str] = ()) -> list[str]:
    """Write the flags that were given, but for those of the names `without`; paths are absolute."""
    words: list[str] = []
    for model in flags:
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if name not in without and value != field.default:
                words += _words(f"--{name.replace('_', '-')}", value)
    return words


def _words(flag: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [flag] if value else []
    if flag == "--weights" and Path(str(value)).is_file():  # else it is a word
        value = Path(str(value))
    text = str(value.absolute() if isinstance(value, Path) else value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _near(path: Path) -> str:
    """Write a path below the working directory without it, any other one in full."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
