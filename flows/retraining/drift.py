"""Note how new images differ from those that a model was made with.

Nothing is noted where the model's tables are missing or altered.
"""

import logging
from pathlib import Path

from flows.retraining.champion import Champion
from tasks.drift import drift_of_batch, drift_since_training, predict_new, publish_drift
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.store import is_altered

log = logging.getLogger(__name__)


def tables_beside(model: Path) -> tuple[Artifact, Artifact, Artifact] | None:
    """Give a model's manifest.csv, split.csv and predictions.csv; None where one is missing.

    They lie beside it, in a run's folder and in the registry's.
    """
    names = ("manifest.csv", "split.csv", "predictions.csv")
    manifest, split, predictions = paths = [model.parent / name for name in names]
    wrong = [path.name for path in paths if not path.is_file() or is_altered(path)]
    if wrong:
        log.info("no note on drift: %s beside the model missing or altered", ", ".join(wrong))
        return None
    return Artifact.of_file(manifest), Artifact.of_file(split), Artifact.of_file(predictions)


def note_drift_of_batch(
    runtime: Runtime, images: Artifact, predicted: Artifact, model: Path
) -> None:
    """Compare the predictions of new images with those of the model's held-out ones."""
    if (tables := tables_beside(model)) is not None:
        publish_drift(drift_of_batch(runtime, images, predicted, *tables))


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
