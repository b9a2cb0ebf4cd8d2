"""The stages of a run after its scan, in their order, for full_pipeline.py and retrain.py."""

import logging
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from flows.cli import terminal
from flows.cli.plan import Plan, build_recipe, require_positive
from flows.training.measured import measured_compute, with_compute
from flows.training.networks import Networks, train_networks
from flows.training.side_by_side import Prepared, apart, result_of
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_manifest, read_table
from resnext.data.manifest.decisions import describe_decisions
from resnext.data.manifest.sources import list_sources
from resnext.data.split.settings import FoldSettings
from resnext.device import describe, plan_compute, probe_memory
from resnext.inference.calibration import read_calibration, rule_of
from resnext.inference.execution import Execution
from tasks.audit import audit
from tasks.callbacks.interrupts import never_amid_imports
from tasks.cover import cover
from tasks.cues import cues
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
from tasks.scan import DECIDED
from tasks.shortcuts import covered, shortcuts
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.key import fingerprint
from tasks.stage.runs import MODEL
from tasks.subgroups import attributes, subgroups

log = logging.getLogger(__name__)

BEFORE_REPORT = ("evaluate", "explain", "plot")
"""Stages after which a run may stop that needs no list of doubts."""


class Trained(NamedTuple):
    """What the stages up to the score give."""

    prepared: Prepared
    networks: Networks
    scores: Artifact


def stages_after_scan(
    plan: Plan,
    runtime: Runtime,
    manifest: Artifact,
    note: Callable[[Artifact, Artifact], str] | None = None,
) -> Iterator[Artifact]:
    """Run all but the first stage, giving the artifacts in their order.

    `note` says, by manifest and split, what a reader of the report should know besides.
    """
    plan = _with_decisions(plan, manifest)
    parts = split(runtime, manifest, plan.split, *plan.tables)
    if plan.only == "split":
        again = f"{plan.command} --only split"
        audit(runtime, manifest, parts, *data_of(plan), again, plan.report)
    if note is not None:
        plan = _noting(plan, note(manifest, parts))
    yield parts
    stated = plan.attributes and attributes(runtime, parts, plan.attributes)
    prepared = yield from prepare(plan, runtime, manifest, parts)
    plan = with_compute(plan, prepared.compute)
    seen = cues(runtime, manifest, parts, prepared.pixels)
    yield (found := shortcuts(runtime, seen))
    networks = yield from train_networks(plan, runtime, prepared)
    yield (scores := evaluate(runtime, networks.predictions, plan.evaluation))
    if plan.with_probe and plan.only != "evaluate":
        said = score_of_probe(plan, runtime, manifest, parts)
        log.info(said, extra={"plain": True})
        plan = _noting(plan, said)
    trained = Trained(prepared, networks, scores)
    page = yield from _report_stages(plan, runtime, trained, seen, found, stated)
    yield from _stages_after_report(plan, runtime, trained, page)


def _with_decisions(plan: Plan, manifest: Artifact) -> Plan:
    """Note what a person decided of the images; wrong input is said before hours of training."""
    if plan.evaluation != EvaluationSettings():
        labels = read_manifest(manifest.path("manifest.csv"))["label"]
        require_positive(plan.evaluation, sorted(set(labels)))
    if plan.decisions is None:
        return plan
    return _noting(plan, f"{describe_decisions(read_table(manifest.path(DECIDED)))}.")


def _noting(plan: Plan, note: str) -> Plan:
    return replace(plan, notes=(*plan.notes, note))


def _report_stages(
    plan: Plan,
    runtime: Runtime,
    trained: Trained,
    seen: Artifact,
    found: Artifact,
    stated: Artifact | None,
) -> Generator[Artifact, None, Artifact]:
    """Run the stages from the score to the report, which is returned too.

    `seen` are the cues, `found` the shortcuts among them, `stated` the attributes of the images.
    """
    (own, networks, scores), doubts = trained, None
    model, predictions, shown, tested = networks
    if (plan.find_doubts or own.recipe.method == "probe") and plan.only not in BEFORE_REPORT:
        yield (doubts := doubts_about(plan, runtime, own, predictions))
    with never_amid_imports():  # each of the two imports what it needs
        fingerprint("tasks.plot")  # now: explain imports torch, which parses code too
        explaining = explain.submit(runtime, own.manifest, own.pixels, *shown, plan.compute)
        try:  # neither needs the other: plot runs beside it
            if plan.only != "explain":
                how = plan.preset == "seed", own.recipe.metric, own.recipe.keep
                figures = plot(runtime, own.split, model, scores, *how)
            yield (explained := explaining.result())
            yield figures
        finally:
            explaining.wait()  # no stage outlives its run
    by_part = subgroups(runtime, predictions, seen, stated)
    each = (*(one.model for one in tested),), (*(one.predictions for one in tested),)
    masked = cover(runtime, own.manifest, own.pixels, *each, plan.compute)
    made = (own.manifest, own.split, model, scores, explained, figures, about(plan))
    hidden = covered(runtime, predictions, masked)
    beside = by_part, found, hidden, doubts
    page = report(runtime, *made, *beside)
    publish(plan.name, page, model, *made, *beside)
    yield page
    return page


def _stages_after_report(
    plan: Plan, runtime: Runtime, trained: Trained, page: Artifact
) -> Iterator[Artifact]:
    """Keep what new images are compared with; export the model and predict where it is asked."""
    (own, networks, scores), known = trained, None
    model = networks.model
    if plan.folds.folds is None or own.recipe.method == "probe":
        given = (own.manifest, own.split, own.pixels, model, plan.compute, own.features)
        yield (known := reference(runtime, *given))
    if plan.export:
        of_model = model.only([MODEL]), scores, page, own.pixels
        yield export(runtime, *of_model, plan_compute("cpu"), own.manifest, own.split)
    if plan.predict is not None:
        tables = own.manifest, own.split, networks.predictions
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
