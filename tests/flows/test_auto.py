"""`--preset auto`, as a whole: what it looks at, what it chooses, and what it leaves to paste."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows import compare, full_pipeline, retrain
from flows.cli import run as command
from flows.cli.flags import DataFlags, EvaluationFlags, FoldFlags, SplitFlags, TrainingFlags
from flows.full_pipeline import RunFlags
from flows.training.auto import NOTE
from tasks.stage.runs import run_record, runs, used_by
from tests.conftest import make_tree
from tests.resnext.planning.test_rules import FEW, FOLDED

from prefect.client.schemas.objects import State

SMALL = FEW | {"image_size": 128}
"""With the images of 16 pixels that are drawn here."""
AUTO = TrainingFlags(preset="auto")
NAMES: dict[Any, str] = {
    DataFlags: "data", SplitFlags: "split", FoldFlags: "folds", TrainingFlags: "training",
    EvaluationFlags: "evaluation",
}  # fmt: skip
CPU = {"device": "cpu", "workers": 0}


def draw(root: Path, groups: dict[str, int]) -> Path:
    random = np.random.default_rng(0)
    for number, (name, count) in enumerate(groups.items()):
        (root / name).mkdir(parents=True)
        for patient in range(count):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"c{number:02}p{patient:04}_1_0.png")
    return root


class Place:
    """A store, and what was run in it."""

    def __init__(self, root: Path) -> None:
        self.store = root / "store"

    def run(self, *flags: Any, only: Any = None) -> State[Any]:
        run = RunFlags(store=self.store, only=only, **CPU)
        given = {NAMES[type(each)]: each for each in flags}
        state: State[Any] = full_pipeline.full_pipeline(run=run, return_state=True, **given)
        return state

    def plan(self, data: Path, *flags: Any) -> dict[str, Any]:
        state = self.run(DataFlags(data=data), *(flags or [AUTO]), only="plan")
        assert state.is_completed(), state.message
        found: dict[str, Any] = json.loads((self.newest / "plan.json").read_text())
        return found

    @property
    def newest(self) -> Path:
        return runs(self.store)[-1]


@pytest.fixture
def place(tmp_path: Path, prefect_server: str) -> Place:  # noqa: ARG001 - which must run
    return Place(tmp_path)


def values(plan: dict[str, Any]) -> dict[str, Any]:
    return {each["decides"]: each["value"] for each in plan["decisions"]}


def flags_of(words: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """Give the flags that a command line is read as."""
    found: list[Any] = []
    monkeypatch.setattr(command, "run_flow", lambda _, *flags: found.extend(flags))
    code = command.run_command(full_pipeline.main, name="full_pipeline.py", arguments=words)
    assert code == 0
    return tuple(found)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"cat": 20, "dog": 20}, FOLDED | {"preset": "transfer"} | SMALL),
        (
            {"cat": 320, "dog": 80},
            FOLDED | {"preset": "transfer"} | SMALL | {"class_weights": "balanced"},
        ),
        (
            {f"class {number:02}": 20 for number in range(30)},
            FOLDED | {"preset": "transfer"} | SMALL,
        ),
    ],
)
def test_the_flow_chooses_by_the_images_and_stops_before_anything_is_computed(
    place: Place, tmp_path: Path, groups: dict[str, int], expected: dict[str, Any]
) -> None:
    plan = place.plan(draw(tmp_path / "images", groups))
    assert values(plan) == expected
    assert plan["facts"]["originals"] == sum(groups.values())
    assert plan["expected"]["minutes"] >= 1
    assert {each.split("/")[0] for each in used_by(place.newest)} == {"scan", "split", "plan"}
    page = (place.newest / "plan.html").read_text(encoding="utf-8")
    assert all(each["source"] in page for each in plan["decisions"])


def test_the_terminal_shows_what_was_chosen_and_where_the_page_is(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    place.plan(draw(tmp_path / "images", {"cat": 20, "dog": 20}))
    said = caplog.text
    for text in ("--folds", "transfer", "40 groups are few.", "About 1 minute"):
        assert text in said
    assert f"Plan: {place.newest / 'plan.html'}" in said


def test_flags_that_are_given_win_and_the_plan_says_so(place: Place, tmp_path: Path) -> None:
    data = draw(tmp_path / "images", {"cat": 20, "dog": 20})
    training = TrainingFlags(preset="auto", views="d4", image_size=48)
    plan = place.plan(data, SplitFlags(fold="1/4"), training)
    reasons = {each["decides"]: each["reason"] for each in plan["decisions"]}
    assert values(plan)["folds"] is None
    assert reasons["folds"] == "You asked for --fold 1/4."
    assert reasons["views"] == "You asked for --views d4."
    assert reasons["image_size"] == "You asked for --image-size 48."
    assert plan["command"].count("--image-size") == 1


@pytest.mark.slow
def test_the_command_of_a_plan_trains_nothing_anew(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_tree(tmp_path / "images", patients=3)
    training = TrainingFlags(preset="auto", image_size=32, epochs=1)
    state = place.run(DataFlags(data=data), training)
    assert state.is_completed(), state.message
    first = place.newest
    plan = json.loads((first / "plan.json").read_text())
    assert (values(plan)["folds"], values(plan)["preset"]) == (3, "transfer")
    assert len([*(first / "folds").iterdir()]) == 3
    page = (first / "report.html").read_text(encoding="utf-8")
    assert NOTE in page.replace("<code>", "").replace("</code>", "")
    assert "--preset auto" in run_record(first)["asked"]["command"]
    words = shlex.split(plan["command"])[2:]
    assert "auto" not in words
    flags = flags_of(words, monkeypatch)
    state = place.run(*(each for each in flags if not isinstance(each, RunFlags)))
    assert state.is_completed(), state.message
    anew = used_by(place.newest) - used_by(first)
    assert {each.split("/")[0] for each in anew} == {"report"}, "which speaks of auto no more"
    for name in ("model.safetensors", "predictions.csv", "metrics.json"):
        assert (place.newest / name).resolve() == (first / name).resolve()


@pytest.mark.parametrize(("last", "words"), [(1, "got 1 in 'dog'"), (2, "got 2 in 'dog'")])
def test_a_class_with_too_few_groups_is_said_in_words(
    place: Place, tmp_path: Path, last: int, words: str
) -> None:
    data = draw(tmp_path / "images", {"cat": 20, "dog": last})
    state = place.run(DataFlags(data=data), AUTO, only="plan")
    assert state.is_failed()
    assert "Each class folder must hold at least 3" in str(state.message)
    assert words in str(state.message)


def test_a_split_alone_needs_no_plan(place: Place, tmp_path: Path) -> None:
    data = draw(tmp_path / "images", {"cat": 5, "dog": 5})
    assert place.run(DataFlags(data=data), AUTO, only="split").is_completed()
    assert (place.newest / "audit.html").is_file()
    assert not (place.newest / "plan.json").exists()


@pytest.mark.parametrize("program", [compare, retrain])
def test_a_program_that_does_not_look_at_the_images_first_refuses_to_choose_by_them(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{program.__name__.rpartition('.')[2]}.py"
    data = ["--data", str(draw(tmp_path / "images", {"cat": 3, "dog": 3}))]
    ways = {
        "retrain.py": [["--preset", "auto"]],
        "compare.py": [["auto"], ["resnet50", "--preset", "auto"], [str(tmp_path / "mine.toml")]],
    }
    (tmp_path / "mine.toml").write_text('preset = "auto"\n')
    for words in ways[name]:
        code = command.run_command(program.main, name=name, arguments=[*words, *data])
        error = capsys.readouterr().err
        assert (code, error.count("\n")) == (2, 1)
        assert error.startswith("error: --preset must be default, seed, quick, transfer, finetune")
        assert "paste the flags of the command in its plan.json" in error


def test_a_plan_alone_goes_with_this_preset_alone(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--only", "plan"]
    assert command.run_command(full_pipeline.main, name="full_pipeline.py", arguments=words) == 2
    assert "--only must go with --preset auto, got plan." in capsys.readouterr().err


def test_the_form_of_the_prefect_ui_offers_it() -> None:
    schema = full_pipeline.full_pipeline.parameters.model_dump()
    assert "auto" in schema["definitions"]["TrainingFlags"]["properties"]["preset"]["enum"]
