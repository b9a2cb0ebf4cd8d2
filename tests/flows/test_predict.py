"""A folder of new pictures that is empty on some nights, and what is no empty folder."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from flows import predict
from flows.cli import run as command
from flows.cli import terminal
from flows.cli.flags import PredictFlags
from flows.serving import server
from resnext.contracts.errors import InputError
from resnext.inference.export import export_model
from resnext.inference.reference import Reference, write_reference
from tasks.stage.runs import runs
from tests.conftest import REPOSITORY
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_export import RULE, model_of

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, temporary_settings


def left_over(folder: Path) -> Path:
    """Make a folder that holds what systems and tools leave, a folder below it, and no picture."""
    (folder / "2026-11").mkdir(parents=True)
    for name in (".gitkeep", "Thumbs.db", "2026-11/.DS_Store"):
        (folder / name).touch()
    return folder


def test_an_empty_folder_is_done_with_no_pictures_and_needs_no_model(
    tmp_path: Path,
    prefect_server: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    # It sets this process's loggers for good, and later tests read what they say.
    monkeypatch.setattr(terminal, "show_only_our_lines", lambda: None)
    inbox = left_over(tmp_path / "inbox")
    words = [str(inbox), "--store", str(tmp_path / "store")]
    with temporary_settings(updates={PREFECT_API_URL: prefect_server}):
        code = command.run_command(predict.main, name="predict.py", arguments=words)
        with get_client(sync_client=True) as client:
            named = FlowRunFilter(name=FlowRunFilterName(any_=["predict inbox"]))
            (run,) = client.read_flow_runs(flow_run_filter=named)
    assert code == 0, capsys.readouterr().err
    assert run.state is not None
    assert run.state.is_completed()
    assert run.state.message == "inbox: no images"


def test_a_folder_that_is_missing_is_wrong_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = PredictFlags(store=tmp_path / "store")
    with pytest.raises(InputError, match=r"source must name an image or a folder.*Check the path"):
        predict.run_prediction([tmp_path / "inbox"], settings, "a run")
    for words in ([str(tmp_path / "inbox")], [], [""]):
        words += ["--store", str(tmp_path / "store")]
        assert command.run_command(predict.main, name="predict.py", arguments=words) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"error: IMAGE_OR_FOLDER must be there, got '{tmp_path / 'inbox'}'")
    assert said[1] == "error: IMAGE_OR_FOLDER must name an image or a folder, got none."
    assert said[2] == said[1], "an unset variable between quotes is no folder"


def test_a_table_that_can_not_be_written_is_said_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.csv").mkdir()
    for name in ("a.xlsx", "nowhere/a.csv", "b.csv"):
        words = [str(tmp_path), "--output", str(tmp_path / name)]
        assert command.run_command(predict.main, name="predict.py", arguments=words) == 2
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == "error: --output must end in .csv, .parquet or .jsonl, got 'a.xlsx'."
    assert second.startswith("error: --output must lie in a folder that is there, got")
    assert third.startswith("error: --output must be a file that can be written, got")


@pytest.mark.usefixtures("prefect_server")
def test_addresses_are_read_and_written_and_give_what_paths_give(tmp_path: Path) -> None:
    """Nothing of what is read is copied to this machine's disk."""
    model = model_of(tmp_path, "resnext38_32x4d")
    store = fsspec.filesystem("memory")
    for number in range(5):
        file = save(tmp_path / "inbox" / f"{number}.png", picture(60, 40, seed=number))
        store.put_file(str(file), f"/inbox/{number}.png")

    def predicted(source: str, output: str) -> bytes:
        settings = PredictFlags(
            model=model, store=tmp_path / "store", device="cpu", output=output, runtime="torch"
        )
        state: State[Any] = predict.batch_predict([source], settings, return_state=True)
        assert state.is_completed(), state.message
        return (runs(tmp_path / "store")[-1] / "batch_predictions.csv").read_bytes()

    here = predicted(str(tmp_path / "inbox"), str(tmp_path / "out.parquet"))
    assert predicted("memory://inbox", "memory://results/out.parquet") == here
    assert predicted((tmp_path / "inbox").as_uri(), (tmp_path / "out.csv").as_uri()) == here
    written = store.cat_file("/results/out.parquet")
    assert written == (tmp_path / "out.parquet").read_bytes()
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with its calibration, a picture, a file that is none, and no server."""
    root = tmp_path_factory.mktemp("at once")
    model_of(root, "resnext38_32x4d")
    (root / "calibration.json").write_text(json.dumps(RULE))
    save(root / "a.png", picture(60, 40, seed=1))
    (root / "b.png").write_text("no picture at all")
    return root


def alone(folder: Path, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run the program where there is no server, and say what it imported."""
    environment = {key: value for key, value in os.environ.items() if key != server.URL}
    program = (
        "import runpy, sys\ntry: runpy.run_path('flows/predict.py', run_name='__main__')\n"
        "finally: print([name for name in ('torch', 'prefect') if name in sys.modules])"
    )
    words = (*words, "--model", str(folder / "model.safetensors"), "--store", str(folder / "store"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        capture_output=True, text=True, cwd=REPOSITORY,
        env=environment | {"PREFECT_HOME": str(folder / "home"), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def test_one_image_is_answered_without_prefect_and_with_an_export_without_torch(
    folder: Path,
) -> None:
    first = alone(folder, str(folder / "a.png"))
    answer, imported = first.stdout.splitlines()
    assert answer.startswith("a.png: ")
    assert imported == "['torch']"
    assert "so the run history has nothing of this. --history starts one" in first.stderr
    assert not (folder / "store" / "runs").exists()
    export_model(folder / "model.safetensors", RULE, folder / "model.onnx", {})
    again = alone(folder, str(folder / "a.png"))
    assert again.stdout.splitlines() == [answer, "[]"]
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    near = Reference(np.eye(1, 2048, dtype=np.float32), np.zeros(20, dtype=np.float32))
    write_reference(near, digest, folder / "reference.safetensors")
    odd = alone(folder, str(folder / "a.png")).stdout.splitlines()
    assert odd == [f"{answer}; unlike the training images", "[]"]
    model_of(folder, "resnext38_32x4d", seed=1)  # of which the export is not made
    assert alone(folder, str(folder / "a.png")).stdout.splitlines()[1] == "['torch']"


@pytest.mark.slow
def test_an_image_that_can_not_be_read_is_left_to_a_run_that_says_why(folder: Path) -> None:
    said = alone(folder, str(folder / "b.png"), code=2)
    assert "error: source must hold a readable image, got b.png (not an image, but" in said.stderr
    assert "'prefect'" in said.stdout


def test_a_server_is_looked_for_without_prefect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv(server.URL, raising=False)
    assert not server.may_be_current()
    (tmp_path / "profiles.toml").write_text('[profiles.x]\nPREFECT_API_URL = "http://a"\n')
    assert server.may_be_current()
    (tmp_path / "profiles.toml").unlink()
    monkeypatch.setenv(server.URL, "http://127.0.0.1:1/api")
    assert server.may_be_current()
