"""A memory format is measured where a minute's work is ahead, and a page's command names it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.flags import DataFlags, MachineFlags, TrainingFlags
from flows.cli.plan import Plan, resolve
from flows.training import measured
from flows.training.measured import measured_compute, with_compute
from resnext.contracts.json_files import write_json
from resnext.contracts.tables import write_table
from tasks.stage.artifact import Artifact, Runtime


@pytest.fixture
def split(tmp_path: Path) -> Artifact:
    parts = ["train"] * 40 + ["test"] * 20
    rows = {"path": [f"{number}.png" for number in range(60)], "split": parts}
    write_table(pd.DataFrame(rows), tmp_path / "split.csv")
    return Artifact.of_file(tmp_path / "split.csv")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What was measured, where channels last is always the faster one."""
    found: list[tuple[object, ...]] = []

    def measure(_: Runtime, *given: object) -> Artifact:
        found.append(given)
        write_json({"memory_format": "channels_last"}, tmp_path / "memory_format.json")
        return Artifact.of_file(tmp_path / "memory_format.json")

    monkeypatch.setattr(measured, "measure", measure)
    return found


def plan(store: Path, **flags: object) -> Plan:
    training = TrainingFlags(**{"arch": "resnet50", "image_size": 64, **flags})
    return resolve(DataFlags(), training, MachineFlags(store=store, device="cpu"))


def test_a_long_training_on_a_cpu_is_measured(
    split: Artifact, asked: list[tuple[object, ...]], tmp_path: Path
) -> None:
    runtime = Runtime(store=tmp_path)
    short, long = plan(tmp_path, epochs=24), plan(tmp_path, epochs=25)  # 960 and 1,000 images
    assert measured_compute(short, runtime, split) == short.compute
    assert not asked
    found = measured_compute(long, runtime, split)
    assert found.memory_format == "channels_last"
    assert asked[0][1:4] == ("resnet50", 64, True)
    again = with_compute(long, found)
    assert again.command == f"{long.command} --memory-format channels_last"
    assert again.compute == found
    assert with_compute(long, long.compute) is long

    fixed = replace(long, measured=False)
    assert measured_compute(fixed, runtime, split) == fixed.compute
    on_gpu = long.compute.model_copy(update={"device": "cuda"})
    assert measured_compute(replace(long, compute=on_gpu), runtime, split) == on_gpu
    assert len(asked) == 1


def test_a_probe_is_measured_by_its_predictions(
    split: Artifact, asked: list[tuple[object, ...]], tmp_path: Path
) -> None:
    few = plan(tmp_path, preset="transfer", views="d4", arch=None)  # 320 views
    assert measured_compute(few, Runtime(store=tmp_path), split) == few.compute
    measured_compute(few, Runtime(store=tmp_path), more(split))
    assert asked[0][1:4] == (few.recipe.arch, few.recipe.image_size, False)


def more(split: Artifact) -> Artifact:
    folder = split.folder / "more"
    folder.mkdir()
    table = pd.concat([pd.read_csv(split.path("split.csv"))] * 4)
    write_table(table, folder / "split.csv")
    return Artifact.of_file(folder / "split.csv")


def test_a_format_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    machine = MachineFlags(store=tmp_path, device="cpu", memory_format="channels_last")
    found = resolve(DataFlags(), TrainingFlags(), machine)
    assert (found.compute.memory_format, found.measured) == ("channels_last", False)
    assert "--memory-format channels_last" in found.command
