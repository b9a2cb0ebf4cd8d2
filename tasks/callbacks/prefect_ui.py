"""What Prefect's UI shows of a training: a progress bar, curves as they grow, how it ended."""

import logging
import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID

from tasks.callbacks.discovery import Display, TrainingSetup
from tasks.callbacks.history import call_server
from tasks.callbacks.terminal import describe_epoch

if TYPE_CHECKING:
    from resnext.training.checkpoints import EpochRow

log = logging.getLogger(__name__)

UPDATE_EVERY = 5.0  # seconds
SPARING = 20.0  # times as long as the curves took to draw: they slow a training by 5 % at most


def follow(training: TrainingSetup) -> "PrefectUI | None":
    """Follow the trainings that run in a task of Prefect's."""
    from prefect.context import TaskRunContext

    return PrefectUI(training) if TaskRunContext.get() else None


class PrefectUI(Display):
    """Keep a progress artifact up to date, and one with the curves of this process's epochs."""

    artifact: UUID | None = None
    curves: UUID | None = None
    updated = drawn_next = 0.0

    def __init__(self, training: TrainingSetup) -> None:
        super().__init__(training)
        self.rows: list[EpochRow] = []

    def on_start(self, total_steps: int, steps_per_epoch: int, done: int) -> None:
        """Make the artifact of the progress."""
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
        """Show how an epoch went; draw the curves, where somebody will have time to look."""
        text = describe_epoch(row, self.training)
        self._update(text)
        self.rows.append(row)
        if time.monotonic() >= self.drawn_next and self.seconds_left() >= UPDATE_EVERY:
            self._draw(text)

    def on_end(self, result: str | None) -> None:
        """Show how the training ended, which stays in place of the last epoch."""
        if result:
            self._update(result)
            if self.curves is not None:
                self._draw(result)

    def _update(self, text: str) -> None:
        from prefect.artifacts import update_progress_artifact

        self.updated = time.monotonic()
        artifact = self.artifact
        share = round(100 * self.step / max(1, self.total), 1)  # the page shows every digit
        if artifact is not None:
            call_server(
                lambda: update_progress_artifact(artifact, progress=share, description=text)
            )

    def _draw(self, text: str) -> None:
        """Make the artifact of the curves, or draw it anew; a training does not fail by it."""
        before = time.thread_time()
        try:
            image = draw_curves(self.rows, self.training)
        except Exception as error:
            log.warning("The curves of this training can't be drawn as it goes on: %s", error)
            self.drawn_next = math.inf
            return
        took = time.thread_time() - before
        if (curves := self.curves) is None:
            made = call_server(lambda: _create(image, text))
            self.curves = made if isinstance(made, UUID) else None
            took = 0.0  # for the most part imports
        else:
            call_server(lambda: _replace(curves, image, text))
        self.drawn_next = time.monotonic() + max(UPDATE_EVERY, SPARING * took)


def draw_curves(rows: "list[EpochRow]", training: TrainingSetup) -> str:
    """Draw the curves of the epochs that are over, without a mark; give them as markdown."""
    import pandas as pd

    from reports.drawing.style import screen_png
    from reports.figures.curves import plot_training
    from reports.sections.figures import data_uri

    split = pd.DataFrame({"split": ["val" if training.validates else "test"]})
    history = pd.DataFrame([asdict(row) for row in rows])
    metric = training.recipe.metric
    figure = plot_training(history, split, history, metric=metric, keep="last", show_time=False)
    return f"![Curves so far]({data_uri(screen_png(figure))})"


def _create(image: str, text: str) -> UUID:
    from prefect.artifacts import create_markdown_artifact

    made = create_markdown_artifact(markdown=image, key="training-curves", description=text)
    assert isinstance(made, UUID)  # here is no event loop
    return made


def _replace(artifact: UUID, image: str, text: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import ArtifactUpdate

    with get_client(sync_client=True) as client:
        client.update_artifact(artifact, ArtifactUpdate(data=image, description=text))
