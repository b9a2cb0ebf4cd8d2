import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows import compare
from flows.cli import run as command
from flows.cli.flags import CompareFlags, DrawFlags, ImageFlags, MachineFlags, TrainingFlags
from flows.cli.plan import Plan
from flows.training.contestants import Contestants, contestant_flags, name_of, plan_all
from flows.training.side_by_side import Network, Prepared
from resnext.contracts.tables import read_table
from tasks.stage.artifact import Artifact, Runtime
from tests.conftest import REPOSITORY, make_tree

TINY = ["--image-size", "32", "--epochs", "1", "--batch-size", "8", "--device", "cpu"]
TINY += ["--arch", "resnext38_32x4d"]


def plans(
    store: Path,
    *recipes: str,
    compared: CompareFlags = CompareFlags(folds=3),
    split: DrawFlags = DrawFlags(),
    **training: object,
) -> Contestants:
    return plan_all(
        recipes,
        compared,
        ImageFlags(),
        split,
        TrainingFlags.model_validate(training),
        MachineFlags(store=store, device="cpu"),
    )


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = command.run_command(compare.main, name="compare.py", arguments=words)
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1, "one line"
    return error


def test_every_recipe_is_planned_for_the_same_grouped_folds(tmp_path: Path) -> None:
    found = plans(tmp_path, "default", "seed", image_size=64)
    assert list(found) == ["default", "seed", "transfer"]
    (default,), (seed,), (probe,) = found.values()
    for one in (default, seed, probe):
        assert (one.split.strategy, one.split.folds, one.split.repeats) == ("grouped", 3, 1)
        assert one.split.seed == default.split.seed
        assert list(one.split.each_fold) == [(1, 1), (1, 2), (1, 3)]
    assert (default.recipe.optimizer, seed.recipe.optimizer) == ("adamw", "sgd")
    assert default.recipe.image_size == seed.recipe.image_size == 64


def test_the_frozen_probe_is_compared_too_with_settings_of_its_own(tmp_path: Path) -> None:
    found = plans(tmp_path, "quick", image_size=32, epochs=1, lr=0.5, seed=7)
    (probe,), (quick,) = found["transfer"], found["quick"]
    own = plans(tmp_path, "default", "transfer", seed=7)["transfer"][0]
    assert probe.recipe == own.recipe
    assert (quick.recipe.image_size, quick.recipe.epochs, quick.recipe.seed) == (32, 1, 7)
    assert (probe.recipe.method, probe.recipe.epochs, probe.recipe.seed) == ("probe", 30, 7)
    assert probe.split == quick.split


def test_a_probe_that_is_named_or_unwanted_is_not_added(tmp_path: Path) -> None:
    assert list(plans(tmp_path, "transfer", "quick")) == ["transfer", "quick"]
    (tmp_path / "same.toml").write_text('preset = "transfer"\n')
    assert list(plans(tmp_path, "quick", str(tmp_path / "same.toml"))) == ["quick", "same"]
    without = CompareFlags(folds=2, no_probe=True)
    assert list(plans(tmp_path, "quick", "seed", compared=without)) == ["quick", "seed"]


def test_a_page_says_that_flags_do_not_count_for_a_probe_only_where_it_was_added(
    tmp_path: Path,
) -> None:
    def notes(*recipes: str) -> str:
        found = plans(tmp_path, *recipes, image_size=32)
        return " ".join(compare.about_all(found, [], "", recipes).notes)

    assert "It was added. It keeps its own settings" in notes("quick")
    named = notes("quick", "transfer")
    assert "transfer is the frozen probe" in named
    assert "keeps its own settings" not in named


def test_a_page_says_by_how_many_threads_a_training_was_computed(tmp_path: Path) -> None:
    """Three folds share four threads: each has one."""
    found = {
        name: tuple(
            replace(plan, compute=plan.compute.model_copy(update={"threads": 4})) for plan in each
        )
        for name, each in plans(tmp_path, "quick").items()
    }
    about = compare.about_all(found, [], "", ("quick",))
    assert "CPU, 1 thread, " in dict(about.environment)["Computed on"]
    assert "by 1 thread of 4," in about.notes[0]


def test_seeds_follow_the_recipes_own_and_each_is_trained_on_each_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stages before training run once for all of them."""
    nothing = Artifact(stage="none", key="", folder=tmp_path, files={})
    calls: list[str] = []

    def once(name: str, made: Callable[..., Any]) -> None:
        def counted(*given: object) -> Any:
            calls.append(name)
            return made(*given)

        monkeypatch.setattr(compare, name, counted)

    def prepared(plan: Plan, *_: object) -> Prepared:
        return Prepared(nothing, nothing, nothing, None, plan.recipe, None, plan.compute)

    once("scan", lambda *_: nothing)
    once("split", lambda *_: nothing)
    once("prepare", prepared)
    monkeypatch.setattr(compare, "result_of", lambda made: made)
    monkeypatch.setattr(compare, "of_fold", lambda runtime, made, *_: Network(runtime, made))
    (tmp_path / "mine.toml").write_text("seed = 4\n")
    several = CompareFlags(folds=2, seeds=2, splits="random,grouped")
    found = plans(tmp_path, str(tmp_path / "mine.toml"), compared=several)["mine"]
    runtime = Runtime(store=tmp_path)
    folds, random = (list(compare.trainings_of("mine", plan, runtime, 2)) for plan in found)
    assert calls == ["scan", "split", "prepare"] * 2
    assert [each.network.prepared.recipe.seed for each in folds] == [4, 4, 5, 5]
    assert [each.network.runtime.label for each in folds] == [
        "mine-1", "mine-2", "mine-1-seed5", "mine-2-seed5",
    ]  # fmt: skip
    assert [each.name for each in random] == [
        "mine, random split, seed 4", "mine, random split, seed 5",
    ]  # fmt: skip
    assert {each.seed for each in (*folds, *random)} == {4}, "by which settings are searched"
    assert [each.on_folds for each in (*folds, *random)] == [True] * 4 + [False] * 2


def test_a_random_split_is_planned_beside_the_folds(tmp_path: Path) -> None:
    both = CompareFlags(folds=2, splits="random,grouped")
    found = plans(tmp_path, "default", "seed", compared=both)
    for folds, random in found.values():
        assert (folds.split.strategy, folds.split.folds) == ("grouped", 2)
        assert (random.split.strategy, random.split.folds) == ("random", None)
        assert random.split.shares[2] == 20
        assert folds.recipe == random.recipe


def test_an_architecture_begins_from_the_preset() -> None:
    flags = contestant_flags("resnext101_32x8d", TrainingFlags(preset="quick", epochs=2))
    assert flags == {"preset": "quick", "arch": "resnext101_32x8d", "epochs": 2}


def test_any_network_of_timm_is_a_recipe_and_so_is_a_file_of_a_probe(tmp_path: Path) -> None:
    assert contestant_flags("resnet18", TrainingFlags())["arch"] == "resnet18"
    file = tmp_path / "probe.toml"
    file.write_text('preset = "transfer"\nviews = "d4"\n')
    assert contestant_flags(str(file), TrainingFlags()) == {"preset": "transfer", "views": "d4"}
    file.write_text('method = "probe"\nweights = "bundled"\n')
    flags = contestant_flags(str(file), TrainingFlags())
    assert flags == {"preset": "default", "method": "probe", "weights": "bundled"}


def test_a_file_begins_from_the_preset_and_flags_win_over_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('lr = 0.5\nbatch-size = 4\noptimizer = "adam"\n')
    flags = contestant_flags(str(file), TrainingFlags(lr=0.1))
    assert flags == {"preset": "default", "lr": 0.1, "batch_size": 4, "optimizer": "adam"}
    assert name_of(str(file)) == "mine"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "RECIPES must be at least one, each of another name, got none."),
        (["default", "--no-probe"], "RECIPES must be at least two, each of another name, got def"),
        (["seed", "seed"], "RECIPES must be at least one, each of another name, got seed, seed."),
        (["transfer"], "RECIPES must be something besides the frozen probe, got transfer."),
        (["default", "--seeds", "0"], "--seeds must be at least 1"),
        (["default", "--seeds", "2", "--seed", "4294967295"], "--seed must be less than 429496"),
        (["default", "--trials", "-1"], "--trials must be at least 0"),
        (["default", "--splits", "random"], "splits"),
        (
            ["default", "--splits", "random,grouped", "--split", "stratified"],
            "--split must be grouped to compare on folds, got stratified",
        ),
        (
            ["default", "best"],
            "RECIPES must be presets (default, seed, quick, transfer, finetune), arch",
        ),
        (["transfer.toml"], "RECIPES must not be a file called transfer, got transfer.toml."),
        (["default", "no.toml"], "RECIPES must be a TOML file, got 'no.toml'."),
        (["default", "seed", "--folds", "1"], "--folds must be at least 2"),
        (["default", "seed", "--fold", "1/5"], "--fold"),
        (["default", "seed", "--lr", "-1"], "--lr must be greater than 0"),
        (["default", "seed", "--split", "random"], "--split must be grouped or stratified"),
        (["default", "resnext50_32x4d"], "RECIPES must differ, got the same settings for default"),
        (["seed", "resnext50_32x4d", "--arch", "resnext38_32x4d"], "--arch must be left out"),
        (["default", "seed", "--data", "/none"], "--data must be a folder of class folders"),
    ],
)
def test_wrong_input_is_said_in_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in complaint(words, capsys)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('split = "random"', "--split must not be given here, got 'random'"),
        ("lr = true", "--lr must be a valid number, got True"),
        ('arch = "vgg"', "--arch must be a network that is listed here or that timm has"),
        ('method = "probe"', "--weights must be given for --method probe, got none"),
        ("epochs = 1.5", "--epochs"),
    ],
)
def test_what_a_file_holds_is_checked_though_a_flag_wins_over_it(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    flags = ["--lr", "0.1", "--epochs", "2", "--arch", "resnext38_32x4d"]
    assert expected in complaint(["default", str(tmp_path / "mine.toml"), *flags], capsys)


@pytest.mark.slow
def test_recipes_are_compared_on_all_pictures_and_cached(
    tmp_path: Path, prefect_server: str
) -> None:
    data = make_tree(tmp_path / "pictures", patients=8)
    fast = tmp_path / "fast.toml"
    fast.write_text("lr = 0.05\nwarmup-epochs = 0\n")

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        program = str(REPOSITORY / "flows" / "compare.py")
        common = ["--folds", "2", "--data", str(data), "--store", str(tmp_path / "store"), *TINY]
        return subprocess.run(
            [sys.executable, "-W", "error", program, *words, *common],
            capture_output=True, text=True, check=True, timeout=300,
            env=os.environ | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip

    first, again = run("default"), run("default")
    assert "default, 2 folds" in first.stderr
    assert "train cached" not in first.stderr
    assert again.stderr.count("train cached") == 4
    assert "compare   cached" in again.stderr
    assert "show      cached" in again.stderr
    more = run("default", str(fast), "--splits", "random,grouped")
    assert more.stderr.count("train cached") == 4, "only what is new is trained"
    assert more.stderr.count("train done") == 2 + 3

    folder, _, last = sorted((tmp_path / "store" / "runs").glob("*/"))
    table = read_table(folder / "comparison.csv")
    assert table["recipe"].tolist() == ["default", "transfer"]
    assert table["n"].tolist() == [16, 16], "each photograph once, no copy of it"
    assert table["groups"].tolist() == [16, 16]
    assert table["parameters"].tolist() == [17_006_402, 5_769_482]
    assert (table[["multiply_adds", "minutes", "images_per_second"]] > 0).all(axis=None)
    assert "random_accuracy" not in table
    tested = [
        set(pd.read_csv(fold / "predictions.csv").query("split == 'test'")["path"])
        for fold in sorted((folder / "folds").glob("default-*"))
    ]
    assert len(tested) == 2
    assert not tested[0] & tested[1]
    assert f"Comparison: {folder / 'comparison.csv'}" in first.stdout
    assert f"Page: {folder / 'comparison.html'}" in first.stdout
    assert_page(last, more.stdout)


def assert_page(folder: Path, said: str) -> None:
    """The page, the table and the terminal say the same."""
    table = read_table(folder / "comparison.csv")
    assert table["recipe"].tolist() == ["default", "fast", "transfer"]
    assert table["random_n"].tolist() == [7] * 3, "a fifth of the images with their copies"
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    for row in table.to_dict("records"):
        random, unseen = (f"{100 * row[name]:.1f} %" for name in ("random_accuracy", "accuracy"))
        line = f"{row['recipe']}: a random split says {random}, unseen groups {unseen}."
        assert line in page
        assert line in said
    assert "data:image/png;base64," in page
    assert "It keeps its own settings" in page
    assert {"comparison.png", "comparison.svg"} <= {each.name for each in folder.iterdir()}
    assert {each.name for each in (folder / "folds").glob("fast-*")} == {
        *("fast-1", "fast-2", "fast-random"),
    }
