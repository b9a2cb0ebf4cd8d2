"""Cross-validation in one command: what is trained, tested, kept and reported."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from flows import full_pipeline as flow
from flows import retrain as retraining
from flows.cli import run as command
from flows.cli.flags import (
    DataFlags,
    DecisionFlags,
    FoldFlags,
    ImageFlags,
    MachineFlags,
    TrainingFlags,
)
from flows.full_pipeline import RunFlags
from resnext import load_model
from resnext.contracts.tables import read_table
from resnext.models.model_file import read_card
from tasks.registry.aliases import choose_alias
from tasks.registry.versions import find_version, version_file
from tasks.stage.runs import runs
from tests.conftest import make_tree

from prefect.client.schemas.objects import State

pytestmark = pytest.mark.usefixtures("prefect_server")
TRAINING = TrainingFlags(arch="resnext38_32x4d", image_size=32, epochs=1, batch_size=8)
PER_CLASS = 6


class Place:
    """Images and a store."""

    def __init__(self, root: Path) -> None:
        self.data, self.store = root / "images", root / "store"
        make_tree(self.data, patients=PER_CLASS)

    def run(self, only: Any = None, **folds: Any) -> Path:
        state: State[Any] = flow.full_pipeline(
            data=DataFlags(data=self.data),
            training=TRAINING,
            run=RunFlags(store=self.store, device="cpu", workers=0, only=only),
            folds=FoldFlags(**folds),
            return_state=True,
        )
        assert state.is_completed(), state.message
        return runs(self.store)[-1]

    def retrain(self, **folds: Any) -> str:
        state: State[Any] = retraining.retrain(
            data=ImageFlags(data=self.data),
            training=TRAINING,
            run=MachineFlags(store=self.store, device="cpu", workers=0),
            folds=FoldFlags(**folds),
            decision=DecisionFlags(no_export=True),
            return_state=True,
        )
        assert state.is_completed(), state.message
        return str(state.message)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("folds"))


@pytest.fixture(scope="module")
def run(place: Place) -> Path:
    return place.run(folds=2, repeats=2)


def trained(run: Path) -> list[str]:
    """Give the models that a run made, by what is special to each."""
    lines = [line for path in run.rglob("artifacts.txt") for line in path.read_text().split()]
    return sorted(line for line in lines if line.startswith("train/"))


def test_every_image_is_tested_once_in_each_repeat_by_a_network_that_did_not_see_it(
    run: Path,
) -> None:
    table = read_table(run / "predictions.csv")
    assert len(table) == 2 * 2 * PER_CLASS
    assert set(table["split"]) == {"test"}
    assert (table.groupby("path")["repeat"].agg(sorted).map(tuple) == (1, 2)).all()
    for repeat, number in [(1, 1), (1, 2), (2, 1), (2, 2)]:
        mine = table[(table["repeat"] == repeat) & (table["fold"] == number)]
        parts = read_table(run / "folds" / f"{repeat}-{number}" / "split.csv")
        assert set(mine["path"]) == set(parts.loc[parts["split"] == "test", "path"])
        own = read_table(run / "folds" / f"{repeat}-{number}" / "predictions.csv")
        tested = own.loc[own["split"] == "test", "p_Blue"].tolist()
        assert mine["p_Blue"].tolist() == tested


def test_the_model_that_is_kept_is_trained_on_the_images_of_all_folds(run: Path) -> None:
    parts = read_table(run / "split.csv").set_index("path")
    assert set(parts.loc[parts["copy"] == 0, "split"]) == {"train", "val"}
    assert len(set(trained(run))) == 5, "four of folds and the one that is kept"
    cards = [read_card(path) for path in run.rglob("model.safetensors")]
    assert [card.classes for card in cards] == [("Blue", "Red")] * 5


def test_the_report_shows_the_folds_and_the_repeats(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["n"], metrics["groups"]) == (2 * PER_CLASS, 2 * PER_CLASS)
    found = metrics["folds"]
    assert (found["folds"], found["repeats"], len(found["each"])) == (2, 2, 4)
    page = (run / "report.html").read_text()
    for text in ("The folds", "Each repeat", "Tested in a fold", "--folds</dt><dd>2"):
        assert text in page
    assert json.loads((run / "calibration.json").read_text())["positive"] is None
    assert "The model that is kept was trained once more" in (run / "MODEL_CARD.md").read_text()


def test_an_ensemble_answers_with_the_mean_of_the_folds_and_trains_none_anew(
    place: Place, run: Path
) -> None:
    both = place.run(only="train", folds=2, repeats=2, final="ensemble")
    assert set(trained(both)) < set(trained(run))
    assert read_card(both / "model.safetensors").members == 4
    image = next(place.data.rglob("*.png"))
    folds = [load_model(path) for path in sorted((both / "folds").glob("*/model.safetensors"))]
    expected = torch.tensor([list(each.predict(image).probabilities.values()) for each in folds])
    found = load_model(both / "model.safetensors").predict(image).probabilities
    assert torch.allclose(torch.tensor(list(found.values())), expected.mean(dim=0), atol=1e-5)


def test_a_further_repeat_trains_its_own_folds_alone(place: Place, run: Path) -> None:
    more = place.run(only="predict", folds=2, repeats=3)
    assert len(set(trained(more)) - set(trained(run))) == 2


@pytest.mark.parametrize(("only", "last"), [("train", "train"), ("predict", "pool")])
def test_only_stops_after_the_stage_that_folds_have_in_its_place(
    only: str, last: str, place: Place, run: Path
) -> None:
    assert run.is_dir()
    stopped = place.run(only, folds=2, repeats=2)
    used = [line.split("/")[0] for line in (stopped / "artifacts.txt").read_text().split()]
    assert used[-1] == last


def test_champions_are_judged_by_the_images_that_both_were_tested_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = Place(tmp_path_factory.mktemp("retrained"))
    assert place.retrain(folds=2) == "version 1 is champion: the first model"
    assert place.retrain(folds=2).startswith("nothing new")
    new = make_tree(tmp_path_factory.mktemp("more") / "images", patients=PER_CLASS + 1)
    for label in ("Blue", "Red"):
        name = f"{label}/{label[0]}{PER_CLASS:02}_01_00.png"
        (new / name).rename(place.data / name)
    assert "version 2 is" in place.retrain(folds=2, final="ensemble")
    decision = json.loads((runs(place.store)[-1] / "decision.json").read_text())
    assert decision["use"] == 1
    assert "version 3 is" in place.retrain(), "a single split challenges folds"
    alias = choose_alias(place.store)
    assert alias.champion is not None
    champion = find_version(place.store, alias.champion)
    tested = pd.read_csv(version_file(place.store, champion, "predictions.csv"))
    assert "fold" in tested


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--repeats", "2"], "--repeats must go with --folds, got 2. Add for example --folds 5."),
        (["--final", "ensemble"], "--final must go with --folds, got ensemble."),
        (["--folds", "1"], "--folds must be at least 2, got 1."),
        (["--folds", "3", "--fold", "1/3"], "--fold must not go with --folds, got both."),
        (["--folds", "3", "--split", "random"], "--folds must go with the strategy grouped"),
    ],
)
def test_what_cannot_be_cross_validated_is_said_in_a_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command.run_command(flow.main, name="full_pipeline.py", arguments=words)
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith(f"error: {expected}")
    assert error.count("\n") == 1
