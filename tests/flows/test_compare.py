import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from flows import compare
from flows.cli import run as command
from flows.cli.flags import DrawFlags, ImageFlags, MachineFlags, TrainingFlags
from flows.compare import CompareFlags, Contestants, contestant_flags, plan_all
from tests.conftest import REPOSITORY, make_tree

TINY = ["--image-size", "32", "--epochs", "1", "--batch-size", "8", "--device", "cpu"]
TINY += ["--arch", "resnext38_32x4d"]


def plans(
    store: Path, *recipes: str, split: DrawFlags = DrawFlags(), **training: object
) -> Contestants:
    return plan_all(
        recipes,
        CompareFlags(folds=3),
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
    assert list(found) == ["default", "seed"]
    default, seed = found.values()
    for one, other in zip(default, seed, strict=True):
        assert one.split.fold == other.split.fold
        assert one.split.strategy == other.split.strategy == "grouped"
        assert one.split.seed == other.split.seed
    assert [plan.split.fold for plan in default] == [(1, 3), (2, 3), (3, 3)]
    assert {plan.recipe.optimizer for plan in default} == {"adamw"}
    assert {plan.recipe.optimizer for plan in seed} == {"sgd"}
    assert {plan.recipe.image_size for plan in (*default, *seed)} == {64}


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
    assert compare.name_of(str(file)) == "mine"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "RECIPES must be at least two of different names, got none."),
        (["default"], "RECIPES must be at least two of different names, got default."),
        (["seed", "seed"], "RECIPES must be at least two of different names, got seed, seed."),
        (
            ["default", "best"],
            "RECIPES must be presets (default, seed, quick, transfer, finetune), arch",
        ),
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
    words = ["default", str(fast), "--folds", "2", "--data", str(data)]
    words += ["--store", str(tmp_path / "store"), *TINY]

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-W", "error", str(REPOSITORY / "flows" / "compare.py"), *words],
            capture_output=True, text=True, check=True, timeout=300,
            env=os.environ | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip

    first, again = run(), run()
    assert "fast, fold 2 of 2" in first.stderr
    assert "train     cached" not in first.stderr
    assert again.stderr.count("train     cached") == 4
    assert "compare   cached" in again.stderr

    (folder, _) = sorted((tmp_path / "store" / "runs").glob("*/"))
    table = pd.read_csv(folder / "comparison.csv")
    assert table["recipe"].tolist() == ["default", "fast"]
    assert table["n"].tolist() == [16, 16], "each photograph once, no copy of it"
    assert table["groups"].tolist() == [16, 16]
    tested = [
        set(pd.read_csv(fold / "predictions.csv").query("split == 'test'")["path"])
        for fold in sorted((folder / "folds").glob("default-*"))
    ]
    assert len(tested) == 2
    assert not tested[0] & tested[1]
    assert f"Comparison: {folder / 'comparison.csv'}" in first.stdout
