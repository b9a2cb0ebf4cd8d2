"""A search begins with the recipe, learns, ends hopeless trials early, and outlives a kill."""

from pathlib import Path

import optuna
import pytest

from resnext.contracts.errors import TrainingError
from resnext.training.callback import Callback
from resnext.training.checkpoints import EpochRow
from resnext.training.recipe import Recipe
from resnext.training.search import search

PROBE = Recipe(arch="tf_efficientnet_lite2", weights="bundled", method="probe", weight_decay=0.07)


class KilledError(Exception):
    """The process is gone."""


class Scorer:
    """Scores a recipe by how near its rate is to another one; dies at one of its trainings."""

    def __init__(self, dies_at: int = -1) -> None:
        self.tried: list[Recipe] = []
        self.dies_at = dies_at

    def __call__(self, recipe: Recipe, _follow: Callback) -> float:
        if len(self.tried) == self.dies_at:
            self.dies_at = -1
            raise KilledError
        self.tried.append(recipe)
        return -abs(recipe.lr - 5e-3)


def row(epoch: int, val_loss: float | None) -> EpochRow:
    return EpochRow(epoch, 0.1, 1.0, 0.5, val_loss, 0.5, 1.0, 1.0, "")


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(weight_decay=0.0, head_lr=0.01), PROBE])
def test_the_recipe_itself_is_tried_first_and_nothing_worse_is_chosen(
    recipe: Recipe, tmp_path: Path
) -> None:
    score = Scorer()
    found = search(recipe, 7, tmp_path / "study.db", score)
    assert score.tried[0] == recipe
    assert len(score.tried) == len(found["trials"]) == 7
    assert found["score"] == max(each["score"] for each in found["trials"])
    assert found["score"] >= found["trials"][0]["score"]
    assert set(found["settings"]) == set(recipe.searched)
    for each in score.tried:
        kept = {name: value for name, value in each if name not in recipe.searched}
        assert kept == {name: value for name, value in recipe if name not in recipe.searched}


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, parted = Scorer(), Scorer(dies_at=4)
    expected = search(Recipe(), 8, tmp_path / "a b?%.db", whole)
    with pytest.raises(KilledError):
        search(Recipe(), 8, tmp_path / "other.db", parted)
    assert search(Recipe(), 8, tmp_path / "other.db", parted) == expected
    assert parted.tried == whole.tried


class Epochs:
    """Trains four epochs whose losses hang on the rate; goes on where it was killed."""

    def __init__(self, dies_in: tuple[int, int] | None = None) -> None:
        self.number, self.dies_in, self.done = 0, dies_in, 0

    def __call__(self, recipe: Recipe, follow: Callback) -> float:
        for epoch in range(self.done + 1, 5):
            if (self.number, epoch) == self.dies_in:
                self.dies_in, self.done = None, epoch - 1
                raise KilledError
            try:
                follow.on_epoch(row(epoch, abs(recipe.lr - 2e-3) * 10 ** ((epoch * 7) % 5)))
            except optuna.TrialPruned:
                self.number, self.done = self.number + 1, 0
                raise
        self.number, self.done = self.number + 1, 0
        return -abs(recipe.lr - 5e-3)


@pytest.mark.parametrize("trial", [0, 3, 10])
def test_a_trial_that_was_killed_amid_its_epochs_is_pruned_by_the_same_losses(
    trial: int, tmp_path: Path
) -> None:
    expected = search(Recipe(), 14, tmp_path / "whole.db", Epochs())
    assert {each["ended"] for each in expected["trials"]} == {"scored", "pruned"}
    parted = Epochs(dies_in=(trial, 3))
    with pytest.raises(KilledError):
        search(Recipe(), 14, tmp_path / "parted.db", parted)
    assert search(Recipe(), 14, tmp_path / "parted.db", parted) == expected


def test_a_search_in_which_every_training_diverges_says_so(tmp_path: Path) -> None:
    def score(_recipe: Recipe, _follow: Callback) -> float:
        scores.append(0.0)
        if len(scores) == 1:
            return float("nan")
        raise TrainingError("the loss is not finite")

    scores: list[float] = []
    with pytest.raises(TrainingError, match=r"At least one of 3 trials .* Lower --lr"):
        search(Recipe(), 3, tmp_path / "study.db", score)
    assert len(scores) == 3


def test_a_finished_search_tries_nothing_more(tmp_path: Path) -> None:
    first, again = Scorer(), Scorer()
    found = search(Recipe(), 3, tmp_path / "study.db", first)
    assert search(Recipe(), 3, tmp_path / "study.db", again) == found
    assert again.tried == []


def test_a_hopeless_trial_ends_early_and_a_diverged_one_is_given_up(tmp_path: Path) -> None:
    tried: list[int] = []

    def score(_recipe: Recipe, follow: Callback) -> float:
        tried.append(1)
        follow.on_epoch(row(1, None))  # nothing was measured
        if len(tried) == 2:
            raise TrainingError("the loss is not finite")
        follow.on_epoch(row(1, 1.0 if len(tried) < 8 else 9.0))
        return 0.5 if len(tried) < 8 else 1.0

    found = search(Recipe(), 8, tmp_path / "study.db", score)
    assert [each["ended"] for each in found["trials"]] == [
        *("scored", "pruned", "scored", "scored", "scored", "scored", "scored", "pruned")
    ]
    assert found["score"] == 0.5
