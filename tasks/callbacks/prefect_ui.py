"""What Prefect's UI shows of a training: a progress bar, with how far it is and how it ended."""

import time
from typing import TYPE_CHECKING
from uuid import UUID

from tasks.callbacks.discovery import Display, TrainingSetup
from tasks.callbacks.history import call_server
from tasks.callbacks.terminal import describe_epoch

if TYPE_CHECKING:
    from resnext.training.checkpoints import EpochRow

UPDATE_EVERY = 5.0  # seconds


def follow(training: TrainingSetup) -> "PrefectUI | None":
    """Follow the trainings that run in a task of Prefect's."""
    from prefect.context import TaskRunContext

    return PrefectUI(training) if TaskRunContext.get() else None


class PrefectUI(Display):
    """Keep a progress artifact up to date."""

    artifact: UUID | None = None
    updated = 0.0

    def on_start(self, total_steps: int, steps_per_epoch: int, done: int) -> None:
        """Make the artifact."""
        from prefect.artifacts import create_progress_artifact

        super().on_start(total_steps, steps_per_epoch, done)
        key, text = "training-progress", "Training starts"
        made = call_server(
            lambda: create_progress_artifact(progress=0.0, key=key, description=text)
        )
        self.artifact = made if isinstance(made, UUID) else None

    def show(self, loss: float) -> None:
        """Show how far it is, where the last update is old."""
        if time.monotonic() - self.updated >= UPDATE_EVERY:
            text = f"{self.rate()}, loss {loss:.3f}, {self.left()} left"
            self._update(f"Step {self.step} of {self.total}, {text}")

    def on_epoch(self, row: "EpochRow") -> None:
        """Show how an epoch went."""
        self._update(describe_epoch(row, self.training))

    def on_end(self, result: str | None) -> None:
        """Show how the training ended, which stays in place of the last epoch."""
        if result:
            self._update(result)

    def _update(self, text: str) -> None:
        from prefect.artifacts import update_progress_artifact

        self.updated = time.monotonic()
        artifact, share = self.artifact, 100 * self.step / max(1, self.total)
        if artifact is not None:
            call_server(
                lambda: update_progress_artifact(artifact, progress=share, description=text)
            )
