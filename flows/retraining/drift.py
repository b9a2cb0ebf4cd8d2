"""Note how new pictures differ from those that a model was made with, in a flow of either kind.

Nothing is noted where the files that tell so do not lie beside the model, or were altered.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from flows.retraining.champion import Champion
from tasks.drift import drift_of_batch, drift_since_training, predict_new, publish_drift
from tasks.stage.artifact import Artifact, Runtime
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


def note_drift_since(runtime: Runtime, champion: Champion, made: dict[str, Artifact]) -> None:
    """Hold the pictures that are new since the champion against its own; it answers them."""
    tables = tables_beside(champion.model.single_path())
    if tables is None:
        return
    now = made["scan"], made["split"]
    answers = predict_new(
        runtime, *now, tables.known, champion.pixels, champion.model, champion.compute
    )
    publish_drift(drift_since_training(runtime, *now, answers, *tables))
