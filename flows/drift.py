"""Note how new pictures differ from those that a model was made with, in a flow of either kind.

Nothing is noted where the files that tell so do not lie beside the model, or were altered.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from flows.plan import Plan
from resnext.card import read_card
from resnext.device import plan_compute
from tasks import registry
from tasks.drift import drift_of_batch, drift_since_training, predict_new, publish_drift
from tasks.pack import pack
from tasks.registry import Version
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.run import MODEL
from tasks.stage.store import is_altered

log = logging.getLogger(__name__)


class Beside(NamedTuple):
    """Hold the tables of the data that a model was made with."""

    known: Artifact
    parts: Artifact
    held_out: Artifact


def tables_beside(model: Path) -> Beside | None:
    """Give manifest.csv, split.csv and predictions.csv beside a model; None where one is missing.

    They lie there in a run's folder and in the registry's.
    """
    names = ("manifest.csv", "split.csv", "predictions.csv")
    paths = [model.parent / name for name in names]
    wrong = [path.name for path in paths if not path.is_file() or is_altered(path)]
    if wrong:
        log.info("no note on drift: %s beside the model missing or altered", ", ".join(wrong))
        return None
    return Beside(*map(Artifact.of_file, paths))


def note_drift_of_batch(
    runtime: Runtime, pictures: Artifact, predicted: Artifact, model: Path
) -> None:
    """Hold the answers to new pictures against those to the model's held-out ones."""
    if (tables := tables_beside(model)) is not None:
        publish_drift(drift_of_batch(runtime, pictures, predicted, *tables))


def note_drift_since(
    plan: Plan, runtime: Runtime, champion: Version, made: dict[str, Artifact]
) -> None:
    """Hold the pictures that are new since the champion against its own.

    It answers them for that. The pixels that it needs are linked in its own folder in the run's.
    """
    tables = tables_beside(registry.file_of(plan.store, champion, MODEL))
    if tables is None:
        return
    weights = registry.whole(plan.store, champion)
    card = read_card(weights)
    folder = (runtime.run or plan.store) / "champion"
    folder.mkdir(exist_ok=True)
    pixels = pack(runtime.model_copy(update={"run": folder}), made["scan"], card.image_size)
    compute = plan_compute(plan.compute.device, card.architecture, plan.compute.deterministic)
    model = Artifact.of_file(weights)
    now = made["scan"], made["split"]
    answers = predict_new(runtime, *now, tables.known, pixels, model, compute)
    publish_drift(drift_since_training(runtime, *now, answers, *tables))
