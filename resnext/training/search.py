"""Search the settings of a recipe that matter most: trials, each scored by whoever calls.

The first trial is the recipe as it is, so that the search chooses nothing that scored worse. The
others are drawn by optuna's tree of Parzen estimators, from a seed that follows from how many there
were before. So a search that was killed goes on as if it had not been; the trial that was under way
is made again.

Source: Bergstra et al. 2011, https://papers.nips.cc/paper/4443
Source: https://optuna.readthedocs.io (the median rule that stops hopeless trials early)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import URL

from resnext.contracts.errors import TrainingError
from resnext.training.callback import Callback
from resnext.training.checkpoints import EpochRow
from resnext.training.recipe import Recipe, with_settings

REPORTED = "reported"
"""What a killed trial had reported of its epochs already."""

Score = Callable[[Recipe, Callback], float]
"""Trains by a recipe, followed by a callback that may end it, and scores; higher is better."""
NAME = "recipe"
AROUND = 10
"""The learning rate is searched so many times below and above the recipe's own."""
WEIGHT_DECAYS = (0.0, 1e-4, 1e-3, 0.01, 0.05, 0.2)
AUGMENTS = ("none", "flips", "full")
RANDOM_TRIALS = 5
"""So many trials are drawn at random, and run to their end, before others are learnt from."""


class Pruning(Callback):
    """End a trial whose validation loss is above the median of those before it."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def on_epoch(self, row: EpochRow) -> None:
        """Report the loss, where one was measured."""
        if row.val_loss is None:
            return
        self.trial.report(-row.val_loss, row.epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def search(recipe: Recipe, trials: int, study_file: Path, score: Score) -> dict[str, Any]:
    """Try so many settings; give the best (`settings`, `score`) and all of them (`trials`).

    Args:
        recipe: Where the search begins.
        trials: How many trials there are in all, those of a search that was killed counted.
        study_file: SQLite file that the trials are kept in.
        score: See `Score`. A training that diverges is given up, and so is a score of NaN.

    Raises:
        TrainingError: every trial was given up.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    address = URL.create("sqlite", database=str(study_file)).render_as_string()
    storage = optuna.storages.RDBStorage(address)
    try:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=RANDOM_TRIALS)
        study = optuna.create_study(
            storage=storage, study_name=NAME, direction="maximize", pruner=pruner,
            load_if_exists=True,
        )  # fmt: skip
        _take_up(study, recipe)
        while (done := len(_finished(study))) < trials:
            study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=RANDOM_TRIALS, seed=recipe.seed + done
            )
            _try(study, study.ask(), recipe, score)
        if not study.get_trials(states=[TrialState.COMPLETE]):
            raise TrainingError(
                f"At least one of {trials} trials must come to a score, got none: every training "
                "diverged. Lower --lr, or leave --trials out."
            )
        best = study.best_trial
        listed = [_facts(trial) for trial in _finished(study)]
        return {"settings": dict(best.params), "score": best.value, "trials": listed}
    finally:
        storage.remove_session()
        storage.engine.dispose()


def suggest(trial: Trial, recipe: Recipe) -> dict[str, Any]:
    """Draw those settings of a trial that `Recipe.searched` names."""
    low, high = recipe.lr / AROUND, min(10.0, recipe.lr * AROUND)
    decays = sorted({*WEIGHT_DECAYS, recipe.weight_decay})
    found: dict[str, Any] = {
        "lr": trial.suggest_float("lr", low, high, log=True),
        "weight_decay": trial.suggest_categorical("weight_decay", decays),
    }
    if recipe.method == "probe":
        most = max(0.3, recipe.label_smoothing)
        return found | {
            "epochs": trial.suggest_int("epochs", max(1, recipe.epochs // 3), 3 * recipe.epochs),
            "label_smoothing": trial.suggest_float("label_smoothing", 0.0, most),
        }
    low, high = min(0.05, recipe.head_lr), max(10.0, recipe.head_lr)
    return found | {
        "augment": trial.suggest_categorical("augment", AUGMENTS),
        "head_lr": trial.suggest_float("head_lr", low, high, log=True),
    }


def _take_up(study: optuna.Study, recipe: Recipe) -> None:
    """Begin with the recipe's own settings; make again what was under way when it was killed."""
    if not study.trials:
        study.enqueue_trial({name: getattr(recipe, name) for name in recipe.searched})
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(
            trial.params or trial.system_attrs.get("fixed_params", {}),
            user_attrs={REPORTED: {str(k): v for k, v in trial.intermediate_values.items()}},
        )


def _try(study: optuna.Study, trial: Trial, recipe: Recipe, score: Score) -> None:
    """Make one trial, to its end or until it is given up."""
    tried = with_settings(recipe, suggest(trial, recipe))
    for epoch, value in trial.user_attrs.get(REPORTED, {}).items():
        trial.report(value, int(epoch))  # its training goes on behind these epochs
    try:
        found = score(tried, Pruning(trial))
        if math.isnan(found):
            raise optuna.TrialPruned
        study.tell(trial, found)
    except (optuna.TrialPruned, TrainingError):
        study.tell(trial, state=TrialState.PRUNED)


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def _facts(trial: FrozenTrial) -> dict[str, Any]:
    ended = "pruned" if trial.state == TrialState.PRUNED else "scored"
    score = trial.value if ended == "scored" else None
    return {"ended": ended, "score": score, "settings": dict(trial.params)}
