import json
import logging
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from resnext.data.decoding.levels import Levels
from resnext.data.manifest import reading
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.split.settings import SplitSettings
from tasks.scan import read_levels, scan
from tasks.split import split
from tasks.stage.artifact import Runtime


def memory_of(runtime: Runtime) -> Path:
    (memory,) = (runtime.store / "scan").glob("*.memory.csv")
    return memory


def test_an_unchanged_folder_is_not_read_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan.fn(runtime)
    monkeypatch.setattr(reading, "_read", lambda path, _: pytest.fail(f"{path} was read"))
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
    assert "is damaged: reading every image again" in caplog.text
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
    assert "1 file lies outside the folder, through 1 link: my_train leads to" in caplog.text
    (warning,) = (r.message for r in caplog.records if r.levelno == logging.WARNING)
    assert warning.startswith("the class folder my_train looks like a part of a data set")


def test_verify_reads_every_picture_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan.fn(runtime)
    read = Mock(wraps=reading._read)
    monkeypatch.setattr(reading, "_read", read)
    scan.fn(runtime.model_copy(update={"verify": True}))
    assert read.call_count == 24


def deepen(tree: Path, white: int = 4095) -> None:
    """Write all pictures anew, in 16-bit grey."""
    for number, path in enumerate(sorted(tree.rglob("*.png"))):
        pixels = np.random.default_rng(number).integers(0, white + 1, (16, 16), dtype=np.uint16)
        Image.fromarray(pixels).save(path)


def test_the_scan_leaves_how_deep_images_are_scaled(
    runtime: Runtime, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    plain = scan.fn(runtime)
    assert read_levels(plain) == Levels()
    deepen(tree)
    deep = scan.fn(runtime)
    assert read_levels(deep) == Levels(uint16=(0, 4095))
    assert json.loads(deep.path("levels.json").read_text())["uint16"] == [0, 4095]
    assert "24 images of 16 bits are scaled by 4095, the depth that the set uses" in caplog.text
    caplog.clear()
    assert scan.fn(runtime) == deep  # known from before, and said again
    assert "24 images of 16 bits are scaled by 4095" in caplog.text


def test_what_is_admitted_is_part_of_the_key_of_a_scan(runtime: Runtime) -> None:
    assert scan.fn(runtime, ReadingSettings(truncated="keep")).key != scan.fn(runtime).key
