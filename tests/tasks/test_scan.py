import logging
import shutil
from pathlib import Path

import pytest

from resnext.manifest import reading
from resnext.split.settings import SplitSettings
from tasks.scan import scan, scan_pictures
from tasks.split import split
from tasks.stage.artifact import Runtime


def memory_of(runtime: Runtime) -> Path:
    (memory,) = (runtime.store / "scan").glob("*.memory.csv")
    return memory


def test_an_unchanged_folder_is_not_read_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan.fn(runtime)
    monkeypatch.setattr(reading, "_read", lambda path: pytest.fail(f"{path} was read"))
    assert scan.fn(runtime) == first


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\xff\xfe", None])
def test_a_damaged_memory_is_said_and_not_believed(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    first = scan.fn(runtime)
    memory = memory_of(runtime)
    whole = memory.read_bytes()
    memory.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert scan.fn(runtime) == first
    assert "is damaged: reading every picture again" in caplog.text
    assert memory.read_bytes() == whole


def test_a_linked_set_gives_the_files_split_and_keys_of_a_copied_one(
    runtime: Runtime, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "linked").mkdir()
    for folder in tree.iterdir():
        (tmp_path / "linked" / folder.name).symlink_to(folder)
    found = {}
    for data in (tree, tmp_path / "linked"):
        there = runtime.model_copy(update={"data": data, "store": tmp_path / f"of {data.name}"})
        scanned = scan.fn(there)
        parts = split.fn(there, scanned, SplitSettings(strategy="stratified"))
        found[data.name] = (scanned.files, parts.key, parts.files)
    assert found["linked"] == found[tree.name]


def test_what_was_found_besides_and_what_may_be_wrong_is_said(
    runtime: Runtime, tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = sorted(tree.iterdir())
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(next(first.iterdir()), tmp_path / "elsewhere" / "9.png")
    (tree / "my_train").symlink_to(tmp_path / "elsewhere")
    (second / "@eaDir").mkdir()
    with caplog.at_level(logging.INFO):
        scan.fn(runtime)
    assert "of these the system's own: @eaDir 1" in caplog.text
    assert "1 files lie outside the folder, through 1 link: my_train leads to" in caplog.text
    (warning,) = (r.message for r in caplog.records if r.levelno == logging.WARNING)
    assert warning.startswith("the class folder my_train looks like a part of a data set")


def test_verify_reads_every_picture_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan.fn(runtime)
    read: list[str] = []
    monkeypatch.setattr(reading, "_read", _listening(read))
    scan.fn(runtime.model_copy(update={"verify": True}))
    assert len(read) == 24


def _listening(read: list[str]) -> object:
    real = reading._read

    def listen(path: str) -> reading.Reading:
        read.append(path)
        return real(path)

    return listen


def test_new_pictures_have_files_of_their_own_names(runtime: Runtime) -> None:
    assert set(scan_pictures.fn(runtime).files) == {"batch_manifest.csv", "batch_quarantine.csv"}
