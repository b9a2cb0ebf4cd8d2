"""Find the callbacks of a training: every module of this folder that has a function `follow`.

`follow(training)` gives a callback, or None where it has nothing to do. A tracker, or a second
display, is one more file with such a function. Callbacks are called in the order of the files'
names. No cache key counts this folder: nothing here changes what is computed.
"""

import importlib
import pkgutil
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import tasks.callbacks as folder
from resnext.training.callback import Callback
from resnext.training.recipe import Recipe
from tasks.stage.artifact import Work

if TYPE_CHECKING:
    from torch import Tensor

READ_EVERY = 30.0  # seconds, besides each `log_interval` steps


@dataclass(frozen=True)
class TrainingSetup:
    """Say what is trained, and how it is to be shown."""

    work: Work
    recipe: Recipe
    validates: bool
    """Whether there is a validation part; the test part is measured in its place where not."""

    @property
    def as_script(self) -> bool:
        """Tell whether epochs are printed as the script did that the project began as."""
        return self.work.script_lines and not self.validates


def callbacks_of(training: TrainingSetup) -> list[Callback]:
    """Give the callbacks of this folder that have something to do."""
    modules = [
        importlib.import_module(f"{folder.__name__}.{each.name}")
        for each in sorted(pkgutil.iter_modules(folder.__path__), key=lambda each: each.name)
    ]
    found = [each.follow(training) for each in modules if hasattr(each, "follow")]
    return [each for each in found if each is not None]


class Display(Callback):
    """Count steps and time; read the loss, which waits for the device, only now and then."""

    def __init__(self, training: TrainingSetup) -> None:
        self.training = training
        self.total = self.done = self.step = self.seen = 0
        self.started = self.read_at = 0.0

    def on_start(self, total_steps: int, steps_per_epoch: int, done: int) -> None:  # noqa: ARG002
        """Start the clock."""
        self.total, self.done, self.step = total_steps, done, done
        self.started = self.read_at = time.monotonic()

    def on_step(self, step: int, images: int, loss: "Tensor") -> None:
        """Count a step."""
        self.step, self.seen = step, self.seen + images
        late = time.monotonic() - self.read_at >= READ_EVERY
        if step % self.training.work.log_interval == 0 or step == self.total or late:
            self.read_at = time.monotonic()
            self.show(float(loss))

    def show(self, loss: float) -> None:
        """Show how far the training is."""

    def rate(self) -> str:
        """Say how many images are trained on in a second."""
        return f"{self.seen / max(1e-9, time.monotonic() - self.started):.0f} images/s"

    def seconds_left(self) -> float:
        """Reckon how long the rest takes."""
        each = (time.monotonic() - self.started) / max(1, self.step - self.done)
        return each * (self.total - self.step)

    def left(self) -> str:
        """Say how long the rest takes."""
        return str(timedelta(seconds=round(self.seconds_left())))
