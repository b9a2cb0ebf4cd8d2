from pathlib import Path

import pytest

from resnext.manifest import reading
from tasks.scan import scan, scan_pictures
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
