"""Train the networks of a plan: one on one split, or one for each fold and then the one to keep."""

import logging
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import NamedTuple

from flows.cli.plan import Plan
from resnext.training.recipe import Recipe
from tasks.ensemble import ensemble
from tasks.fold import fold
from tasks.pool import pool
from tasks.predict import predict
from tasks.stage.artifact import Artifact, Runtime
from tasks.train import train

log = logging.getLogger(__name__)

STANDS_FOR = {"ensemble": "train", "pool": "predict"}
"""Stages of folds, by that of one split whose place they take."""


@dataclass(frozen=True)
class Prepared:
    """What a network is trained with."""

    manifest: Artifact
    split: Artifact
    pixels: Artifact
    features: Artifact | None
    """Those of the frozen network, for a probe alone."""
    recipe: Recipe


class Tested(NamedTuple):
    """A model with its answers to images that it was not trained on."""

    model: Artifact
    predictions: Artifact


class Networks(NamedTuple):
    """What a plan's training gives."""

    model: Artifact
    """The one that is kept."""
    predictions: Artifact
    """The answers to held-out images: of that model, or of the networks of all folds."""
    explained: Tested
    """The network whose answers heat maps explain."""


def train_networks(
    plan: Plan, runtime: Runtime, prepared: Prepared
) -> Generator[Artifact, None, Networks]:
    """Train and test, giving the model that is kept and all answers, which are returned too."""
    if plan.folds.folds is None:
        model = _train(plan, runtime, prepared)
        yield model
        predictions = _test(plan, runtime, prepared, model)
        yield predictions
        return Networks(model, predictions, Tested(model, predictions))
    tested = [_test_on_fold(plan, runtime, prepared, *each) for each in plan.split.each_fold]
    if plan.folds.final == "ensemble":
        model = ensemble(runtime, tuple(each.model for each in tested))
    else:
        log.info("the model that is kept, trained on all folds")
        model = _train(plan, runtime, prepared)
    yield model
    pooled = pool(runtime, tuple(each.predictions for each in tested), plan.folds.folds)
    yield pooled
    return Networks(model, pooled, tested[0])


def _test_on_fold(
    plan: Plan, runtime: Runtime, prepared: Prepared, repeat: int, number: int
) -> Tested:
    """Train and test the network of one fold; its files get a folder of their own."""
    of_repeat = f" of repeat {repeat} of {plan.folds.repeats}" if plan.folds.repeats > 1 else ""
    log.info("fold %d of %d%s", number, plan.folds.folds, of_repeat)
    folder = runtime.run and runtime.run / "folds" / f"{repeat}-{number}"
    if folder:
        folder.mkdir(parents=True)
    own = runtime.model_copy(update={"run": folder, "script_lines": False, "epoch_lines": False})
    recipe = prepared.recipe.model_copy(update={"seed": prepared.recipe.seed + repeat - 1})
    split = fold(own, prepared.split, repeat, number)
    of_fold = replace(prepared, split=split, recipe=recipe)
    model = _train(plan, own, of_fold)
    return Tested(model, _test(plan, own, of_fold, model))


def _train(plan: Plan, runtime: Runtime, given: Prepared) -> Artifact:
    return train(
        runtime, given.manifest, given.split, given.pixels, given.recipe, plan.compute,
        plan.weights, given.features,
    )  # fmt: skip


def _test(plan: Plan, runtime: Runtime, given: Prepared, model: Artifact) -> Artifact:
    return predict(runtime, given.manifest, given.split, given.pixels, model, plan.compute)
