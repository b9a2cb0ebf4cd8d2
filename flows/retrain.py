"""Train anew when there is something new, and change the champion only for a better model.

$ python flows/retrain.py --data FOLDER

The first model becomes champion. Later ones, the challengers, keep its test part and are promoted
only where they are clearly better on it; `flows/models.py` lists all of them.
"""

import hashlib
import json
import logging
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from filelock import FileLock, Timeout

from flows import command, server, terminal
from flows.champion import differences, present, settings_of
from flows.decision import Judgement, conclude, judgement, say
from flows.flags import (
    DataFlags,
    DecisionFlags,
    DrawFlags,
    EvaluationFlags,
    MachineFlags,
    PictureFlags,
    RunFlags,
    ScheduleFlags,
    SplitFlags,
    TrainingFlags,
)
from flows.full_pipeline import (
    EVALUATION_GROUP,
    PICTURES_GROUP,
    RUN_GROUP,
    SPLIT_GROUP,
    TRAINING_GROUP,
    pipeline_stages,
    run_name,
    runtime_of,
)
from flows.plan import Plan, as_parameters, given_of, resolve
from flows.schedule import require_schedule, serve
from reports.evaluation.settings import DecisionSettings
from reports.words import plural
from resnext.card import read_card
from resnext.errors import InputError
from tasks import registry
from tasks.announce import announce_promotion
from tasks.history import add_tags
from tasks.orchestrator import Completed, State, flow, run_id
from tasks.registry import About, Version
from tasks.stage.artifact import Artifact
from tasks.stage.run import MODEL, open_run

log = logging.getLogger("flows.retrain")  # also where this file is the program

SCHEDULE_GROUP = Group.create_ordered("When to do it again")
DECISION_GROUP = Group.create_ordered("When a new model becomes champion")


@flow(
    name="retrain", flow_run_name=lambda: f"retrain {run_name()}", persist_result=False, retries=0
)
def retrain(
    data: PictureFlags = PictureFlags(),
    split: DrawFlags = DrawFlags(),
    training: TrainingFlags = TrainingFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
    decision: DecisionFlags = DecisionFlags(),
    run: MachineFlags = MachineFlags(),
) -> State[Any]:
    """Train a challenger if there is something new, and promote it if it is clearly better."""
    with command.wrong_input_fails_in_words() as outcome:
        plan = plan_retraining(data, split, training, evaluation, run)
        add_tags(["retrain", *plan.tags])
        settings = DecisionSettings(metric=decision.judge_by, margin=decision.margin)
        outcome.state = Completed(message=run_retraining(plan, settings, run_id()))
    return outcome.state


def plan_retraining(
    data: PictureFlags,
    split: DrawFlags,
    training: TrainingFlags,
    evaluation: EvaluationFlags,
    run: MachineFlags,
) -> Plan:
    """Plan a training whose split can be kept by later ones.

    Raises:
        InputError: it can't be planned, or asks for a split that can't be kept.
        pydantic.ValidationError: a value is out of bounds.
    """
    plan = resolve(
        DataFlags(**given_of(data)),
        SplitFlags(**given_of(split)),
        training,
        RunFlags(**given_of(run)),
        evaluation,
    )
    if plan.split.strategy not in ("grouped", "stratified"):
        raise InputError(
            f"--split must be grouped or stratified to retrain, got {plan.split.strategy}. Only "
            "such a test part can be kept: name one of them, or leave --preset seed out."
        )
    if plan.data is None:
        raise InputError(
            "--data must be a folder of class folders to retrain, got none. Name the folder."
        )
    return plan


def run_retraining(plan: Plan, settings: DecisionSettings, name: str) -> str:
    """Retrain if there is something new; say in a line what was decided.

    Raises:
        InputError: the champion is broken, or the pictures can't be used as they were asked to be.
    """
    with _alone(plan.store), open_run(plan.store, name, {"command": plan.command}) as run:
        runtime = runtime_of(plan, run)
        finished = _finish_promotion(plan.store)
        champion = present(plan.store)
        plan = plan if champion is None else _keeping(plan, champion)
        stages = pipeline_stages(plan, runtime)
        manifest = next(stages)
        basis = basis_of(manifest, plan, settings)
        if champion is not None and _judged(plan.store, basis):
            if finished:
                return say(f"version {finished.number} is champion: {finished.decision}")
            return say(f"nothing new; version {champion.number} stays champion")
        if champion is not None and (changed := differences(plan, champion)):
            log.warning(changed)
        parts = _divided(stages, champion)
        made = {artifact.stage: artifact for artifact in (manifest, parts, *stages)}
        judged = judgement(plan, runtime, champion, made, settings)
        version = registry.admit(plan.store, run, about_model(plan, run, made, judged, basis))
        if version.verdict == registry.BETTER:
            announce_promotion(plan.store, version, version.decision)
        add_tags([f"version {version.number}", *terminal.score_tags(run)])
        return conclude(plan.store, run, version)


def basis_of(manifest: Artifact, plan: Plan, settings: DecisionSettings) -> str:
    """Give what tells one retraining from another: pictures, recipe, split, how it is judged."""
    given = [plan.recipe, plan.split, plan.evaluation, settings]
    weights, groups = (each and each.files for each in (plan.weights, plan.tables.groups))
    facts = [manifest.files["manifest.csv"], weights, *(each.model_dump_json() for each in given)]
    facts += [groups] if groups else []
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _finish_promotion(store: Path) -> Version | None:
    """Promote the better model of a retraining that was killed before it could."""
    version = registry.finish_promotion(store)
    if version is not None:
        log.info("version %d was registered as better by a run that was killed", version.number)
        announce_promotion(store, version, version.decision)
    return version


def _divided(stages: Iterator[Artifact], champion: Version | None) -> Artifact:
    """Run the next stage, the split.

    Raises:
        InputError: the pictures can't be divided.
    """
    try:
        return next(stages)
    except InputError as error:
        broken = str(error).partition(". ")[0]
        if champion is None or not broken.startswith("keep_split "):
            raise
        raise InputError(  # of a flag that there is not for a retraining
            f"The split that is kept from version {champion.number}, the champion, "
            f"{broken.removeprefix('keep_split ')}. Put its pictures back, or begin anew without "
            "a champion: models.py retire."
        ) from error


def about_model(
    plan: Plan, run: Path, made: dict[str, Artifact], judged: Judgement, basis: str
) -> About:
    """Put together what the registry says of a model."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return About(
        data=plan.data_name,
        architecture=plan.recipe.arch,
        classes=read_card(made["train"].path(MODEL)).classes,
        score=terminal.balanced_accuracy(metrics),
        basis=basis,
        settings=settings_of(plan),
        **judged._asdict(),
    )


def _keeping(plan: Plan, champion: Version) -> Plan:
    """Keep the champion's parts, so that no test picture was in either's training.

    The report says how often they have served to choose a model, this time included.
    """
    table = registry.file_of(plan.store, champion, "split.csv")
    used = plural(len(registry.versions(plan.store)), "decision")  # all versions but the first
    note = (
        f"This test part has been used for {used} between models. Each choice by it makes its "
        "figures a little too good."
    )
    return replace(
        plan,
        tables=plan.tables.keeping(table),
        command=f"{plan.command} {shlex.join(['--keep-split', str(table)])}",
        notes=(note,),
    )


def _judged(store: Path, basis: str) -> bool:
    return any(version.basis == basis for version in registry.versions(store))


def _alone(store: Path) -> FileLock:
    """Give a lock that lets one retraining at a time into a store; a second one waits."""
    lock = FileLock(registry.folder_of(store) / "retrain.lock")
    try:
        lock.acquire(timeout=0)
        lock.release()
    except Timeout:
        log.info("waiting for another retraining in this store")
    return lock


def main(
    *,
    data: Annotated[PictureFlags, Parameter(name="*", group=PICTURES_GROUP)] = PictureFlags(),
    split: Annotated[DrawFlags, Parameter(name="*", group=SPLIT_GROUP)] = DrawFlags(),
    training: Annotated[TrainingFlags, Parameter(name="*", group=TRAINING_GROUP)] = TrainingFlags(),
    evaluation: Annotated[
        EvaluationFlags, Parameter(name="*", group=EVALUATION_GROUP)
    ] = EvaluationFlags(),
    decision: Annotated[DecisionFlags, Parameter(name="*", group=DECISION_GROUP)] = DecisionFlags(),
    run: Annotated[MachineFlags, Parameter(name="*", group=RUN_GROUP)] = MachineFlags(),
    schedule: Annotated[ScheduleFlags, Parameter(name="*", group=SCHEDULE_GROUP)] = ScheduleFlags(),
    config: Annotated[Path | None, Parameter(group=RUN_GROUP)] = None,  # noqa: ARG001 - read by run_command, before the other flags
) -> None:
    """Train anew when there is something new; change the champion only for a better model.

    Args:
        data: Which pictures.
        split: How they are divided, the first time.
        training: How the network is trained.
        evaluation: How it is evaluated.
        decision: When a new model becomes champion.
        run: Where and how to compute.
        schedule: When to do it again.
        config: TOML file with any of these settings; a flag wins over it [default: none].
    """
    plan = plan_retraining(data, split, training, evaluation, run)  # wrong input is said first
    require_schedule(schedule)
    terminal.show_only_our_lines()
    terminal.say_what_runs(plan)
    if schedule.serve:
        given = {"data": data, "split": split, "training": training, "evaluation": evaluation}
        serve(retrain, schedule, as_parameters(given | {"decision": decision, "run": run}))
        return
    with server.connected():
        command.run_flow(retrain, data, split, training, evaluation, decision, run)


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="retrain.py"))
