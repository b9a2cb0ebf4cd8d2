"""Train the networks of a plan: one on one split, or one for each fold and then the one to keep."""

import logging
from collections.abc import Generator
from dataclasses import replace
from typing import NamedTuple

from flows.cli.plan import Plan
from flows.training.side_by_side import (
    Network,
    Prepared,
    Tested,
    apart,
    share_of,
    train_and_test,
)
from resnext.training.recipe import with_settings
from tasks.ensemble import ensemble
from tasks.fold import fold
from tasks.pool import pool
from tasks.predict import predict
from tasks.stage.artifact import Artifact, Runtime
from tasks.train import train

log = logging.getLogger(__name__)

STANDS_FOR = {"ensemble": "train", "pool": "predict"}
"""Stages of folds, by that of one split whose place they take."""


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
        yield (model := train(runtime, *prepared.training))
        yield (predictions := predict(runtime, *prepared.testing(model)))
        return Networks(model, predictions, Tested(model, predictions))
    folds = [_of_fold(plan, runtime, prepared, *each) for each in plan.split.each_fold]
    tested = train_and_test(folds, plan.jobs)
    if plan.folds.final == "ensemble":
        model = ensemble(runtime, tuple(each.model for each in tested))
    else:
        log.info("the model that is kept, trained on all folds")
        model = train(runtime, *prepared.training)
    yield model
    pooled = pool(runtime, tuple(each.predictions for each in tested), plan.folds.folds)
    yield pooled
    return Networks(model, pooled, tested[0])


def _of_fold(plan: Plan, runtime: Runtime, prepared: Prepared, repeat: int, number: int) -> Network:
    """Prepare the network of one fold; its files get a folder of their own."""
    repeated = plan.folds.repeats > 1
    label = f"fold {repeat}.{number}" if repeated else f"fold {number}"
    own = apart(runtime, f"folds/{repeat}-{number}", label)
    recipe = with_settings(prepared.recipe, {"seed": prepared.recipe.seed + repeat - 1})
    compute = share_of(plan.compute, plan.folds.folds or 1)
    split = fold(own, prepared.split, repeat, number)
    of_fold = replace(prepared, split=split, recipe=recipe, compute=compute)
    return Network(own, of_fold)
