"""What is decided on a challenger in a retraining, and how the user reads it."""

import logging
from pathlib import Path
from typing import Any

from flows.cli.plan import Plan
from flows.retraining.champion import Champion, prepare_champion, tested_on_folds
from reports.evaluation.settings import DecisionSettings
from resnext.contracts.formatting import plural
from resnext.contracts.json_files import read_json
from resnext.models.model_file import read_card
from tasks.decide import DECISION, decide, publish_decision
from tasks.drift import drift_since_training, predict_new, publish_drift, tables_beside
from tasks.predict import predict
from tasks.registry.aliases import alias_to_beat, all_aliases, of_alias
from tasks.registry.promotion import BETTER, versions_of
from tasks.registry.reused_groups import use_of
from tasks.registry.versions import Version, require_intact, version_file, version_folder
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import MODEL

log = logging.getLogger(__name__)

FIRST = "the first model"
CHANGED = "classes changed"


def decide_on(
    plan: Plan,
    runtime: Runtime,
    champion: Version | None,
    made: dict[str, Artifact],
    settings: DecisionSettings,
) -> dict[str, Any]:
    """Compare the challenger with the champion, where there is one; give what `About` says of it.

    That is verdict, decision, against, use.
    """
    if champion is None:
        return {"verdict": BETTER, "decision": FIRST}
    old = prepare_champion(plan, runtime, champion, made["scan"])
    note_drift_since(runtime, old, made)
    use = _use(plan.store, made["scan"], made["split"])
    on_folds = tested_on_folds(plan, champion)
    found, text = compare(runtime, old, made, settings, use, plan.store if on_folds else None)
    verdict = {"verdict": found["verdict"], "decision": text}
    return verdict | {"against": champion.number, "use": found.get("use")}


def note_drift_since(runtime: Runtime, champion: Champion, made: dict[str, Artifact]) -> None:
    """Compare the images that are new since the champion with its own; it predicts them."""
    tables = tables_beside(champion.model.single_path())
    if tables is None:
        return
    now = made["scan"], made["split"]
    predicted = predict_new(
        runtime, *now, tables[0], champion.pixels, champion.model, champion.compute
    )
    publish_drift(drift_since_training(runtime, *now, predicted, *tables))


def note_of(store: Path, manifest: Artifact, split: Artifact) -> str:
    """Say how often a test part has served to choose a model, this time included."""
    from reports.evaluation.decision import allowed_luck

    use = _use(store, manifest, split)
    return (
        f"This test part has been used for {plural(use, 'decision')} between models, this one "
        "included. Each choice by it makes its figures a little too good, and one of several "
        "models leads by luck. So this time only a lead counted that luck alone gives in at most "
        f"{100 * allowed_luck(use):.2g} % of cases."
    )


def _use(store: Path, manifest: Artifact, split: Artifact) -> int:
    return use_of(store, split.path("split.csv"), manifest.path("manifest.csv"))


def compare(
    runtime: Runtime,
    champion: Champion,
    made: dict[str, Artifact],
    settings: DecisionSettings,
    use: int,
    store: Path | None,
) -> tuple[dict[str, Any], str]:
    """Compare the two on the challenger's test part, which the champion predicts.

    A model that was tested on folds learnt from all images. Where one of the two was, the answers
    to held-out images that the `store` keeps of the champion are compared with the challenger's.
    """
    from reports.evaluation.decision import changed_classes, describe

    number, classes = champion.version.number, champion.card.classes
    fresh = read_card(made["train"].path(MODEL)).classes
    if set(classes) != set(fresh):
        found = changed_classes(classes, fresh, settings)
        return found, describe(found, number)
    if store is None:
        old = predict(
            champion.runtime, made["scan"], made["split"], champion.pixels, champion.model,
            champion.compute,
        )  # fmt: skip
        decided = decide(runtime, old, made["predict"], settings, use)
    else:
        names = ("predictions.csv", "manifest.csv")
        require_intact(store, champion.version, list(names))
        old, then = (Artifact.of_file(version_file(store, champion.version, n)) for n in names)
        decided = decide(runtime, old, made["predict"], settings, use, then, made["scan"])
    found = read_json(decided.path(DECISION))
    return found, describe(found, number)


def conclude(store: Path, run: Path, version: Version) -> str:
    """Publish and print what was decided and who is champion now; give it in a line."""
    pointer = alias_to_beat(all_aliases(store), version.registry, version.classes)
    champion, whose = pointer.champion, of_alias(store, pointer)
    other: int | None = champion
    if champion == version.number:
        text = f"version {version.number} is champion{whose}: {version.decision}"
        other = version.against
    else:
        stays = "no model is" if champion is None else f"version {champion} stays"
        text = f"{stays} champion{whose}: version {version.number} is {version.decision}"
    if version.verdict == CHANGED:
        text += f". Look at it, and promote it by hand: models.py promote {version.number}"
    pages = {f"report of version {version.number}": run / "report.html"}
    if other is not None:
        pages[f"report of version {other}"] = version_folder(store, other) / "report.html"
    publish_decision(text, versions_of(store, pointer), pointer, pages)
    log_sentence(text)
    for name, page in pages.items():
        log.info("%s: %s", name.capitalize(), page, extra={"plain": True})
    return text


def log_sentence(text: str) -> str:
    """Print a line on the terminal as a sentence, and give it."""
    log.info("%s%s", text[0].upper(), text[1:], extra={"plain": True})
    return text
