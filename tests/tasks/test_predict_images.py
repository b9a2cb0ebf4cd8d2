"""Predicted files are found again as long as none changed, and faults that may pass are retried."""

import os
from pathlib import Path

import pytest

from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_table
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.manifest.sources import list_sources
from resnext.device import plan_compute
from resnext.inference.execution import Execution
from tasks.predict_images import list_files, predict_images
from tasks.stage.artifact import Artifact, Runtime
from tests.resnext.data.samples import jpeg_cut, picture, save
from tests.resnext.inference.test_export import model_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return Artifact.of_file(model_of(tmp_path_factory.mktemp("model"), "resnext38_32x4d"))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    for number in range(3):
        save(tmp_path / "inbox" / f"{number}.png", picture(40, 30, seed=number))
    return tmp_path / "inbox"


def predicted(
    inbox: Path, model: Artifact, reading: ReadingSettings = ReadingSettings()
) -> Artifact:
    found = list_sources([inbox])
    runtime = Runtime(store=inbox.parent / "store", data=found.root, workers=1)
    execution = Execution(runtime="torch", compute=plan_compute("cpu")).apart
    files = list_files(found, inbox.parent)
    return predict_images.fn(runtime, files, model, execution, 1.5, reading)


def test_what_did_not_change_is_not_predicted_again(inbox: Path, model: Artifact) -> None:
    first = predicted(inbox, model)
    assert predicted(inbox, model) == first
    assert set(first.files) == {"batch_predictions.csv", "batch_thumbnails.csv"}
    save(inbox / "1.png", picture(40, 30, seed=9))
    second = predicted(inbox, model)
    assert second.key != first.key
    one, other = (read_table(each.path("batch_predictions.csv")) for each in (first, second))
    assert (one["sha256"] == other["sha256"]).tolist() == [True, False, True]
    (inbox / "1.png").unlink()
    assert len(read_table(predicted(inbox, model).path("batch_predictions.csv"))) == 2


def test_the_number_of_threads_is_not_in_the_key_on_a_cpu() -> None:
    compute = plan_compute("cpu")
    many = compute.model_copy(update={"threads": 64})
    one, other = (Execution(runtime="torch", compute=each).apart for each in (compute, many))
    assert one == other
    on_gpu = many.model_copy(update={"device": "cuda"})
    assert Execution(runtime="torch", compute=on_gpu).apart.compute.threads == 64


@pytest.mark.skipif(os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read_now_is_read_when_it_may(inbox: Path, model: Artifact) -> None:
    (inbox / "1.png").chmod(0)
    first = read_table(predicted(inbox, model).path("batch_predictions.csv"))
    assert first["status"].tolist() == ["ok", "error", "ok"]
    (inbox / "1.png").chmod(0o600)
    again = read_table(predicted(inbox, model).path("batch_predictions.csv"))
    assert again["status"].tolist() == ["ok"] * 3


def test_a_fault_that_may_pass_is_not_found_in_the_cache(
    inbox: Path, model: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failing = Path.read_bytes, [True]

    def read_bytes(file: Path) -> bytes:
        if failing[0] and file.name == "1.png":
            raise OSError(5, "Input/output error")
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    first = read_table(predicted(inbox, model).path("batch_predictions.csv"))
    assert first["error"].tolist() == ["", "can't be opened: Input/output error", ""]
    failing[0] = False
    again = read_table(predicted(inbox, model).path("batch_predictions.csv"))
    assert again["status"].tolist() == ["ok"] * 3


def test_a_table_may_hold_paths_from_the_root_on(inbox: Path, model: Artifact) -> None:
    (inbox.parent / "list.csv").write_text(f"path\n{inbox / '1.png'}\ninbox/0.png\n")
    found = predicted(inbox.parent / "list.csv", model)
    rows = read_table(found.path("batch_predictions.csv"))
    assert rows["status"].tolist() == ["ok", "ok"]
    assert rows["path"].tolist() == [str(inbox / "1.png"), "inbox/0.png"]


def test_what_is_admitted_counts(inbox: Path, model: Artifact) -> None:
    jpeg_cut(inbox / "cut.jpg")
    refused = read_table(predicted(inbox, model).path("batch_predictions.csv"))
    assert "'--truncated keep' uses it" in refused["error"].tolist()[-1]
    kept = predicted(inbox, model, ReadingSettings(truncated="keep"))
    rows = read_table(kept.path("batch_predictions.csv"))
    assert rows["status"].tolist() == ["ok"] * 4
    assert rows["note"].tolist()[-1] == "truncated: what is missing is grey"


def test_files_of_which_none_is_an_image_are_wrong_input(tmp_path: Path, model: Artifact) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"source must hold a readable image, got a\.jpg \(not an"):
        predicted(tmp_path / "inbox", model)
