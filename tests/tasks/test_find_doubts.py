"""The stage lists doubts, renders a page that opens offline, and takes decisions back."""

from pathlib import Path

import numpy as np
import pandas as pd

from resnext.contracts.tables import read_table
from resnext.data.split.settings import SplitSettings
from tasks.find_doubts import find_doubts
from tasks.pack import pack
from tasks.scan import scan
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime


def drawn_features(folder: Path, parts: Artifact, manifest: Artifact) -> Artifact:
    """Draw features as those of a network: the first two originals are as alike as can be."""
    digests = parts.path("originals.txt").read_text().split()
    known = read_table(manifest.path("manifest.csv")).set_index("sha256")["path"]
    features = np.random.default_rng(0).normal(size=(len(digests), 1, 16)).astype("float32")
    alike = [digests.index(known[known == path].index[0]) for path in PAIR]
    features[alike[1]] = features[alike[0]]
    folder.mkdir()
    np.save(folder / "features.npy", features)
    (folder / "originals.txt").write_text("\n".join(digests))
    files = {"features.npy": "a", "originals.txt": "b"}
    return Artifact(stage="embed", key="drawn", folder=folder, files=files)


PAIR = ("Blue/B00_01_00.png", "Red/R04_01_00.png")


def doubts_of(runtime: Runtime, folder: Path, decisions: Artifact | None = None) -> Artifact:
    manifest = scan.fn(runtime, decisions=decisions)
    parts = split.fn(runtime, manifest, SplitSettings(near_duplicates="off"))
    features = drawn_features(folder, parts, manifest)
    pixels = pack.fn(runtime, manifest, 32)
    return find_doubts.fn(runtime, manifest, parts, pixels, features, None, "pictures", True)


def test_doubts_are_listed_shown_decided_and_not_shown_again(
    runtime: Runtime, tmp_path: Path
) -> None:
    found = doubts_of(runtime, tmp_path / "first")
    doubts = read_table(found.path("doubts.csv"))
    first = doubts.iloc[0]
    assert (first["rank"], first["kind"]) == (1, "near-duplicate")
    assert {first["path"], first["other"]} == {*PAIR}
    page = found.path("doubts.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") >= 2
    assert "B00_01_00.png" in page
    assert "://" not in page, "it opens offline"

    template = read_table(found.path("decisions.csv"))
    assert list(template.columns) == ["path", "sha256", "kind", "decision"]
    answered = tmp_path / "answered.csv"
    template.loc[template["kind"] == "near-duplicate", "decision"] = "keep"
    template.to_csv(answered, index=False)
    again = doubts_of(runtime, tmp_path / "second", Artifact.of_file(answered))
    assert "near-duplicate" not in set(read_table(again.path("doubts.csv"))["kind"])
    kept = read_table(again.path("decisions.csv")).query("decision == 'keep'")
    assert set(kept["path"]) == {*PAIR}, "the next file holds what was decided"


def test_decisions_are_in_the_keys_of_what_they_change(runtime: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "decisions.csv"
    file.write_text("path,decision\nBlue/B00_01_00.png,group:B01\n")
    plain, joined = scan.fn(runtime), scan.fn(runtime, decisions=Artifact.of_file(file))
    assert plain.files["manifest.csv"] == joined.files["manifest.csv"]
    assert plain.key != joined.key
    made = [split.fn(runtime, each, SplitSettings()) for each in (plain, joined)]
    assert made[0].key != made[1].key
    groups = [set(pd.read_csv(each.path("split.csv"))["group"]) for each in made]
    assert "B00=B01" not in groups[0]
    assert "B00=B01" in groups[1]
