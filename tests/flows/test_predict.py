"""A folder of new pictures that is empty on some nights, and what is no empty folder."""

from pathlib import Path

import pytest

from flows import predict
from flows.cli import run as command
from flows.cli import terminal
from flows.cli.flags import PredictFlags
from resnext.contracts.errors import InputError

from prefect.client.orchestration import get_client
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


def test_a_folder_that_is_missing_is_wrong_input(tmp_path: Path) -> None:
    settings = PredictFlags(store=tmp_path / "store")
    with pytest.raises(InputError, match=r"source must name an image or a folder.*Check the path"):
        predict.run_prediction(tmp_path / "inbox", settings, "a run")
    words = [str(tmp_path / "inbox"), "--store", str(tmp_path / "store")]
    assert command.run_command(predict.main, name="predict.py", arguments=words) == 2


def test_a_folder_with_files_that_can_not_be_read_is_no_empty_one(tmp_path: Path) -> None:
    inbox = left_over(tmp_path / "inbox")
    assert predict._is_empty(inbox)
    (inbox / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    assert not predict._is_empty(inbox), "a picture may be lost: the run names it and fails"
