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
from typing import Annotated, Any

from cyclopts import Group, Parameter
from filelock import FileLock, Timeout

from flows.cli import run as command
from flows.cli import terminal
from flows.cli.command_line import command_line
from flows.cli.flags import (
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
from flows.cli.plan import Plan, as_parameters, given_of, resolve
from flows.full_pipeline import (
    EVALUATION_GROUP,
    PICTURES_GROUP,
    RUN_GROUP,
    SPLIT_GROUP,
    TRAINING_GROUP,
    run_name,
    runtime_of,
    stages_after_scan,
)
from flows.retraining.champion import differences, present, require_sound, settings_of
from flows.retraining.decision import Judgement, conclude, judgement, note_of, say
from flows.serving import server
from flows.serving.schedule import require_schedule, serve
from reports.evaluation.settings import DecisionSettings
from resnext.contracts.errors import InputError
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_manifest
from resnext.models.model_file import read_card
from tasks.callbacks.history import add_tags
from tasks.orchestrator import Completed, State, flow, run_id
from tasks.registry import registry
from tasks.registry.announce import announce_promotion
from tasks.registry.registry import About, Version
from tasks.scan import scan
from tasks.stage.artifact import Artifact
from tasks.stage.key import fingerprint
from tasks.stage.runs import MODEL, open_run

log = logging.getLogger("flows.retrain")  # also where this file is the program

DECIDING = ("split", "pack", "train", "predict", "decide")  # stages that a decision follows from
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
        asked = command_line("retrain.py", data, split, training, evaluation, decision, run)
        plan = replace(plan, asked=asked)
        outcome.state = Completed(message=run_retraining(plan, decision, run_id()))
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
            "split",
            "be grouped or stratified to retrain",
            plan.split.strategy,
            "Only such a test part can be kept: name one of them, or leave --preset seed out.",
        )
    if plan.data is None:
        raise InputError(
            "data",
            "be a folder of class folders to retrain",
            "none",
            "Name the folder.",
        )
    return plan


def run_retraining(plan: Plan, decision: DecisionFlags, name: str) -> str:
    """Retrain if there is something new; say in a line what was decided.

    Raises:
        InputError: the champion is broken, or the pictures can't be used as they were asked to be.
    """
    asked = {"command": plan.asked, "data": plan.data_name}
    with _alone(plan.store), open_run(plan.store, name, asked) as run:
        runtime = runtime_of(plan, run)
        finished = _finish_promotion(plan.store)
        require_sound(plan, decision.registry)
        manifest = scan(runtime, plan.reading)
        classes = set(read_manifest(manifest.path("manifest.csv"))["label"])
        rival = registry.judged_in(registry.pointers(plan.store), decision.registry, classes)
        champion = present(plan.store, rival)
        settings = DecisionSettings(metric=decision.judge_by, margin=decision.margin)
        basis = basis_of(manifest, plan, settings)
        if champion is not None and _judged(plan.store, decision.registry, basis):
            return say(_unchanged(champion, finished, registry.whose(plan.store, rival)))
        if champion is not None:
            _warn(plan, champion, classes)
            plan = _keeping(plan, champion)
        note = None if champion is None else partial(note_of, plan.store)
        stages = stages_after_scan(plan, runtime, manifest, note)
        parts = _divided(stages, champion, registry.to_type(plan.store, rival))
        made = {artifact.stage: artifact for artifact in (manifest, parts, *stages)}
        judged = judgement(plan, runtime, champion, made, settings)
        about = about_model(plan, run, made, judged, basis, decision.registry)
        version = registry.admit(plan.store, run, about)
        if version.verdict == registry.BETTER:
            announce_promotion(plan.store, version, version.decision)
        add_tags([f"version {version.number}", *terminal.score_tags(run)])
        return conclude(plan.store, run, version)


def _unchanged(champion: Version, finished: Version | None, whose: str) -> str:
    """Say that there is nothing to do, or that what a killed run left undone is done."""
    if finished is not None and finished.number == champion.number:
        return f"version {finished.number} is champion{whose}: {finished.decision}"
    return f"nothing new; version {champion.number} stays champion{whose}"


def _warn(plan: Plan, champion: Version, classes: set[str]) -> None:
    """Say what is other than with the champion: the settings, or the classes."""
    if changed := differences(plan, champion):
        log.warning(changed)
    if classes != {*champion.classes}:
        log.warning(
            "the classes are %s, and those of the champion (version %d) are %s. A model of other "
            "classes is never promoted by itself. Promote it by hand (models.py promote N), or "
            "name a champion of its own: --registry NAME",
            registry.label_of(None, [*classes]), champion.number,
            registry.label_of(None, champion.classes),
        )  # fmt: skip


def basis_of(manifest: Artifact, plan: Plan, settings: DecisionSettings) -> str:
    """Give what tells one retraining from another: pictures, recipe, split, how it is judged.

    So do the code of the stages behind the decision and the versions of the libraries, as in
    their cache keys: messages don't count, nor does the machine.
    """
    given = [plan.recipe, plan.split, plan.evaluation, settings]
    weights, groups = (each and each.files for each in (plan.weights, plan.tables.groups))
    facts = [manifest.files["manifest.csv"], weights, *(each.model_dump_json() for each in given)]
    facts += [groups] if groups else []
    code = [asdict(fingerprint(f"tasks.{stage}")) for stage in DECIDING]
    text = json.dumps([facts, code, sys.version_info[:2]])
    return hashlib.sha256(text.encode()).hexdigest()


def _finish_promotion(store: Path) -> Version | None:
    """Promote the better model of a retraining that was killed before it could."""
    version = registry.finish_promotion(store)
    if version is not None:
        log.info("version %d was registered as better by a run that was killed", version.number)
        announce_promotion(store, version, version.decision)
    return version


def _divided(stages: Iterator[Artifact], champion: Version | None, flag: str) -> Artifact:
    """Run the next stage, the split; `flag` names the champion where there are several.

    Raises:
        InputError: the pictures can't be divided.
    """
    try:
        return next(stages)
    except InputError as error:
        if champion is None or error.argument != "keep_split":
            raise
        raise InputError(  # of a flag that there is not for a retraining
            f"The split that is kept from version {champion.number}, the champion,",
            error.rule,
            error.got,
            f"Put its pictures back, or begin anew without a champion: models.py retire{flag}.",
        ) from error


def about_model(
    plan: Plan,
    run: Path,
    made: dict[str, Artifact],
    judged: Judgement,
    basis: str,
    name: str | None,
) -> About:
    """Put together what the registry says of a model."""
    metrics = read_json(run / "metrics.json")
    return About(
        data=plan.data_name,
        architecture=plan.recipe.arch,
        classes=read_card(made["train"].path(MODEL)).classes,
        score=terminal.balanced_accuracy(metrics),
        basis=basis,
        registry=name,
        settings=settings_of(plan),
        **judged._asdict(),
    )


def _keeping(plan: Plan, champion: Version) -> Plan:
    """Keep the champion's parts, so that no test picture was in either's training."""
    table = registry.file_of(plan.store, champion, "split.csv")
    return replace(
        plan,
        tables=plan.tables.keeping(table),
        command=f"{plan.command} {shlex.join(['--keep-split', str(table)])}",
    )


def _judged(store: Path, name: str | None, basis: str) -> bool:
    known = registry.versions(store)
    return any((version.registry, version.basis) == (name, basis) for version in known)


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
