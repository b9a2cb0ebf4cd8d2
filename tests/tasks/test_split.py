"""The split as a stage: what it leaves, and that a kept split is read with what lies beside it."""

import json
import shutil
from pathlib import Path

from resnext.data.split.settings import SplitSettings
from tasks.scan import scan
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime


def test_the_ids_of_joined_groups_lie_beside_the_split_and_are_read_with_it(
    runtime: Runtime, tree: Path, tmp_path: Path
) -> None:
    shutil.copy(tree / "Blue" / "B00_01_00.png", tree / "Blue" / "B00_01_01.png")
    groups = tmp_path / "groups.csv"
    rows = {
        "B00_01_00": "7",
        "B00_01_01": "site=7",
        "B01_01_00": "7=site=7",
        "B01_01_01": "7=site=7",
    }
    lines = [f"{name},{group}" for name, group in rows.items()]
    groups.write_text("\n".join(["image,group", *lines]))
    tables = Artifact.of_file(groups)
    manifest = scan.fn(runtime)
    made = split.fn(runtime, manifest, SplitSettings(), tables)
    joined = json.loads(made.path("joined_groups.json").read_text())
    assert joined["7=site=7="] == ["7", "site=7"], "another group is called 7=site=7"
    beside = [Artifact.of_file(made.path(name)) for name in ("split.csv", "joined_groups.json")]
    kept = split.fn(
        runtime, manifest, SplitSettings(seed=3), tables, None, beside[0], None, beside[1]
    )
    assert kept.path("split.csv").read_text() == made.path("split.csv").read_text()
