"""Commands to copy: every flag is in them, and they are read as they were meant."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from cyclopts import Parameter
from pydantic import BaseModel, ValidationError

from flows.cli import flags as groups
from flows.cli import run as command
from flows.cli.command_line import arguments_of, command_line, interpreter
from flows.cli.flags import CompareFlags, DecisionFlags, EvaluationFlags, SplitFlags, TrainingFlags
from flows.full_pipeline import RunFlags

ODD = "it's -50 % $HOME"


def every_flag_of(model: type[BaseModel]) -> dict[str, Any]:
    """Give each flag a value other than its default, one that needs quotes where text is free."""
    return {name: other_value(model, name) for name in model.model_fields}


def other_value(model: type[BaseModel], name: str) -> Any:
    field = model.model_fields[name]
    choices = [
        c for part in (field.annotation, *get_args(field.annotation)) for c in get_args(part)
    ]
    folder = Path("/a folder") / ODD
    for value in (
        folder,
        *reversed(choices),
        ODD,
        "skin",
        "ray://a:1",
        40,
        3,
        0.3,
        2_000_000,
        True,
    ):
        try:
            made = model.model_validate({name: value}, strict=True)
        except ValidationError:
            continue
        if getattr(made, name) != field.default:
            return value
    raise AssertionError(f"no value for {name}")


@pytest.mark.parametrize(
    "model", [CompareFlags, *(each for name, each in vars(groups).items() if name[-5:] == "Flags")]
)
def test_every_flag_is_in_the_command_and_is_read_back_as_it_was(model: type[BaseModel]) -> None:
    given = model.model_validate(every_flag_of(model))
    words = shlex.split(command_line("full_pipeline.py", given))
    read: list[BaseModel] = []

    def main(*, flags: Any = model()) -> None:
        read.append(flags)

    main.__annotations__["flags"] = Annotated[model, Parameter(name="*")]
    assert command.run_command(main, name="x", arguments=words[2:]) == 0
    assert read == [given]


def test_what_is_as_by_default_is_left_out() -> None:
    assert arguments_of(TrainingFlags(), RunFlags(), DecisionFlags()) == []


def test_text_that_begins_with_a_dash_is_no_flag() -> None:
    assert arguments_of(EvaluationFlags(positive="-x")) == ["--positive=-x"]


def test_paths_are_written_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("start.pth").touch()
    given = [SplitFlags(groups=Path("groups.csv")), TrainingFlags(weights="start.pth")]
    assert arguments_of(*given) == [
        "--groups", str(tmp_path / "groups.csv"), "--weights", str(tmp_path / "start.pth"),
    ]  # fmt: skip
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    table = SplitFlags(groups=Path("deep/../link/groups.csv"))
    assert table.groups == tmp_path / "link" / "groups.csv", "no dots, and the link stays"
    weights = TrainingFlags(weights="deep/../start.pth")
    assert arguments_of(weights) == ["--weights", str(tmp_path / "start.pth")]
    assert arguments_of(TrainingFlags(weights="imagenet")) == ["--weights", "imagenet"]


def test_a_command_begins_as_one_types_it_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Path(__file__).resolve().parents[3]
    monkeypatch.setattr(sys, "executable", str(repository / ".venv" / "bin" / "python"))
    monkeypatch.chdir(repository)
    assert command_line("store.py", positional=["list"]) == ".venv/bin/python flows/store.py list"
    monkeypatch.chdir(tmp_path)
    assert interpreter() == str(repository / ".venv" / "bin" / "python")
    assert shlex.split(command_line("store.py"))[1] == str(repository / "flows" / "store.py")
