"""Train the networks of a plan: one on one split, or one for each fold and then the one to keep."""

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from flows.cli.plan import Plan
from flows.training.side_by_side import processes
from resnext.device import Compute, count_gpus
from resnext.training.recipe import Recipe
from tasks.ensemble import ensemble
from tasks.fold import fold
from tasks.pool import pool
from tasks.predict import predict
from tasks.stage.artifact import Artifact, Runtime
from tasks.train import train

from prefect.futures import PrefectFuture

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
    weights: Artifact | None

    def training(self, compute: Compute) -> tuple[Any, ...]:
        """Give what `train` takes."""
        given = (self.manifest, self.split, self.pixels, self.recipe)
        return (*given, compute, self.weights, self.features)

    def testing(
        self, compute: Compute, model: Artifact | PrefectFuture[Artifact]
    ) -> tuple[Any, ...]:
        """Give what `predict` takes; the model may be one that is still being trained."""
        return (self.manifest, self.split, self.pixels, model, compute)


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
        model = train(runtime, *prepared.training(plan.compute))
        yield model
        predictions = predict(runtime, *prepared.testing(plan.compute, model))
        yield predictions
        return Networks(model, predictions, Tested(model, predictions))
    tested = train_and_test(
        plan, [_of_fold(plan, runtime, prepared, *each) for each in plan.split.each_fold]
    )
    if plan.folds.final == "ensemble":
        model = ensemble(runtime, tuple(each.model for each in tested))
    else:
        log.info("the model that is kept, trained on all folds")
        model = train(runtime, *prepared.training(plan.compute))
    yield model
    pooled = pool(runtime, tuple(each.predictions for each in tested), plan.folds.folds)
    yield pooled
    return Networks(model, pooled, tested[0])


def _of_fold(
    plan: Plan, runtime: Runtime, prepared: Prepared, repeat: int, number: int
) -> tuple[Runtime, Prepared]:
    """Prepare the network of one fold; its files get a folder of their own."""
    own = apart(runtime, f"{repeat}-{number}").model_copy(
        update={
            "label": f"fold {repeat}.{number}" if plan.folds.repeats > 1 else f"fold {number}",
            "epoch_lines": prepared.recipe.method != "probe",
        }
    )
    recipe = prepared.recipe.model_copy(update={"seed": prepared.recipe.seed + repeat - 1})
    split = fold(own, prepared.split, repeat, number)
    return own, replace(prepared, split=split, recipe=recipe)


def train_and_test(plan: Plan, networks: Sequence[tuple[Runtime, Prepared]]) -> list[Tested]:
    """Train and test networks, side by side where the machine bears it."""
    compute, jobs = plan.fold_compute, plan.side_by_side(len(networks))
    if jobs == 1:
        tested = []
        for own, given in networks:
            model = train(own, *given.training(compute))
            tested.append(Tested(model, predict(own, *given.testing(compute, model))))
        return tested
    log.info("%d networks, %d side by side", len(networks), jobs)
    with processes(jobs, count_gpus() if compute.device == "cuda" else 0) as runner:
        futures = []
        for own, given in networks:
            alone = own.model_copy(update={"progress_bar": False})
            training = train.submit_to(runner, alone, *given.training(compute))
            testing = predict.submit_to(runner, alone, *given.testing(compute, training))
            futures.append((training, testing))
        return [Tested(model.result(), answers.result()) for model, answers in futures]


def apart(runtime: Runtime, name: str) -> Runtime:
    """Give a network a folder of its own in that of the run."""
    folder = runtime.run and runtime.run / "folds" / name
    if folder:
        folder.mkdir(parents=True)
    return runtime.model_copy(update={"run": folder, "script_lines": False})
