"""An epoch and a training to show."""

from pathlib import Path

from resnext.training.checkpoints import EpochRow
from resnext.training.recipe import Recipe
from tasks.callbacks.discovery import TrainingSetup
from tasks.stage.artifact import Work


def row(**changes: object) -> EpochRow:
    values: dict[str, object] = {
        "epoch": 1,
        "lr": 1e-4,
        "train_loss": 0.70213,
        "train_accuracy": 0.5441,
        "val_loss": 0.68177,
        "val_accuracy": 0.56205,
        "seconds": 1.0,
        "images_per_second": 10.0,
        "finished_at": "2026-01-01T00:00:00+00:00",
    }
    return EpochRow(**(values | changes))  # type: ignore[arg-type]


def training(*, epochs: int = 1, validates: bool = True, as_script: bool = False) -> TrainingSetup:
    here = Path()
    work = Work(store=here, out=here, scratch=here, log_interval=5, script_lines=as_script)
    return TrainingSetup(work, Recipe(epochs=epochs), validates)
