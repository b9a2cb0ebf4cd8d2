"""Train the networks of a plan: one on one split, or one for each fold and then the one to keep."""

import logging
from collections.abc import Generator, Iterator
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
    tested: tuple[Tested, ...]
    """That network alone, or those of the first repeat's folds."""


def train_networks(
    plan: Plan, runtime: Runtime, prepared: Prepared
) -> Generator[Artifact, None, Networks]:
    """Train and test, giving the model that is kept and all answers, which are returned too."""
    if plan.folds.folds is None:
        yield (model := train(runtime, *prepared.training))
        yield (predictions := predict(runtime, *prepared.testing(model)))
        alone = Tested(model, predictions)
        return Networks(model, predictions, alone, (alone,))
    tested = train_and_test([*_of_plan(plan, runtime, prepared)], plan.jobs)
    if plan.folds.final == "ensemble":
        model = ensemble(runtime, tuple(each.model for each in tested))
    else:
        log.info("the model that is kept, trained on all folds")
        model = train(runtime, *prepared.training)
    yield model
    pooled = pool(runtime, tuple(each.predictions for each in tested), plan.folds.folds)
    yield pooled
    return Networks(model, pooled, tested[0], tuple(tested[: plan.folds.folds]))


def of_fold(runtime: Runtime, prepared: Prepared, folds: int, repeat: int, number: int) -> Network:
    """Give the network of one fold, which is computed by its share of the machine."""
    split = fold(runtime, prepared.split, repeat, number)
    compute = share_of(prepared.compute, folds)
    return Network(runtime, replace(prepared, split=split, compute=compute))


def _of_plan(plan: Plan, runtime: Runtime, prepared: Prepared) -> Iterator[Network]:
    """Prepare the network of each fold; its files get a folder of their own."""
    for repeat, number in plan.split.each_fold:
        label = f"fold {repeat}.{number}" if plan.folds.repeats > 1 else f"fold {number}"
        own = apart(runtime, f"folds/{repeat}-{number}", label)
        seeded = prepared.with_recipe({"seed": prepared.recipe.seed + repeat - 1})
        yield of_fold(own, seeded, plan.folds.folds or 1, repeat, number)
