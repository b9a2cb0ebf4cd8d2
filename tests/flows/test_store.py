"""What the store's command line shows and removes."""

import os
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from flows import store as flow
from flows.cli import run as command
from resnext.contracts.errors import InputError
from resnext.contracts.json_files import write_json
from resnext.training.recipe import Recipe
from tasks.stage.artifact import Runtime, Work
from tasks.stage.decorator import stage
from tasks.stage.runs import open_run


@stage()
def train(work: Work, recipe: Recipe) -> None:
    """Stop half-way."""
    work.scratch.mkdir()
    (work.scratch / "step-000000120.pt").write_bytes(b"x" * 2048)
    (work.scratch / "where.txt").write_text(f"epoch 3, step {12 * recipe.epochs}")
    raise InputError("it", "stop", "none")


@pytest.fixture
def stopped(runtime: Runtime) -> Path:
    """A store with one stopped training."""
    asked = {"command": ".venv/bin/python flows/full_pipeline.py --data x", "data": "/x"}
    with (
        pytest.raises(InputError, match="it must stop"),
        open_run(runtime.store, "12345678", asked) as run,
    ):
        train.fn(runtime.model_copy(update={"run": run}), Recipe(epochs=10))
    (saved,) = runtime.store.glob("train/*.scratch")
    for file in saved.iterdir():
        os.utime(file, (0, datetime(2026, 1, 2, 3, 4).timestamp()))
    return runtime.store


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = command.run_command(flow.main, name="store.py", arguments=words)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def checkpoints(store: Path) -> list[Path]:
    return list(store.glob("train/*.scratch"))


def test_prune_says_how_much_checkpoints_take_and_removes_them_only_when_told(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prune", "--keep-runs", "0", "--store", str(stopped)]
    kept = "1 checkpoint of trainings that can go on, 2.1 kB, kept"
    assert f"{kept}; prune --checkpoints lists and removes them" in said(capsys, *words)
    (listed,) = checkpoints(stopped)
    rows = said(capsys, "list", "--artifacts", "--store", str(stopped))
    assert rows.count(" checkpoint ") == 1, "its two folders are one row"
    line = (
        f"train/{listed.name}: stopped, /x, resnext50_32x4d at 224 px, epoch 3, step 120, "
        "2.1 kB, saved 2026-01-02 03:04\n"
        "    goes on with: .venv/bin/python flows/full_pipeline.py --data x\n"
    )
    dry = said(capsys, *words, "--checkpoints", "--dry-run")
    assert dry.startswith(line)
    assert "would be removed" in dry
    assert len(checkpoints(stopped)) == 1
    gone = said(capsys, *words, "--checkpoints")
    assert gone.startswith(line), "what goes is listed before it goes"
    assert "kept" not in gone
    assert checkpoints(stopped) == []


def test_a_checkpoint_from_before_it_was_written_down_what_it_is_of_is_listed_too(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (saved,) = checkpoints(stopped)
    (saved / "where.txt").unlink()
    (saved.with_suffix(".partial") / "artifact.json").unlink()
    told = said(capsys, "prune", "--checkpoints", "--dry-run", "--store", str(stopped))
    assert (
        "stopped, unknown images, an unknown network, an unknown epoch, 2.0 kB, saved 2026-01"
        in told
    )


def test_runs_are_listed_newest_first_or_by_their_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, score in enumerate((0.7, 0.9, 0.8, None)):
        asked = {"command": f"python x --seed {number}", "data": "/a/moles", "network": "net"}
        with suppress(KeyboardInterrupt), open_run(tmp_path, f"run{number}-----", asked) as run:
            if score is None:
                raise KeyboardInterrupt
            write_json({"balanced_accuracy": score}, run / "metrics.json")
        run.rename(run.with_name(f"2026010{number + 1}T000000Z{run.name[16:]}"))
    (line,) = [each for each in said(capsys, "list", "--store", str(tmp_path)).split("\n")
               if "run1" in each]  # fmt: skip
    assert line.split()[2:] == [
        "moles", "net", "90.0", "%", "0:00:00", "finished", "20260102T000000Z-run1----",
        "python", "x", "--seed", "1",
    ]  # fmt: skip
    for words, order in (([], "3210"), (["--sort", "score"], "1203")):
        text = said(capsys, "list", *words, "--store", str(tmp_path))
        assert "".join(re.findall(r"--seed (\d)", text)) == order
    assert "interrupted" in text


def test_the_runs_come_first_and_artifacts_only_when_asked_for(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = said(capsys, "list", "--store", str(stopped))
    both = said(capsys, "list", "--artifacts", "--store", str(stopped))
    assert [line.split()[0] for line in alone.splitlines() if line][::2] == ["date", "1"]
    assert both.index("date ") < both.index("\nstage ")
    assert alone.splitlines()[-1] == both.splitlines()[-1]


def test_a_store_without_checkpoints_says_nothing_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "checkpoint" not in said(capsys, "prune", "--store", str(tmp_path))
