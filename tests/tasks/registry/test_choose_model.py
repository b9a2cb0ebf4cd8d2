"""Which model answers new pictures, where several could."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from resnext.contracts.errors import InputError
from resnext.models.model_file import METADATA_KEY, ModelCard, read_card
from tasks.registry.aliases import alias_to_beat, all_aliases
from tasks.registry.choose_model import choose_model, log_model
from tasks.registry.promotion import promote, register, retire
from tasks.registry.versions import About, find_version
from tasks.stage.runs import MODEL, open_run

POX, FLOWERS = ("Monkeypox", "Others"), ("daisy", "tulip")
METRICS = {"balanced_accuracy": 0.61, "balanced_accuracy_ci95": [0.52, 0.7]}


class Store:
    """A store of models of any classes."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, 0

    def train(self, *classes: str) -> Path:
        """Make a run that holds a model."""
        self.runs += 1
        card = ModelCard(
            classes=classes, architecture="net", image_size=32, mean=(0, 0, 0), std=(1, 1, 1)
        )
        asked = {"data": f"pictures of {classes[0]}"}
        with open_run(self.root, f"r{self.runs:07}", asked) as run:
            weights = {"x": np.full(1, self.runs, dtype=np.float32)}
            save_file(weights, run / MODEL, {METADATA_KEY: card.model_dump_json()})
            (run / "metrics.json").write_text(json.dumps(METRICS))
        return run

    def retrain(self, *classes: str, name: str | None = None, verdict: str = "better") -> int:
        """Register a model, which becomes champion if it is better."""
        known = all_aliases(self.root)
        about = About(
            data=f"pictures of {classes[0]}",
            architecture="net",
            classes=classes,
            score="61.0 % (95 % interval 52 to 70 %)",
            decision="-",
            basis="",
            verdict=verdict,
            against=alias_to_beat(known, name, classes).champion,
            registry=name,
        )
        return register(self.root, self.train(*classes), about).number

    def answers(self, name: str | None = None) -> tuple[str, ...]:
        return read_card(choose_model(None, self.root, name)).classes


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def said(store: Store, caplog: pytest.LogCaptureFixture, name: str | None = None) -> str:
    caplog.set_level("INFO")
    model = choose_model(None, store.root, name)
    log_model(store.root, model, read_card(model), chosen=name is not None)
    return caplog.text


def test_the_champion_of_the_newest_runs_classes_answers(store: Store) -> None:
    store.retrain(*POX)
    store.retrain(*FLOWERS)
    assert store.answers() == FLOWERS
    store.train(*POX)
    assert store.answers() == POX
    assert choose_model(None, store.root).parent.name == "0001", "the champion, not the newest run"


def test_who_just_trained_flowers_gets_no_answer_about_pox(store: Store) -> None:
    store.retrain(*POX)
    run = store.train(*FLOWERS)
    with pytest.raises(InputError) as refused:
        choose_model(None, store.root)
    words = str(refused.value)
    assert "version 1 for Monkeypox, Others, and the newest run's classes are daisy, tulip" in words
    (name,) = shlex.split(re.findall(r"--registry ('.*?')", words)[0])
    assert store.answers(name) == POX, "the one remedy helps"
    (model,) = shlex.split(re.findall(r"--model (\S+)\.$", words)[0])
    assert choose_model(Path(model), store.root) == run / MODEL, "and so does the other"


def test_a_champion_that_shares_classes_with_the_newest_run_answers_with_a_warning(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.retrain(*POX)
    store.retrain(*POX, "Measles", verdict="classes changed")
    text = said(store, caplog)
    assert store.answers() == POX, "other classes are never promoted by themselves"
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "whose classes are Monkeypox, Others, and not the newest run" in warning
    assert "classes are Measles, Monkeypox, Others" in warning
    assert "model: version 1, champion since 20" in text
    promote(store.root, 2, "by hand")  # as the warning says
    caplog.clear()
    said(store, caplog)
    assert store.answers() == (*POX, "Measles")
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_of_several_that_share_classes_one_has_to_be_named(store: Store) -> None:
    store.retrain("a", "b")
    store.retrain("c", "d")
    store.train("b", "c")
    with pytest.raises(InputError, match=r"Say --registry 'a, b' or 'c, d'"):
        choose_model(None, store.root)


def test_after_a_retirement_the_newest_model_of_these_classes_answers(store: Store) -> None:
    store.retrain(*POX)
    store.retrain(*FLOWERS)
    retire(store.root, "", "daisy, tulip")
    run = store.train(*FLOWERS)
    assert choose_model(None, store.root) == run / MODEL
    with pytest.raises(InputError, match="which has none since it was retired"):
        choose_model(None, store.root, "daisy, tulip")


def test_a_named_champion_answers_where_it_is_named_or_alone(store: Store) -> None:
    store.retrain(*POX, name="skin")
    assert store.answers() == POX
    store.retrain(*POX)
    assert choose_model(None, store.root).parent.name == "0002"
    assert choose_model(None, store.root, "skin").parent.name == "0001"
    store.train(*FLOWERS)
    assert store.answers("skin") == POX
    with pytest.raises(InputError, match=r"got 'cats'\. Known: skin, 'Monkeypox, Others'"):
        choose_model(None, store.root, "cats")


@pytest.mark.parametrize("name", [None, "Monkeypox, Others"])
def test_one_line_says_which_model_answers(
    store: Store, caplog: pytest.LogCaptureFixture, name: str | None
) -> None:
    store.retrain(*POX)
    (line,) = said(store, caplog, name).splitlines()
    today = find_version(store.root, 1).created[:10]
    assert (
        f"model: version 1, champion since {today}; classes Monkeypox, Others; data pictures of "
        f"Monkeypox, {today}; score 61.0 % (95 % interval 52 to 70 %); net at 32 px; "
    ) in line


def test_without_a_champion_the_line_says_which_run_it_is(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run = store.train(*FLOWERS)
    line = said(store, caplog)
    assert f"model: run {run.name}, no champion; data pictures of daisy, 20" in line
    assert "score 61.0 % (95 % interval 52 to 70 %); classes daisy, tulip; net at 32 px" in line


def test_a_file_is_called_a_file(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    model = (store.train(*POX) / MODEL).rename(store.root / MODEL)
    card: Any = read_card(model)
    log_model(store.root, model, card, chosen=True)
    assert "model: a file; classes Monkeypox, Others; net at 32 px" in caplog.text


def test_the_folder_of_a_run_names_its_model(store: Store, tmp_path: Path) -> None:
    run = store.train(*POX)
    assert choose_model(run, store.root) == run / MODEL
    with pytest.raises(InputError, match="registry must go without `model`, got 'skin'"):
        choose_model(run, store.root, "skin")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="That folder holds none"):
        choose_model(empty, store.root)


def test_a_newest_model_that_cannot_be_read_stops_no_champion(store: Store) -> None:
    store.retrain(*POX)
    (store.train(*FLOWERS) / MODEL).write_text("broken")
    assert store.answers() == POX
