"""Retraining: what becomes champion, what stays, and what is not done again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flows import retrain as flow
from flows.cli.flags import DecisionFlags, ImageFlags, MachineFlags, TrainingFlags
from flows.retraining import decision
from reports.evaluation.settings import DecisionSettings
from resnext.contracts.errors import InputError
from tasks.registry.aliases import choose_alias
from tasks.registry.choose_model import choose_model
from tasks.registry.promotion import champion_of, promote, retire, rollback
from tasks.registry.versions import all_versions, find_version, intact_weights, version_file
from tasks.scan import scan
from tasks.stage.artifact import Runtime
from tasks.stage.key import Fingerprint, fingerprint
from tasks.stage.prune import prune
from tasks.stage.runs import run_record, runs

from prefect.client.schemas.objects import State

pytestmark = pytest.mark.usefixtures("prefect_server")
TRAINING = TrainingFlags(arch="resnext38_32x4d", image_size=32, epochs=1, batch_size=8)


class Place:
    """Pictures that grow, and a store."""

    def __init__(self, root: Path) -> None:
        self.data, self.store = root / "pictures", root / "store"
        self.add("Blue", 0, 10)
        self.add("Red", 0, 10)

    def add(self, label: str, first: int, last: int) -> None:
        (self.data / label).mkdir(parents=True, exist_ok=True)
        for patient in range(first, last):
            random = np.random.default_rng([patient, len(label)])
            pixels = random.integers(0, 200, (16, 16, 3), dtype=np.uint8)
            pixels[..., len(label) % 3] += 55
            name = f"{label[0]}{patient:02}_01_00.png"
            Image.fromarray(pixels).save(self.data / label / name)

    def retrain(self, training: TrainingFlags = TRAINING, registry: str | None = None) -> str:
        state = self.end(training, registry)
        assert state.is_completed(), state.message
        return str(state.message)

    def complaint(self, training: TrainingFlags = TRAINING) -> str:
        """Give the one line that a retraining ends with whose input is wrong."""
        state = self.end(training)
        assert state.is_failed()
        with pytest.raises(InputError):
            state.result()
        assert len(str(state.message).splitlines()) == 1
        return str(state.message)

    def end(self, training: TrainingFlags, registry: str | None = None) -> State[Any]:
        return flow.retrain(
            data=ImageFlags(data=self.data),
            training=training,
            decision=DecisionFlags(registry=registry, no_export=self.count > 0),
            run=MachineFlags(store=self.store, device="cpu", workers=0),
            return_state=True,
        )

    def split(self, number: int) -> dict[str, str]:
        version = find_version(self.store, number)
        table = pd.read_csv(version_file(self.store, version, "split.csv"))
        return dict(zip(table["path"], table["split"], strict=True))

    @property
    def champion(self) -> int | None:
        return choose_alias(self.store).champion

    @property
    def count(self) -> int:
        return len(all_versions(self.store))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("retraining"))


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("beginning"))
    assert made.retrain() == "version 1 is champion: the first model"
    return made


def judged_as(verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(*_: Any) -> tuple[dict[str, Any], str]:
        return {"verdict": verdict}, f"{verdict} than it was"

    monkeypatch.setattr(decision, "compare", compare)


class KilledError(RuntimeError):
    """Stands for a kill between the registration and the promotion."""


def killed_before_promotion(
    place: Place, training: TrainingFlags, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr("tasks.registry.promotion._make_champion", die)
        with pytest.raises(KilledError):
            place.end(training).result()


def announcements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    monkeypatch.setattr(
        flow, "announce_promotion", lambda _, version, why: found.append((version.number, why))
    )
    return found


def stages_of_newest_run(place: Place) -> set[str]:
    table = runs(place.store)[-1] / "artifacts.txt"
    return {name.split("/")[0] for name in table.read_text().split()} if table.exists() else set()


def test_the_first_model_is_champion(place: Place) -> None:
    assert place.retrain() == "version 1 is champion: the first model"
    assert place.champion == 1
    assert find_version(place.store, 1).classes == ("Blue", "Red")


def test_nothing_new_trains_nothing_and_registers_nothing(place: Place) -> None:
    assert place.retrain() == "nothing new; version 1 stays champion"
    assert place.count == 1
    assert stages_of_newest_run(place) == {"scan"}


def test_a_challenger_keeps_every_picture_in_its_part_and_answers_the_champions_test(
    place: Place,
) -> None:
    place.add("Blue", 10, 14)
    place.add("Red", 10, 14)
    said = place.retrain()
    assert said.startswith(("version 1 stays champion: version 2 is", "version 2 is champion:"))
    before, after = place.split(1), place.split(2)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 8
    newest = runs(place.store)[-1]
    tested = [
        pd.read_csv(folder / "predictions.csv").query("split == 'test'")["path"].tolist()
        for folder in (newest, newest / "champion")
    ]
    assert tested[0] == tested[1]
    report = version_file(place.store, find_version(place.store, 2), "report.html")
    assert "This test part has been used for 1 decision between models" in report.read_text()
    assert "--keep-split" in report.read_text(), "the command gives the same results"
    decision = json.loads((newest / "decision.json").read_text())
    assert decision["metric"] == "balanced_accuracy"
    assert (decision["use"], decision["luck_allowed"]) == (1, 0.025)
    assert find_version(place.store, 2).use == 1
    drift = json.loads((newest / "drift.json").read_text())
    assert drift["words"] == "Drift: 8 new images are too few to tell."
    assert drift["reference"] == {
        "what": "training part",
        "pictures": list(before.values()).count("train"),
        "groups": list(before.values()).count("train"),
    }
    assert len(pd.read_csv(newest / "new_predictions.csv")) == 8


def test_the_same_pictures_are_not_judged_twice(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    assert place.retrain().startswith("nothing new")
    assert place.count == 2
    assert "These settings are not" not in caplog.text


def test_each_decision_on_the_same_test_part_is_counted_and_harder_than_the_one_before(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    before = place.champion
    said = place.retrain(TRAINING.model_copy(update={"seed": 12}))
    assert f"These settings are not version {before}'s: seed 0 -> 12. To train" in caplog.text
    newest = runs(place.store)[-1]
    decision = json.loads((newest / "decision.json").read_text())
    assert (decision["use"], decision["luck_allowed"]) == (2, pytest.approx(0.05 / 6))
    if decision["difference"] > 0:
        assert "; decision 2 on this test part: luck alone gives such a lead in" in said
    version = all_versions(place.store)[-1]
    assert version.use == 2
    report = version_file(place.store, version, "report.html").read_text()
    assert "This test part has been used for 2 decisions between models, this one included" in (
        report
    )
    assert "luck alone gives in at most 0.83 % of cases" in report


def test_a_better_challenger_alone_is_promoted_predicts_and_can_be_rolled_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced = announcements(monkeypatch)
    before, count = place.champion, place.count + 1
    judged_as("worse", monkeypatch)
    said = place.retrain(TRAINING.model_copy(update={"seed": 5}))
    assert said.endswith(f"version {count} is worse than it was")
    assert (place.champion, announced) == (before, []), "it is kept but not promoted"
    judged_as("better", monkeypatch)
    said = place.retrain(TRAINING.model_copy(update={"seed": 7}))
    assert said == f"version {count + 1} is champion: better than it was"
    assert place.champion == count + 1
    assert announced == [(count + 1, "better than it was")]
    assert choose_model(None, place.store).parent.name == f"{count + 1:04}"
    rollback(place.store, "by hand")
    assert place.champion == before
    assert choose_model(None, place.store).parent.name == f"{before:04}"


def test_a_better_challenger_whose_promotion_was_killed_is_promoted_by_the_next_retraining_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_as("better", monkeypatch)
    announced = announcements(monkeypatch)
    before, count = place.champion, place.count
    training = TRAINING.model_copy(update={"seed": 9})
    killed_before_promotion(place, training, monkeypatch)
    assert (place.champion, place.count, announced) == (before, count + 1, [])
    assert place.retrain(training) == f"version {count + 1} is champion: better than it was"
    assert (place.champion, place.count) == (count + 1, count + 1)
    assert announced == [(count + 1, "better than it was")]
    rollback(place.store, "by hand")
    assert place.retrain(training) == f"nothing new; version {before} stays champion"
    assert place.champion == before


def test_a_challenger_is_not_promoted_over_a_champion_that_came_meanwhile_but_judged_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, count = place.champion, place.count
    assert before is not None
    other = next(v.number for v in all_versions(place.store) if v.number != before)

    def compare(*_: Any) -> tuple[dict[str, Any], str]:
        promote(place.store, other, "by hand, while the challenger was trained")
        return {"verdict": "better"}, "better than it was"

    monkeypatch.setattr(decision, "compare", compare)
    monkeypatch.setattr(flow, "announce_promotion", pytest.fail)
    training = TRAINING.model_copy(update={"seed": 10})
    assert place.retrain(training) == (
        f"version {other} stays champion: version {count + 1} is not compared with version "
        f"{other}, which became champion meanwhile; better than it was"
    )
    assert place.champion == other
    judged_as("undecided", monkeypatch)
    said = place.retrain(training)
    assert said == f"version {other} stays champion: version {count + 2} is undecided than it was"
    rollback(place.store, "by hand")
    assert place.champion == before


@pytest.mark.parametrize(
    ("name", "damage"), [("model.safetensors", "alter"), ("split.csv", "remove")]
)
def test_a_broken_champion_is_told_before_anything_but_the_scan_is_computed(
    place: Place, name: str, damage: str
) -> None:
    champion = champion_of(place.store, choose_alias(place.store))
    assert champion is not None
    file = version_file(place.store, champion, name)
    aside = file.rename(file.with_name("aside"))
    if damage == "alter":
        content = bytearray(aside.read_bytes())
        content[-2] ^= 1
        file.write_bytes(content)
    said = place.complaint(TRAINING.model_copy(update={"seed": 11}))
    file.unlink(missing_ok=True)
    aside.rename(file)
    assert f"Version {champion.number} must hold {name} as it was registered, got" in said
    assert "Put the file back" in said
    assert "models.py promote N" in said
    assert "models.py retire" in said
    assert stages_of_newest_run(place) == {"scan"}
    assert place.retrain().startswith("nothing new"), "the file was put back"


def test_models_without_a_pointer_begin_no_new_lineage_by_themselves(place: Place) -> None:
    count, file = place.count, place.store / "registry" / "champion.json"
    aside = file.rename(file.with_name("aside"))
    said = place.complaint()
    assert f"The registry must say which model is champion, got {count} models and no" in said
    assert "models.py promote N" in said
    assert not file.exists()
    assert stages_of_newest_run(place) == set()
    aside.rename(file)


def test_another_class_is_never_promoted_by_itself(place: Place) -> None:
    place.add("Green", 0, 10)
    before, count = place.champion, place.count
    said = place.retrain()
    assert place.champion == before
    assert f"version {count + 1} is of other classes (added: Green) and can't be compared" in said
    assert said.endswith(f"promote it by hand: models.py promote {count + 1}")
    shares = pd.read_csv(runs(place.store)[-1] / "drift.csv").set_index("class")
    assert shares["reference_n"]["Green"] == 0
    assert shares["new_n"].to_dict()["Green"] == 10


def test_without_the_champions_tables_there_is_no_note_on_drift_but_a_decision(
    place: Place,
) -> None:
    champion = find_version(place.store, place.champion or 0)
    table = version_file(place.store, champion, "predictions.csv")
    table.rename(aside := table.with_suffix(".aside"))
    said = place.retrain(TRAINING.model_copy(update={"seed": 8}))
    aside.rename(table)
    assert "version" in said
    assert not (runs(place.store)[-1] / "drift.json").exists()


def test_pruning_leaves_every_version_whole(place: Place) -> None:
    prune(place.store, keep_runs=0)
    for version in all_versions(place.store):
        assert intact_weights(place.store, version).is_file()


def test_code_or_a_library_that_changed_is_something_new(
    young: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(module: str) -> Fingerprint:
        found = fingerprint(module)
        return Fingerprint({**found.modules, **modules}, {**found.packages, **packages})

    modules: dict[str, str] = {}
    packages: dict[str, str] = {}
    plan = flow.plan_retraining(
        ImageFlags(data=young.data), TRAINING, MachineFlags(store=young.store, device="cpu")
    )
    manifest = scan.fn(Runtime(store=young.store, data=young.data), plan.reading)

    def basis() -> str:
        return flow.basis_of(manifest, plan, DecisionSettings())

    monkeypatch.setattr(flow, "fingerprint", changed)
    seen = {basis(), basis()}
    assert len(seen) == 1
    modules["tasks.train"] = "another"
    seen.add(basis())
    packages["pandas"] = "99"
    assert len({*seen, basis()}) == 3


def test_a_retraining_writes_down_its_own_command(young: Place) -> None:
    command = run_record(runs(young.store)[-1])["asked"]["command"]
    assert "flows/retrain.py --data" in command
    assert command.endswith(f"--store {young.store} --device cpu --workers 0")


def test_without_the_champions_test_pictures_retire_begins_anew_and_rollback_takes_it_back(
    young: Place,
) -> None:
    place, before, count = young, young.champion, young.count
    assert before is not None
    for path, part in place.split(before).items():
        if part == "test":
            (place.data / path).unlink()
    said = place.complaint()
    assert f"The split that is kept from version {before}, the champion, must leave" in said
    assert "got none for test." in said
    assert "--" not in said, "no flag that there is not"
    assert said.endswith("begin anew without a champion: models.py retire.")
    retire(place.store, "by hand")
    assert place.retrain() == f"version {count + 1} is champion: the first model"
    assert "test" in place.split(count + 1).values()
    assert place.champion == count + 1
    rollback(place.store, "by hand")
    assert place.champion == before


def test_a_split_that_cannot_be_kept_is_refused(place: Place) -> None:
    state = flow.retrain(
        data=ImageFlags(data=place.data),
        training=TrainingFlags(preset="seed"),
        run=MachineFlags(store=place.store),
        return_state=True,
    )
    assert state.is_failed()
    assert "--split must be grouped or stratified to retrain, got random." in str(state.message)
    with pytest.raises(InputError):
        state.result()


def test_retraining_without_anything_new_imports_no_heavy_library() -> None:
    code = (
        "import sys, flows.retrain; "
        "print({'torch', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


class Foreign(Place):
    """Other pictures, retrained in the store of the first ones."""

    def __init__(self, root: Path, store: Path) -> None:
        self.data, self.store = root / "animals", store
        self.add("Cat", 0, 10)
        self.add("Dogs", 0, 10)


@pytest.fixture(scope="module")
def foreign(young: Place, tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    return Foreign(tmp_path_factory.mktemp("foreign"), young.store)


def test_other_pictures_have_a_champion_of_their_own(foreign: Foreign, young: Place) -> None:
    before, count = young.champion, young.count
    said = foreign.retrain()
    assert said == f"version {count + 1} is champion of Cat, Dogs: the first model"
    assert foreign.retrain() == f"nothing new; version {count + 1} stays champion of Cat, Dogs"
    assert choose_alias(young.store, "Blue, Red").champion == before
    assert choose_model(None, young.store).parent.name == f"{count + 1:04}"


def test_a_class_that_is_added_is_said_loudly_with_how_to_promote_or_to_name(
    foreign: Foreign, caplog: pytest.LogCaptureFixture
) -> None:
    champion, count = choose_alias(foreign.store, "Cat, Dogs").champion, foreign.count
    foreign.add("Hamster", 0, 10)
    said = foreign.retrain()
    assert f"version {count + 1} is of other classes (added: Hamster)" in said
    assert choose_alias(foreign.store, "Cat, Dogs").champion == champion
    warning = next(r.getMessage() for r in caplog.records if "never promoted" in r.getMessage())
    assert "The classes are Cat, Dogs, Hamster, and those of the champion" in warning
    assert "models.py promote N" in warning
    assert "--registry NAME" in warning
    promote(foreign.store, count + 1, "by hand")  # the one remedy
    assert foreign.retrain() == (
        f"nothing new; version {count + 1} stays champion of Cat, Dogs, Hamster"
    )
    said = foreign.retrain(registry="zoo")  # and the other
    assert said == f"version {count + 2} is champion of zoo: the first model"
