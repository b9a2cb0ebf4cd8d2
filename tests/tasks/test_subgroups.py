"""The stages that read attributes, measure cues and score subgroups, from files to files."""

import json
from pathlib import Path

import pandas as pd
import pytest

from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_table, write_table
from resnext.data.split.settings import SplitSettings
from tasks.cues import cues
from tasks.pack import pack
from tasks.scan import scan
from tasks.shortcuts import shortcuts
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime
from tasks.subgroups import attributes, subgroups


@pytest.fixture
def stages(runtime: Runtime) -> tuple[Artifact, Artifact, Artifact]:
    """Six patients of each colour, each with a mirrored copy: split and cues, and predictions."""
    manifest = scan.fn(runtime)
    parts = split.fn(runtime, manifest, SplitSettings(shares=(40, 0, 60)))
    seen = cues.fn(runtime, manifest, parts, pack.fn(runtime, manifest, 16))
    table = read_table(parts.path("split.csv"))
    tested = table[table["split"] == "test"].drop(columns=["copy", "reason"])
    blue = (tested["label"] == "Blue").astype(float)
    tested = tested.assign(predicted=tested["label"], confidence=1.0, p_Blue=blue, p_Red=1 - blue)
    write_table(tested.assign(status="ok", error=""), runtime.store / "predictions.csv")
    return parts, seen, Artifact.of_file(runtime.store / "predictions.csv")


def test_cues_are_of_originals_which_are_in_folds_and_of_all_that_is_tested(
    stages: tuple[Artifact, Artifact, Artifact], runtime: Runtime
) -> None:
    parts, seen, _ = stages
    table, rows = read_table(parts.path("split.csv")), read_table(seen.path("cues.csv"))
    assert set(rows["path"]) == set(table.loc[table["copy"] == 0, "path"])
    assert rows["fold"].between(1, 5).all()
    assert set(rows["format"]) == {"PNG"}
    assert rows["brightness"].between(0.2, 0.6).all()
    found = read_table(shortcuts.fn(runtime, seen).path("shortcuts.csv"))
    areas, notes = (dict(zip(found["cue"], found[name], strict=True)) for name in ("auroc", "note"))
    assert areas["colour of the border"] > 0.99, "the classes are colours"
    assert notes["file format"] == "the same in all images"


def test_a_table_of_attributes_is_read_and_scored(
    stages: tuple[Artifact, Artifact, Artifact], runtime: Runtime, tmp_path: Path
) -> None:
    parts, seen, predictions = stages
    groups = sorted(set(read_table(parts.path("split.csv"))["group"]))
    lines = [f"{group},{'f' if n % 2 else 'm'}" for n, group in enumerate(groups)]
    (tmp_path / "table.csv").write_text("patient,sex\n" + "\n".join([*lines, "Q1,f"]))
    stated = attributes.fn(runtime, parts, Artifact.of_file(tmp_path / "table.csv"))
    found = subgroups.fn(runtime, predictions, seen, stated)
    assert set(read_table(found.path("subgroups.csv"))["subgroup"]) == {"f", "m"}
    said = json.loads(found.path("subgroups.json").read_text())
    assert said["notes"] == ["1 row of --attributes is about no group that is here: Q1"]
    known = subgroups.fn(runtime, predictions, seen)
    assert set(read_table(known.path("subgroups.csv"))["attribute"]) == {"brightness"}


def test_a_bad_table_ends_the_run_before_the_training(
    stages: tuple[Artifact, Artifact, Artifact], runtime: Runtime, tmp_path: Path
) -> None:
    pd.DataFrame({"path": ["x"], "age": [3]}).to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(InputError, match="--attributes must name images by their paths"):
        attributes.fn(runtime, stages[0], Artifact.of_file(tmp_path / "table.csv"))
