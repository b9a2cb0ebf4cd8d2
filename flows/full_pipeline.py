"""From class folders to a report, in stages.

$ python flows/full_pipeline.py --data FOLDER

The stages are scan, split, pack, train, predict, evaluate, explain, plot and report. Each keeps its
output as a cached artifact, so that what did not change is not computed again. With `--preset auto`
a stage `plan` chooses settings after the split. `--help` names the flags.
"""

import logging
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flows.cli import run as command
from flows.cli.flags import (
    AUTO,
    ConfigFile,
    DataFlags,
    EvaluationFlags,
    FoldFlags,
    MachineFlags,
    SplitFlags,
    TrainingFlags,
    group,
)

Stop = Literal[
    "scan", "split", "plan", "pack", "embed", "shortcuts", "train", "predict", "evaluate",
    "explain", "plot", "report",
]  # fmt: skip


BEFORE_REPORT = ("evaluate", "explain", "plot")
"""Stages after which a run may stop that needs no list of doubts."""


@group()
class RunFlags(MachineFlags):
    """Where and how to compute."""

    only: Stop | None = Field(None, description="stop after this stage [default: none]")
    with_probe: bool = Field(
        False,
        description="train a frozen probe (preset transfer, one view) on the same split besides, "
        "and say what it scores [default: off]",
    )
    find_doubts: bool = Field(
        False,
        description="compare the images by a frozen network, and list near-duplicates, groups, "
        "labels and images that a person should look at; of a probe it is always done "
        "[default: off]",
    )
    export: bool = Field(
        False,
        description="write model.onnx besides, which predicts without torch: see export.py "
        "[default: off]",
    )


def main(
    *,
    data: DataFlags = DataFlags(),
    split: SplitFlags = SplitFlags(),
    folds: FoldFlags = FoldFlags(),
    training: TrainingFlags = TrainingFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
    run: RunFlags = RunFlags(),
    config: ConfigFile = None,  # noqa: ARG001 - read by run_command, before the other flags
) -> None:
    """From class folders to a report, in stages.

    The stages are scan, split, pack, train, predict, evaluate, explain, plot and report.

    What did not change since an earlier run is not computed again.
    """
    if given_of(training).get("arch") == "list":
        return print(terminal.architectures())
    flags = (data, split, training, run, evaluation, folds)
    resolve(*flags)  # wrong input is said before a server is started
    return command.run_flow(full_pipeline, data, training, folds, run, split, evaluation)


if __name__ == "__main__":
    command.answer_help(main, name="full_pipeline.py")

from flows.cli import terminal
from flows.cli.plan import (
    Plan,
    build_recipe,
    given_of,
    name_of,
    require_positive,
    resolve,
)
from flows.serving.run_name import typed_or
from flows.training.auto import decided
from flows.training.measured import measured_compute, with_compute
from flows.training.networks import STANDS_FOR, train_networks
from flows.training.side_by_side import Prepared, apart, result_of
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_manifest, read_table
from resnext.data.demonstration import DemoSettings
from resnext.data.manifest.decisions import describe_decisions
from resnext.data.manifest.sources import list_sources
from resnext.data.split.settings import FoldSettings
from resnext.device import describe, plan_compute, probe_memory
from resnext.inference.calibration import read_calibration, rule_of
from resnext.inference.predictor import Execution
from tasks.audit import audit
from tasks.callbacks.history import add_tags
from tasks.callbacks.interrupts import never_amid_imports
from tasks.cover import cover
from tasks.cues import cues
from tasks.draw import IMAGES, draw
from tasks.drift import drift_of_batch, publish_drift
from tasks.embed import backbone_of, embed
from tasks.evaluate import evaluate
from tasks.explain import explain
from tasks.export import export
from tasks.find_doubts import find_doubts
from tasks.micro_batches import micro_batches, with_micro_batches
from tasks.pack import pack
from tasks.plot import plot
from tasks.predict_images import list_files, predict_images
from tasks.publish import publish
from tasks.reference import reference
from tasks.report import About, report
from tasks.scan import DECIDED, scan
from tasks.shortcuts import covered, shortcuts
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import MODEL, open_run, point_latest
from tasks.subgroups import attributes, subgroups

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.full_pipeline")  # also where this file is the program


@flow(
    name="full-pipeline",
    flow_run_name=lambda: typed_or(run_name()),
    persist_result=False,
    retries=0,
)
def full_pipeline(
    data: DataFlags = DataFlags(),
    training: TrainingFlags = TrainingFlags(),
    folds: FoldFlags = FoldFlags(),
    run: RunFlags = RunFlags(),
    split: SplitFlags = SplitFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
) -> State[Any]:
    """Train a classifier on class folders and report how good it is."""
    with command.flow_outcome() as outcome:
        plan = resolve(data, split, training, run, evaluation, folds)
        add_tags(plan.tags)
        outcome.state = Completed(message=run_pipeline(plan, flow_run.id))
    return outcome.state


def run_name() -> str:
    """Name a flow run by its images, its network, and where it stops, if it does."""
    given = flow_run.parameters
    groups = [given[name] for name in ("data", "training", "run") if given.get(name)]
    only = getattr(given.get("run"), "only", None)  # which a retraining has not
    return f"{name_of(*groups)}, only {only}" if only else name_of(*groups)


def run_pipeline(plan: Plan, name: str) -> str:
    """Run a plan in a run folder of its own; say in a line how good the network is.

    Raises:
        InputError: the images can't be used as they were asked to be.
    """
    with open_run(plan.store, name, plan.facts) as run:
        terminal.log_images(plan)
        runtime = with_images(plan.runtime(run))
        for artifact in pipeline_stages(plan, runtime):
            if STANDS_FOR.get(artifact.stage, artifact.stage) == plan.only:
                break
        if plan.only is None:
            point_latest(plan.store, run)
    add_tags(terminal.score_tags(run))
    return terminal.conclusion(run, plan)


def with_images(runtime: Runtime) -> Runtime:
    """Draw the demonstration set for a run that was given no images."""
    if runtime.data is not None:
        return runtime
    drawn = draw(runtime, DemoSettings())
    return runtime.model_copy(update={"data": drawn.folder / IMAGES})


def pipeline_stages(plan: Plan, runtime: Runtime) -> Iterator[Artifact]:
    """Run the stages, giving the artifacts in their order; plot runs beside explain."""
    yield (manifest := scan(runtime, plan.reading, plan.decisions))
    if plan.preset == AUTO and plan.only != "split":
        plan = yield from decided(plan, runtime, manifest)
    yield from stages_after_scan(plan, runtime, manifest)


def stages_after_scan(
    plan: Plan,
    runtime: Runtime,
    manifest: Artifact,
    note: Callable[[Artifact, Artifact], str] | None = None,
) -> Iterator[Artifact]:
    """Run all but the first stage, giving the artifacts in their order.

    `note` says, by manifest and split, what a reader of the report should know besides.
    """
    if plan.evaluation != EvaluationSettings():  # wrong input is said before hours of training
        labels = read_manifest(manifest.path("manifest.csv"))["label"]
        require_positive(plan.evaluation, sorted(set(labels)))
    if plan.decisions is not None:
        said = describe_decisions(read_table(manifest.path(DECIDED)))
        plan = replace(plan, notes=(*plan.notes, f"{said}."))
    parts = split(runtime, manifest, plan.split, *plan.tables)
    if plan.only == "split":
        again = f"{plan.command} --only split"
        audit(runtime, manifest, parts, plan.data_name, plan.data is None, again, plan.report)
    if note is not None:
        plan = replace(plan, notes=(*plan.notes, note(manifest, parts)))
    yield parts
    stated = plan.attributes and attributes(runtime, parts, plan.attributes)
    prepared = yield from prepare(plan, runtime, manifest, parts)
    pixels, recipe = prepared.pixels, prepared.recipe
    seen = cues(runtime, manifest, parts, pixels)
    yield (found := shortcuts(runtime, seen))
    plan = with_compute(plan, prepared.compute)
    model, predictions, shown, tested = yield from train_networks(plan, runtime, prepared)
    yield (scores := evaluate(runtime, predictions, plan.evaluation))
    if plan.with_probe and plan.only != "evaluate":
        said = score_of_probe(plan, runtime, manifest, parts)
        log.info(said, extra={"plain": True})
        plan = replace(plan, notes=(*plan.notes, said))
    doubts = None
    if (plan.find_doubts or recipe.method == "probe") and plan.only not in BEFORE_REPORT:
        yield (doubts := doubts_about(plan, runtime, prepared, predictions))
    with never_amid_imports():  # each of the two imports what it needs
        explaining = explain.submit(runtime, manifest, pixels, *shown, plan.compute)
        try:  # neither needs the other: plot runs beside it
            if plan.only != "explain":
                timed = plan.preset == "seed"
                figures = plot(runtime, parts, model, scores, timed, recipe.metric, recipe.keep)
            yield (explained := explaining.result())
            yield figures
        finally:
            explaining.wait()  # no stage outlives its run
    by_part = subgroups(runtime, predictions, seen, stated)
    networks = (*(each.model for each in tested),), (*(each.predictions for each in tested),)
    hidden = covered(
        runtime, predictions, cover(runtime, manifest, pixels, *networks, plan.compute)
    )
    made = (manifest, parts, model, scores, explained, figures)
    page = report(runtime, *made, about(plan), by_part, found, hidden, doubts)
    publish(plan.name, scores, figures, page, parts, model)
    yield page
    known = None
    if plan.folds.folds is None or recipe.method == "probe":
        given = (manifest, parts, pixels, model, plan.compute, prepared.features)
        yield (known := reference(runtime, *given))
    if plan.export:
        on_cpu = plan_compute("cpu")
        weights = model.only([MODEL])
        yield export(runtime, weights, scores, page, pixels, on_cpu, manifest, parts)
    if plan.predict is not None:
        tables = manifest, parts, predictions
        yield from _predict_new(runtime, plan.predict, model, plan, scores, tables, known)


def prepare(
    plan: Plan, runtime: Runtime, manifest: Artifact, parts: Artifact
) -> Generator[Artifact, None, Prepared]:
    """Run the stages between split and training."""
    recipe, features = plan.recipe, None
    yield (pixels := pack(runtime, manifest, recipe.image_size, fit=recipe.fit))
    compute = measured_compute(plan, runtime, parts)
    if recipe.method == "probe":
        backbone = backbone_of(recipe)
        features = embed(runtime, pixels, parts, backbone, compute, plan.weights)
        if plan.only == "embed":
            find_doubts(runtime, manifest, parts, pixels, features, None, *data_of(plan))
        yield features
    elif compute.device == "cuda":
        own = recipe.model_copy(update={"batch_size": -(-recipe.batch_size // plan.devices)})
        found = micro_batches(runtime, parts, own, compute, probe_memory())
        recipe = with_micro_batches(recipe, found)
    given = (manifest, parts, pixels, features, recipe, plan.weights, compute)
    return Prepared(*given, plan.devices)


def score_of_probe(plan: Plan, runtime: Runtime, manifest: Artifact, parts: Artifact) -> str:
    """Train and test a frozen probe on the same split; say in a sentence what it scores."""
    recipe = build_recipe({"views": "identity", "seed": plan.recipe.seed}, "transfer")
    probe = replace(plan, recipe=recipe, weights=None)
    own = apart(runtime, "probe", "probe")
    prepared = result_of(prepare(probe, own, manifest, parts))
    networks = result_of(train_networks(probe, own, prepared))
    scores = evaluate(own, networks.predictions, plan.evaluation)
    line = terminal.score_line(read_json(scores.path("metrics.json")))
    return f"A frozen probe ({recipe.arch}) on the same split: {line}"


def doubts_about(plan: Plan, runtime: Runtime, own: Prepared, predictions: Artifact) -> Artifact:
    """List what a person should look at; images of a network get features of a frozen one."""
    if own.features is None:
        recipe = build_recipe({"views": "identity"}, "transfer")
        probe = replace(plan, recipe=recipe, weights=None)
        place = apart(runtime, "doubts", "doubts")
        own = result_of(prepare(probe, place, own.manifest, own.split))
    assert own.features is not None
    given = own.manifest, own.split, own.pixels, own.features
    unseen = predictions if plan.folds.folds else None
    return find_doubts(runtime, *given, unseen, *data_of(plan))


def data_of(plan: Plan) -> tuple[str, bool]:
    """Say what the images are called, and whether they are drawn."""
    return plan.data_name, plan.data is None


def _predict_new(
    runtime: Runtime,
    source: Path,
    model: Artifact,
    plan: Plan,
    scores: Artifact,
    tables: tuple[Artifact, Artifact, Artifact],
    known: Artifact | None,
) -> Iterator[Artifact]:
    """Predict new images, and compare them with those of the model."""
    found = list_sources([source])
    files = list_files(found, runtime.run or runtime.store)
    calibration = read_calibration(scores.path("calibration.json"))
    execution = Execution(runtime="torch", compute=plan.compute).apart
    new = runtime.model_copy(update={"data": found.root})
    how = execution, calibration["temperature"], plan.reading, rule_of(calibration)
    yield (predicted := predict_images(new, files, model.only([MODEL]), *how, known))
    yield (drift := drift_of_batch(runtime, predicted, *tables))
    publish_drift(drift)


def fold_notes(folds: FoldSettings) -> tuple[str, ...]:
    """Say which model a cross-validation keeps, and what the report shows of which network."""
    kept = {
        "everything": "was trained once more by the same recipe, on the images of all folds",
        "ensemble": "answers with the mean probability of the networks of all folds",
    }
    if folds.folds is None:
        return ()
    return (
        f"The model that is kept {kept[folds.final]}. No image is left to test it: the score is "
        "that of the folds' networks, each of which learnt from fewer images.",
        "Heat maps explain the network of the first fold, on images that it had not seen.",
    )


def about(plan: Plan) -> About:
    """Gather the facts of a run for its report."""
    packages = ("torch", "torchvision", "pandas", "scipy", "prefect")
    return About(
        data_name=plan.data_name,
        synthetic=plan.data is None,
        architecture=plan.recipe.arch,
        command=plan.command,
        notes=(*plan.notes, *fold_notes(plan.folds)),
        report=plan.report,
        settings=tuple(
            (what.capitalize(), (*facts.items(),)) for what, facts in plan.flags_as_text().items()
        ),
        environment=(
            ("Computed on", describe(plan.compute)),
            ("Python", ".".join(map(str, sys.version_info[:3]))),
            *((name, version(name)) for name in packages),
        ),
    )


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="full_pipeline.py"))
