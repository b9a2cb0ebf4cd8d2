"""Predictions go to their recipes, seeds and folds, and no clock time is in a digest."""

from pathlib import Path

import pandas as pd

from resnext.contracts.json_files import write_json
from resnext.contracts.tables import read_table, write_rate, write_table
from tasks.compare import AboutComparison, compare, show_comparison
from tasks.stage.artifact import Artifact, Runtime
from tests.reports.evaluation.test_comparison import predictions


def files(folder: Path, answers: str, first: int = 0) -> Artifact:
    """One training's predictions and clocks."""
    folder.mkdir(parents=True)
    write_table(predictions(answers, first=first), folder / "predictions.csv")
    return Artifact.of_file(folder / "predictions.csv")


def clocked(folder: Path, seconds: float) -> Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame({"epoch": [1], "seconds": [seconds]}), folder / "timing.csv")
    write_rate(folder / "prediction_timing.csv", 10, seconds)
    clocks = ("timing.csv", "prediction_timing.csv")
    return Artifact(stage="train", key="k", folder=folder, files={}, clock_files=clocks)


def size(folder: Path) -> Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    write_json({"parameters": 1_000_000, "multiply_adds": 2_000_000}, folder / "size.json")
    return Artifact.of_file(folder / "size.json")


def compared(root: Path) -> Artifact:
    """Two recipes of two seeds of two folds: the second recipe's second seed is all wrong."""
    right, wrong = "ab" * 5, "ba" * 5
    answers = {"x0": right, "x1": right, "y0": right, "y1": wrong}
    folds = tuple(
        files(root / f"{name}-{fold}", said, first=10 * fold)
        for name, said in answers.items()
        for fold in range(2)
    )
    random = tuple(files(root / f"{name}-random", right) for name in answers)
    return compare.fn(Runtime(store=root / "store"), ("x", "y"), folds, 2, random)


def shown(root: Path, scores: Artifact, seconds: float) -> Artifact:
    about = AboutComparison(
        data_name="images", synthetic=False, command="compare.py x y", grouped=True,
        recipes=(("x", (("--lr", "1"),)), ("y", (("--lr", "2"),))), environment=(),
    )  # fmt: skip
    trained = tuple(clocked(root / f"clock{number}", seconds) for number in range(8))
    sizes = (size(root), size(root))
    given = (scores, sizes, trained, trained, (None, None), about)
    return show_comparison.fn(Runtime(store=root / "store"), *given)


def test_predictions_go_to_their_recipes_seeds_and_folds(tmp_path: Path) -> None:
    table = read_table(compared(tmp_path).path("comparison_scores.csv"))
    assert table["recipe"].tolist() == ["x", "y"]
    assert table[["n", "seeds"]].to_numpy().tolist() == [[20, 2], [20, 2]]
    assert table["accuracy"].tolist() == [1.0, 0.5]
    assert table["random_accuracy"].tolist() == [1.0, 1.0]
    assert table["seed_spread"].tolist() == [0.0, 0.5**0.5]


def test_minutes_and_rates_are_in_no_digest(tmp_path: Path) -> None:
    scores = compared(tmp_path)
    first = shown(tmp_path, scores, 6.0)
    table = read_table(first.path("comparison.csv"))
    assert table["minutes"].tolist() == [0.4, 0.4], "of four trainings"
    assert first.files == {}
    assert shown(tmp_path, scores, 7.0).key == first.key
