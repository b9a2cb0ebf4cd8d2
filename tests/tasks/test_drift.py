"""The stages that note drift: whose pictures are new, what is written and what is shown."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from resnext.contracts.tables import MANIFEST_COLUMNS, TEXT_COLUMNS, read_table, write_table
from resnext.device import plan_compute
from resnext.models.architectures import build
from resnext.models.model_file import ModelCard, save_model
from tasks import drift
from tasks.pack import pack
from tasks.scan import scan
from tasks.stage.artifact import Artifact, Runtime
from tests.reports.test_drift import answers

HELD_OUT = answers("AB" * 10, 0.9, start=50)
FORMULA = "=1+1 *x*\n<b>"


def manifest(folder: Path, digests: dict[str, str], name: str = "manifest.csv") -> Artifact:
    """Write a manifest of pictures (sha256 by path)."""
    table = pd.DataFrame({"path": list(digests), "sha256": list(digests.values())}, dtype=str)
    for column in MANIFEST_COLUMNS:
        if column not in table:
            table[column] = "x" if column in TEXT_COLUMNS else 1
    return written(table[MANIFEST_COLUMNS], folder, name)


def written(table: pd.DataFrame, folder: Path, name: str) -> Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(table, folder / name)
    return Artifact.of_file(folder / name)


def split(folder: Path, rows: dict[str, tuple[str, str]]) -> Artifact:
    """Write a split (group and part by path) of one class."""
    groups, parts = zip(*rows.values(), strict=True)
    table = pd.DataFrame({"path": list(rows), "label": "A", "group": groups, "split": parts})
    return written(table, folder, "split.csv")


def read(found: Artifact) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(found.path("drift.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def place(tmp_path: Path) -> Runtime:
    run = tmp_path / "run"
    run.mkdir()
    return Runtime(store=tmp_path / "store", run=run)


def batch_of(
    place: Runtime, new: pd.DataFrame, known: dict[str, str], held_out: pd.DataFrame = HELD_OUT
) -> Artifact:
    folder = place.store.parent
    return drift.drift_of_batch.fn(
        place,
        written(new.assign(sha256=new["path"]), folder, "batch_predictions.csv"),
        manifest(folder / "model", known),
        split(folder / "model", {"t.png": ("g", "train")}),
        written(held_out, folder / "model", "predictions.csv"),
    )


def test_a_batch_leaves_drift_json_and_csv_in_the_run_folder(place: Runtime) -> None:
    batch = answers("AB" * 6, 0.9, start=100).drop(columns=["label", "group"])
    found = batch_of(place, batch, {"a.png": "100.png", "b.png": "another"})
    assert read(found)["new"] == {"pictures": 11, "groups": 11}, "100.png is known by its bytes"
    assert place.run is not None
    table = read_table(place.run / "drift.csv")
    assert table["class"].tolist() == ["A", "B"]
    assert table["new_n"].tolist() == [5, 6]
    assert (place.run / "drift.json").is_file()


def test_new_pictures_of_learnt_patients_are_known_by_the_bytes_of_the_others(
    place: Runtime,
) -> None:
    folder = place.store.parent
    new = answers("AA", 0.8)
    found = drift.drift_since_training.fn(
        place,
        manifest(folder, {"moved.png": "learnt", "0.png": "one", "1.png": "two"}),
        split(folder, {"moved.png": ("p", "train"), "0.png": ("p", "train"), "1.png": ("", "val")}),
        written(new, folder, "new_predictions.csv"),
        manifest(folder / "model", {"old.png": "learnt"}),
        split(folder / "model", {"old.png": ("other name", "train")}),
        written(HELD_OUT, folder / "model", "predictions.csv"),
    )
    facts = read(found)
    assert facts["left_out"] == 1
    assert facts["confidence"]["new_n"] == 1
    assert facts["new"]["pictures"] == 2


@pytest.mark.usefixtures("prefect_server")
def test_the_note_is_an_artifact_in_which_a_name_is_nothing_but_a_name(
    place: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.tasks.asking import of_key

    from prefect import flow
    from prefect.client.orchestration import get_client

    columns = {"p_A": f"p_{FORMULA}"}
    held_out, batch = (
        table.replace({"A": FORMULA}).rename(columns=columns)
        for table in (HELD_OUT, answers("A" * 12, 0.9, start=100))
    )
    found = batch_of(place, batch, {}, held_out)

    @flow
    def run() -> None:
        drift.publish_drift(found)

    run()
    with get_client(sync_client=True) as client:
        notes = client.read_artifacts(artifact_filter=of_key("drift"))
    (shown,) = (each for each in notes if "=1+1" in str(each.description))
    assert r"are predicted =1+1 \*x\*\\n\<b\> (" in str(shown.description)
    rows = json.loads(str(shown.data))
    assert rows[0]["class"] == r"=1+1 *x*\n<b>"
    assert rows[0]["share (95 % interval)"] == "100.0 % (76-100)"
    assert rows[0]["held-out images"] == "10"
    assert "are predicted =1+1 *x*" in caplog.text


def test_where_nothing_is_new_nothing_is_predicted_and_the_note_says_so(
    place: Runtime, tree: Path
) -> None:
    now = place.model_copy(update={"data": tree})
    pictures = scan.fn(now)
    names = read_table(pictures.path("manifest.csv"))["path"].tolist()
    parts = split(place.store.parent, {name: (name, "train") for name in names})
    model = place.store.parent / "model.safetensors"
    network = build("resnext38_32x4d", 2)
    about = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2), "image_size": 32}
    card = ModelCard(classes=("A", "B"), architecture="resnext38_32x4d", **about)
    save_model(model, network.state_dict(), card)
    compute = plan_compute("cpu")
    pixels = pack.fn(now, pictures, 32)
    answered = drift.predict_new.fn(
        now, pictures, parts, pictures, pixels, Artifact.of_file(model), compute
    )
    held_out = written(HELD_OUT, place.store.parent, "predictions.csv")
    found = drift.drift_since_training.fn(now, pictures, parts, answered, pictures, parts, held_out)
    assert read(found)["words"] == "Drift: no image is new to the model."
    assert read(found)["new"] == {"pictures": 0, "groups": 0}
    assert read(found)["confidence"]["new"] is None
