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
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from filelock import FileLock, Timeout

from flows import command, server, terminal
from flows.champion import Champion, ready
from flows.drift import note_drift_since
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
from tasks.decide import DECISION, decide, publish_decision
from tasks.history import add_tags
from tasks.orchestrator import Completed, State, flow, run_id
from tasks.predict import predict
from tasks.registry import About, Version
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.run import MODEL, open_run

log = logging.getLogger("flows.retrain")  # also where this file is the program

SCHEDULE_GROUP = Group.create_ordered("When to do it again")
DECISION_GROUP = Group.create_ordered("When a new model becomes champion")
FIRST = "the first model"


@flow(name="retrain", flow_run_name=lambda: f"retrain {run_name()}", persist_result=False)
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
        InputError: the pictures can't be used as they were asked to be.
    """
    with _alone(plan.store), open_run(plan.store, name, {"command": plan.command}) as run:
        runtime = runtime_of(plan, run)
        champion = registry.champion(plan.store)
        plan = plan if champion is None else _keeping(plan, champion)
        stages = pipeline_stages(plan, runtime)
        manifest = next(stages)
        basis = basis_of(manifest, plan, settings)
        if champion is not None and _judged(plan.store, basis):
            words = f"nothing new; version {champion.number} stays champion"
            log.info("%s%s", words[0].upper(), words[1:], extra={"plain": True})
            return words
        made = {artifact.stage: artifact for artifact in stages} | {"scan": manifest}
        if champion is None:
            found, words = None, FIRST
        else:
            old = ready(plan, runtime, champion, manifest)
            note_drift_since(runtime, old, made)
            found, words = judge(runtime, old, made, settings)
        about = about_model(plan, run, made, words, basis)
        version = registry.register(plan.store, run, about)
        add_tags([f"version {version.number}", *terminal.score_tags(run)])
        verdict = "better" if found is None else found["verdict"]
        if verdict == "better":
            registry.promote(plan.store, version.number, words)
            announce_promotion(plan.store, version, words)
        return _conclusion(plan.store, run, version, champion, verdict)


def basis_of(manifest: Artifact, plan: Plan, settings: DecisionSettings) -> str:
    """Give what tells one retraining from another: pictures, recipe, split, how it is judged."""
    given = [plan.recipe, plan.split, plan.evaluation, settings]
    weights, groups = (each and each.files for each in (plan.weights, plan.tables.groups))
    facts = [manifest.files["manifest.csv"], weights, *(each.model_dump_json() for each in given)]
    facts += [groups] if groups else []
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def judge(
    runtime: Runtime, champion: Champion, made: dict[str, Artifact], settings: DecisionSettings
) -> tuple[dict[str, Any], str]:
    """Let the champion answer the challenger's test part, compare the two, and say it in words."""
    from reports.evaluation.decision import changed_classes, describe

    number, classes = champion.version.number, champion.card.classes
    fresh = read_card(made["train"].path(MODEL)).classes
    if set(classes) != set(fresh):
        found = changed_classes(classes, fresh, settings)
        return found, describe(found, number)
    old = predict(
        champion.runtime, made["scan"], made["split"], champion.pixels, champion.model,
        champion.compute,
    )  # fmt: skip
    decided = decide(runtime, old, made["predict"], settings)
    found = json.loads(decided.path(DECISION).read_text(encoding="utf-8"))
    return found, describe(found, number)


def about_model(plan: Plan, run: Path, made: dict[str, Artifact], words: str, basis: str) -> About:
    """Put together what the registry says of a model."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return About(
        data=plan.data_name,
        architecture=plan.recipe.arch,
        classes=read_card(made["train"].path(MODEL)).classes,
        score=terminal.balanced_accuracy(metrics),
        decision=words,
        basis=basis,
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


def _conclusion(
    store: Path, run: Path, version: Version, champion: Version | None, verdict: str
) -> str:
    """Publish and print what was decided; give it in a line."""
    if verdict == "better" or champion is None:
        words = f"version {version.number} is champion: {version.decision}"
    else:
        words = f"version {champion.number} stays champion: "
        words += f"version {version.number} is {version.decision}"
        if verdict == "classes changed":
            words += f". Look at it, and promote it by hand: models.py promote {version.number}"
    pages = {f"report of version {version.number}": run / "report.html"}
    if champion is not None:
        name = f"report of version {champion.number}"
        pages[name] = registry.file_of(store, champion, "report.html")
    publish_decision(words, registry.versions(store), registry.pointer(store), pages)
    log.info("%s%s", words[0].upper(), words[1:], extra={"plain": True})
    for name, page in pages.items():
        log.info("%s: %s", name.capitalize(), page, extra={"plain": True})
    return words


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
