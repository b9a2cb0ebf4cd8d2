"""The code in the documentation works as it stands there.

Python is run. Commands are read by the programs' own command lines, which then run nothing. TOML
is read as the settings that it shows.
"""

import importlib
import importlib.util
import inspect
import re
import runpy
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cyclopts
import pytest
import yaml
from PIL import Image

from resnext.inference.export import export_model
from tests.conftest import REPOSITORY
from tests.docs.pages import Block, blocks

CONSOLE, PYTHON = blocks("console"), blocks("python")
MODEL_IS_NEEDED = "load_model"
EXPORT_IS_NEEDED = "InferenceSession"
OTHERS = ("kaggle", "git", "docker", "curl", "dask")
"""Programs that are not this project's: how they read their flags is not tested here."""
CODE_ONLY = frozenset({"python", "console", "toml", "yaml", "text", "csv"})


def test_every_block_of_code_says_what_it_holds() -> None:
    unknown = [
        f"{block}: {block.language}" for block in blocks() if block.language not in CODE_ONLY
    ]
    assert not unknown


@pytest.mark.parametrize("block", CONSOLE, ids=str)
def test_commands_are_understood(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(cyclopts.App, "__call__", _only_read)
    commands = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
    assert commands, "a console block shows commands after '$ '"
    for command in commands:
        words = shlex.split(command, comments=True)
        while re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        _understand(words, monkeypatch)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_settings_files_are_read(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(cyclopts.App, "__call__", _only_read)
    _program("flows/full_pipeline.py", ["--config", str(config)], monkeypatch)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_names_what_prefect_yaml_names(block: Block) -> None:
    shown = yaml.safe_load(block.text)
    ours = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
    assert set(shown) <= set(ours)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if MODEL_IS_NEEDED in block.text:
        _put_a_model(tmp_path)
    if EXPORT_IS_NEEDED in block.text:
        _put_a_model(tmp_path, 224)
        export_model(tmp_path / "model.safetensors", {}, tmp_path / "model.onnx", {})
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block.text, str(block), "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    for number, test in enumerate(tests):
        place = tmp_path / str(number)
        place.mkdir()
        _call(test, place)


def _call(test: Callable[..., None], place: Path) -> None:
    wanted = inspect.signature(test).parameters
    assert set(wanted) <= {"tmp_path"}
    test(**dict.fromkeys(wanted, place))


def _put_a_model(folder: Path, size: int = 64) -> None:
    """Write the model.safetensors and picture.jpg that the code of a page opens."""
    from resnext.models.architectures import build

    file: Any = importlib.import_module("resnext.models.model_file")
    card = file.ModelCard(
        classes=("benign", "melanoma"),
        architecture="resnext38_32x4d",
        image_size=size,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    file.save_model(folder / "model.safetensors", build(card.architecture, 2).state_dict(), card)
    Image.new("RGB", (80, 60), "red").save(folder / "picture.jpg")


def _only_read(app: cyclopts.App, words: Any = None, **how: Any) -> None:
    quiet = {name: how[name] for name in ("exit_on_error", "print_error") if name in how}
    app.parse_args(words, **quiet)


def _understand(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check one command; what is unknown is an error."""
    program, *rest = words
    name = Path(program).name
    if name == "make":
        makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
        for target in rest:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    elif name in ("python", "python3") and rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]), rest[1]
    elif name == "python":
        _program(rest[0], rest[1:], monkeypatch)
    elif name == "torchrun":
        from torch.distributed.run import parse_args

        given = parse_args(rest)  # type: ignore[no-untyped-call]
        _program(given.training_script, given.training_script_args, monkeypatch)
    elif name == "pip":
        extras = re.findall(r"\[(\w+)\]", " ".join(rest))
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
        assert set(extras) <= set(project["project"]["optional-dependencies"])
    elif name == "prefect":
        from prefect.cli._app import _app as prefects

        prefects.parse_args(rest, exit_on_error=False, print_error=False)
    else:
        assert name in OTHERS, words


def _program(path: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a program read its command line; it is patched so that nothing is run then."""
    monkeypatch.setattr("sys.argv", [path, *words])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(REPOSITORY / path), run_name="__main__")
    assert left.value.code == 0, " ".join([path, *words])
