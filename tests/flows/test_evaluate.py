"""External validation: what was learnt from is left out, and the rest is scored as it was."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import ImageOps

from flows import evaluate as flow
from flows import full_pipeline, predict
from flows.cli import run as command
from flows.cli.flags import DataFlags, ExternalFlags, PredictFlags, TrainingFlags
from flows.full_pipeline import RunFlags
from resnext.contracts.tables import read_table
from tasks.registry.promotion import promote, register
from tasks.registry.versions import About, version_folder
from tasks.stage.runs import LATEST, runs
from tests.resnext.data.samples import save
from tests.resnext.data.split.test_overlap import scene

from prefect.client.schemas.objects import State

TRAINING = TrainingFlags(arch="resnext38_32x4d", image_size=32, epochs=1, batch_size=16)


class Place:
    """Images, a store with a trained model, and the images of its test part elsewhere."""

    def __init__(self, root: Path) -> None:
        self.data, self.store, self.elsewhere = root / "own", root / "store", root / "elsewhere"
        for number in range(12):
            for label, prefix in (("Blue", "B"), ("Red", "R")):
                seed = 2 * number + (label == "Red")
                save(self.data / label / f"{prefix}{number:02}_01_00.png", scene(seed))
        state: State[Any] = full_pipeline.full_pipeline(
            data=DataFlags(data=self.data),
            training=TRAINING,
            run=RunFlags(store=self.store, device="cpu", workers=0, only="evaluate"),
            return_state=True,
        )
        assert state.is_completed(), state.message
        (self.run,) = runs(self.store)
        self.split = read_table(self.run / "split.csv").set_index("path")["split"]
        self.tested = self.split.index[self.split == "test"].tolist()
        self.learnt = self.split.index[self.split == "train"].tolist()
        for path in self.tested:
            self.copy(path, path)

    def copy(self, path: str, name: str) -> None:
        (self.elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.data / path, self.elsewhere / name)

    def score(self, data: Path | None = None, **flags: Any) -> Path:
        given = {"data": data or self.elsewhere, "store": self.store, "device": "cpu", **flags}
        state: State[Any] = flow.evaluate_external(ExternalFlags(**given), return_state=True)
        assert state.is_completed(), state.message
        return runs(self.store)[-1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Place:  # noqa: ARG001
    return Place(tmp_path_factory.mktemp("external"))


@pytest.fixture(scope="module")
def scored(place: Place) -> Path:
    """Images of the test part, with two of the training part mixed in under other names."""
    place.copy(place.learnt[0], "Blue/X90_01_00.png")
    save(place.elsewhere / "Red/X91_01_00.png", ImageOps.mirror(scene(_seed(place.learnt[1]))))
    save(place.elsewhere / "Green/X92_01_00.png", scene(99))
    return place.score()


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures, which take most of the time."""
    monkeypatch.setattr("tasks.external.plots_of", lambda _: ())


def _seed(path: str) -> int:
    return 2 * int(path.split("/")[1][1:3]) + path.startswith("Red")


def read(run: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / name).read_text(encoding="utf-8"))
    return found


def test_images_that_were_learnt_from_are_named_and_left_out(place: Place, scored: Path) -> None:
    rows = read_table(scored / "overlap.csv")
    assert rows.drop(columns="label").to_numpy().tolist() == [
        ["Blue/X90_01_00.png", "identical", place.learnt[0], "train"],
        ["Red/X91_01_00.png", "nearly identical", place.learnt[1], "train"],
    ]
    assert read(scored, "overlap.json")["lacking"] == {"Green": 1}
    assert read_table(scored / "predictions.csv")["path"].tolist() == place.tested


def test_the_rest_is_scored_as_the_models_own_test_part_was(place: Place, scored: Path) -> None:
    own, found = (read_table(run / "predictions.csv") for run in (place.run, scored))
    own = own[own["split"] == "test"].reset_index(drop=True)
    columns = ["path", "label", "group", "predicted"]
    pd.testing.assert_frame_equal(own[columns], found[columns])
    one, other = (table[["p_Blue", "p_Red"]].to_numpy() for table in (own, found))
    np.testing.assert_allclose(one, other, atol=1e-5)
    then, now = (read(run, "metrics.json") for run in (place.run, scored))
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "groups"):
        assert now[name] == then[name]
    found_again = read(scored, "external.json")
    assert {row["name"]: row["difference"] for row in found_again["scores"]}["accuracy"] == 0
    assert found_again["in_both"]["n"] == len(place.tested)
    assert found_again["in_both"]["most_apart"] < 1e-5


def test_the_probabilities_are_those_that_predict_gives(place: Place, scored: Path) -> None:
    settings = PredictFlags(store=place.store, device="cpu")
    state: State[Any] = predict.batch_predict([str(place.elsewhere)], settings, return_state=True)
    assert state.is_completed(), state.message
    answers = read_table(runs(place.store)[-1] / "batch_predictions.csv").set_index("path")
    found = read_table(scored / "predictions.csv").set_index("path")
    np.testing.assert_allclose(found["p_Red"], answers["p_Red"][found.index], atol=1e-6)


def test_the_page_says_it_and_neither_model_nor_latest_is_changed(
    place: Place, scored: Path
) -> None:
    page = (scored / "external.html").read_text(encoding="utf-8")
    assert "X91_01_00.png" in page
    assert "scored images are in the model&#39;s own test part too" in page
    for name in ("drift.json", "per_class.csv", "confusion.png", "reliability.svg"):
        assert (scored / name).is_file()
    assert not (place.store / LATEST).exists()
    assert read(scored, "calibration.json") == read(place.run, "calibration.json")
    assert not (scored / "model.safetensors").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_table_gives_what_the_folder_gives(place: Place, scored: Path) -> None:
    rows = [f"{path},{path.split('/')[0]}" for path in place.tested]
    table = place.elsewhere / "list.csv"
    table.write_text("\n".join(["image,diagnosis", *rows]))
    found = place.score(table)
    table.unlink()
    one, other = (read_table(run / "predictions.csv") for run in (scored, found))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.usefixtures("undrawn")
def test_of_a_registered_model_the_files_beside_it_are_compared(place: Place, scored: Path) -> None:
    about = About(data="own", architecture="x", classes=("Blue", "Red"), score="", decision="",
                  basis="")  # fmt: skip
    register(place.store, place.run, about)
    promote(place.store, 1, "by hand")
    found = place.score()
    assert (found / "overlap.csv").read_bytes() == (scored / "overlap.csv").read_bytes()
    assert "version 1" in (found / "external.html").read_text(encoding="utf-8")
    alone = place.elsewhere.parent / "alone"
    alone.mkdir()
    shutil.copy(version_folder(place.store, 1) / "model.safetensors", alone)
    state: State[Any] = flow.evaluate_external(
        ExternalFlags(data=place.elsewhere, store=place.store, model=alone / "model.safetensors",
                      device="cpu"),
        return_state=True,
    )  # fmt: skip
    assert state.is_completed(), state.message
    unchecked = runs(place.store)[-1]
    assert not read(unchecked, "overlap.json")["checked"]
    assert "could not be checked" in (unchecked / "external.html").read_text(encoding="utf-8")
    assert len(read_table(unchecked / "predictions.csv")) == len(place.tested) + 2


@pytest.mark.usefixtures("undrawn")
def test_a_folder_of_one_class_is_scored_and_balanced_accuracy_is_not_compared(
    place: Place, tmp_path: Path
) -> None:
    shutil.copytree(place.elsewhere / "Red", tmp_path / "Red")
    found = place.score(tmp_path, model=place.run)
    tested = [path for path in place.tested if path.startswith("Red")]
    assert read_table(found / "predictions.csv")["path"].tolist() == tested
    comparison = read(found, "external.json")
    assert comparison["lacking"] == {"external": ["Blue"], "internal": []}
    scores = {row["name"]: row["difference"] for row in comparison["scores"]}
    assert scores["balanced_accuracy"] is None
    assert scores["accuracy"] is not None
    page = (found / "external.html").read_text(encoding="utf-8")
    assert "not compared, since these images lack “Blue”" in page
    assert "No image of the model&#39;s class Blue is scored." in page


def test_wrong_input_ends_with_2_and_a_line(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").touch()
    no_model = tmp_path / "store"
    for words, said in (
        ([], "--data must be given, got nothing"),
        (["--data", str(tmp_path / "no")], "There is nothing at that place"),
        (["--data", str(tmp_path / "a.txt")], "or a table (.csv or .tsv) of path,label"),
        (["--data", str(tmp_path), "--store", str(no_model)], "must hold a finished model"),
        (["--data", str(tmp_path), "--groups", "no.csv"], "--groups must be a CSV file"),
    ):
        words = [*words, *([] if "--store" in words else ["--store", str(place.store)])]
        assert command.run_command(flow.main, name="evaluate.py", arguments=words) == 2
        assert said in capsys.readouterr().err
    for data, said in (
        (tmp_path / "empty", "2 class folders, or one that is called like a class of the model"),
        (place.data.parent / "others", "--data must hold a class of the model (Blue, Red)"),
    ):
        for number in range(2):
            save(place.data.parent / "others" / f"c{number}" / "1.png", scene(number))
        given = ExternalFlags(data=data, store=place.store, device="cpu")
        state: State[Any] = flow.evaluate_external(given, return_state=True)
        assert state.is_failed()
        assert said in str(state.message)
