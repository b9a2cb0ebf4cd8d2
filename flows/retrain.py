"""Train anew when there is something new, and change the champion only for a better model.

$ python flows/retrain.py --data FOLDER

The first model becomes champion of its classes. Later ones, the challengers, keep its test part and
are promoted only where they are clearly better on it; `flows/models.py` lists all of them.
`--registry NAME` keeps a champion under a name instead.
"""

import hashlib
import json
import logging
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from flows.cli import run as command
from flows.cli.flags import (
    ConfigFile,
    DecisionFlags,
    DrawFlags,
    EvaluationFlags,
    FoldFlags,
    ImageFlags,
    MachineFlags,
    ScheduleFlags,
    TrainingFlags,
)


def main(
    *,
    data: ImageFlags = ImageFlags(),
    split: DrawFlags = DrawFlags(),
    folds: FoldFlags = FoldFlags(),
    training: TrainingFlags = TrainingFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
    decision: DecisionFlags = DecisionFlags(),
    run: MachineFlags = MachineFlags(),
    schedule: ScheduleFlags = ScheduleFlags(),
    config: ConfigFile = None,  # noqa: ARG001 - read by run_command, before the other flags
) -> None:
    """Train anew when there is something new; change the champion only for a better model."""
    flags = (data, split, training, evaluation, decision, run, folds)
    plan_retraining(*flags)  # wrong input is said before a server is started
    require_schedule(schedule)
    if not schedule.serve:
        return command.run_flow(retrain, data, training, folds, run, decision, split, evaluation)
    terminal.show_only_our_lines()
    names = ("data", "split", "training", "evaluation", "decision", "run", "folds")
    given = (each.model_dump(mode="json") for each in flags)
    return serve(retrain, *schedule.when, dict(zip(names, given, strict=True)))


if __name__ == "__main__":
    command.answer_help(main, name="retrain.py")

from pydantic import BaseModel

from flows.cli import terminal
from flows.cli.plan import Plan, build, given_of, require_no_auto, resolve
from flows.full_pipeline import run_name
from flows.retraining.champion import intact_champion, tested_on_folds, warn_of_differences
from flows.retraining.decision import conclude, decide_on, log_sentence, note_of
from flows.serving.deployments import next_runs, serve
from flows.serving.run_name import typed_or
from flows.training.networks import STANDS_FOR
from flows.training.stages import stages_after_scan
from reports.evaluation.settings import DecisionSettings
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import share_with_interval
from resnext.contracts.tables import read_manifest
from resnext.models.model_file import read_card
from tasks.callbacks.history import add_tags
from tasks.registry.aliases import alias_flag, alias_to_beat, all_aliases, of_alias
from tasks.registry.announce import announce_promotion
from tasks.registry.promotion import BETTER, finish_promotion, register, require_champions_file
from tasks.registry.versions import About, Version, all_versions, version_file
from tasks.scan import DECIDED, scan
from tasks.stage.artifact import Artifact
from tasks.stage.key import fingerprint
from tasks.stage.runs import MODEL, REGISTRY, open_run, run_metrics
from tasks.stage.store import locked

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.retrain")  # also where this file is the program

DECIDING = ("split", "pack", "fold", "train", "ensemble", "predict", "pool", "decide")
"""Stages that a decision follows from."""


@flow(
    name="retrain",
    flow_run_name=lambda: typed_or(f"retrain {run_name()}"),
    persist_result=False,
    retries=0,
)
def retrain(
    data: ImageFlags = ImageFlags(),
    training: TrainingFlags = TrainingFlags(),
    folds: FoldFlags = FoldFlags(),
    run: MachineFlags = MachineFlags(),
    decision: DecisionFlags = DecisionFlags(),
    split: DrawFlags = DrawFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
) -> State[Any]:
    """Train a challenger if there is something new, and promote it if it is clearly better."""
    with command.flow_outcome() as outcome:
        plan = plan_retraining(data, split, training, evaluation, decision, run, folds)
        add_tags(["retrain", *plan.tags])
        outcome.state = Completed(message=run_retraining(plan, decision, flow_run.id))
    return outcome.state


def require_schedule(flags: ScheduleFlags) -> None:
    """Check when to run.

    Raises:
        InputError: it is no cron expression, the time zone is unknown, or nothing is to be served.
    """
    if flags.serve:
        next_runs("--cron", *flags.when)
        return
    for name in ("cron", "timezone"):
        if getattr(flags, name) is not None:
            raise InputError(f"--{name}", "go with --serve", "it alone", "Add --serve.")


def plan_retraining(*flags: BaseModel) -> Plan:
    """Plan a training whose split can be kept by later ones.

    Raises:
        InputError: it can't be planned, or asks for a split that can't be kept.
        pydantic.ValidationError: a value is out of bounds.
    """
    require_no_auto(*flags, program="retrain.py")
    plan = resolve(*flags, program="retrain.py")
    if plan.split.strategy not in ("grouped", "stratified"):
        rule = "be grouped or stratified to retrain"
        remedy = "Only such a test part can be kept: name one of them, or leave --preset seed out."
        raise InputError("split", rule, plan.split.strategy, remedy)
    if plan.data is None:
        rule = "be a folder of class folders to retrain"
        raise InputError("data", rule, "none", "Name the folder.")
    return plan


def run_retraining(plan: Plan, decision: DecisionFlags, name: str) -> str:
    """Retrain if there is something new; say in a line what was decided.

    Raises:
        InputError: the champion is broken, or the images can't be used as they were asked to be.
    """
    alone = locked(plan.store, REGISTRY, "retrain")  # a second retraining in this store waits
    with alone, open_run(plan.store, name, plan.facts) as run:
        terminal.log_images(plan)
        runtime = plan.runtime(run)
        finished = _finish_promotion(plan.store)
        require_champions_file(plan.store)
        manifest = scan(runtime, plan.reading, plan.decisions)
        classes = set(read_manifest(manifest.path("manifest.csv"))["label"])
        alias = alias_to_beat(all_aliases(plan.store), decision.registry, classes)
        champion = intact_champion(plan.store, alias)
        settings = build(DecisionSettings, given_of(decision))
        basis = basis_of(manifest, plan, settings)
        decided = {(each.registry, each.basis) for each in all_versions(plan.store)}
        if champion is not None and (decision.registry, basis) in decided:
            return log_sentence(_unchanged(champion, finished, of_alias(plan.store, alias)))
        note = None
        if champion is not None:
            warn_of_differences(plan, champion, classes)
            note = partial(note_of, plan.store)
        if champion is not None and not tested_on_folds(plan, champion):
            # No test image of the champion may be in the training of the other.
            table = version_file(plan.store, champion, "split.csv")
            again = f"{plan.command} {shlex.join(['--keep-split', str(table)])}"
            plan = replace(plan, tables=plan.tables.keeping(table), command=again)
        stages = stages_after_scan(plan, runtime, manifest, note)
        parts = _split(stages, champion, alias_flag(plan.store, alias))
        made = {STANDS_FOR.get(a.stage, a.stage): a for a in (manifest, parts, *stages)}
        about = About(
            data=plan.data_name,
            architecture=plan.recipe.arch,
            classes=read_card(made["train"].path(MODEL)).classes,
            score=share_with_interval(run_metrics(run), "balanced_accuracy"),
            basis=basis,
            registry=decision.registry,
            settings=plan.settings_as_text(),
            **decide_on(plan, runtime, champion, made, settings),
        )
        version = register(plan.store, run, about)
        if version.verdict == BETTER:
            announce_promotion(plan.store, version, version.decision)
        add_tags([f"version {version.number}", *terminal.score_tags(run)])
        return conclude(plan.store, run, version)


def _unchanged(champion: Version, finished: Version | None, whose: str) -> str:
    """Say that there is nothing to do, or that what a killed run left undone is done."""
    if finished is not None and finished.number == champion.number:
        return f"version {finished.number} is champion{whose}: {finished.decision}"
    return f"nothing new; version {champion.number} stays champion{whose}"


def basis_of(manifest: Artifact, plan: Plan, settings: DecisionSettings) -> str:
    """Give what tells one retraining from another: images, recipe, split, how it is decided.

    So do the code of the stages behind the decision and the versions of the libraries, as in
    their cache keys: messages don't count, nor does the machine.
    """
    given = [plan.recipe, plan.split, plan.folds, plan.evaluation, settings]
    weights, groups = (each and each.files for each in (plan.weights, plan.tables.groups))
    facts = [manifest.files["manifest.csv"], weights, *(each.model_dump_json() for each in given)]
    facts += [groups] if groups else []
    facts += [manifest.files[DECIDED]] if plan.decisions else []
    code = [asdict(fingerprint(f"tasks.{stage}")) for stage in DECIDING]
    text = json.dumps([facts, code, sys.version_info[:2]])
    return hashlib.sha256(text.encode()).hexdigest()


def _finish_promotion(store: Path) -> Version | None:
    """Promote the better model of a retraining that was killed before it could."""
    version = finish_promotion(store)
    if version is not None:
        log.info("version %d was registered as better by a run that was killed", version.number)
        announce_promotion(store, version, version.decision)
    return version


def _split(stages: Iterator[Artifact], champion: Version | None, flag: str) -> Artifact:
    """Run the next stage, the split; `flag` names the champion where there are several.

    Raises:
        InputError: the images can't be split.
    """
    try:
        return next(stages)
    except InputError as error:
        if champion is None or error.argument != "keep_split":
            raise
        whose = f"The split that is kept from version {champion.number}, the champion,"
        retire = f"begin anew without a champion: models.py retire{flag}"
        raise InputError(  # of a flag that there is not for a retraining
            whose, error.rule, error.got, f"Put its images back, or {retire}."
        ) from error


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="retrain.py"))
