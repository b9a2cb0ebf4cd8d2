"""What a person sees while a long stage runs: a bar or plain lines, log lines, the Prefect UI.

Nothing here changes what is computed, so that no cache key counts this file.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar
from uuid import UUID

from tqdm import tqdm

from tasks.callbacks.history import tell
from tasks.orchestrator import TaskRunContext, create_progress_artifact, update_progress_artifact

if TYPE_CHECKING:
    from torch import Tensor

    from resnext.training.checkpoints import EpochRow

log = logging.getLogger(__name__)

T = TypeVar("T")

ESTIMATE_AFTER = 20  # steps
PLAIN_LINE_EVERY = 30.0  # seconds, where there is no terminal
UI_UPDATE_EVERY = 5.0  # seconds


class StoppedError(Exception):
    """Somebody asked the process to end: a cancelled run, a worker that stops, `kill`."""


def signals_to_end() -> list[signal.Signals]:
    """Give the signals that ask a process to end: Prefect cancels a run by SIGTERM.

    SIGHUP comes where a terminal is closed, unless `nohup` had it ignored.
    """
    asked = [signal.SIGTERM]
    if hasattr(signal, "SIGHUP"):  # which Windows lacks
        asked.append(signal.SIGHUP)
    return [each for each in asked if signal.getsignal(each) is not signal.SIG_IGN]


class TrainingWatcher:
    """Follow a training: a moving bar, a line an epoch, and a progress bar in the Prefect UI.

    As a context manager it takes the first Ctrl-C for a wish to save and stop; a second one stops
    at once. The signals of `signals_to_end` are such a wish too, however many: then it ends in a
    `StoppedError`. `validates_on_test` tells epochs in the words of the script that the project
    began as; else `watched` names the part that is measured after each.
    """

    def __init__(
        self,
        epochs: int,
        *,
        log_interval: int,
        progress_bar: bool,
        validates_on_test: bool,
        watched: str = "validation",
    ) -> None:
        self.epochs = epochs
        self.validates_on_test = validates_on_test
        self.watched = watched
        self.log_interval = log_interval
        self.progress_bar = progress_bar
        self.total = self.per_epoch = self.begun = self.step = self.seen = 0
        self.interrupted = self.terminated = False
        self.previous: dict[signal.Signals, Any] = {}
        self.started = self.said = self.shown = self.looked = 0.0
        self.bar: tqdm[NoReturn] | None = None
        self.artifact: UUID | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            handlers = {signal.SIGINT: self._interrupt}
            handlers |= dict.fromkeys(signals_to_end(), self._terminate)
            self.previous = {each: signal.signal(each, do) for each, do in handlers.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for each, handler in self.previous.items():
            signal.signal(each, handler)
        if self.bar is not None:
            self.bar.close()
        if kind not in (None, KeyboardInterrupt):
            return
        if self.terminated:
            raise StoppedError(
                "Stopped by a signal. A checkpoint is saved; another run of the same goes on there."
            ) from None
        if self.interrupted and kind is None:  # after the last step: the wish to stop still holds
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        with suppress(OSError):  # a logger could be in the middle of a line
            os.write(2, b"\nSaving a checkpoint after this step; Ctrl-C again stops at once.\n")

    def _terminate(self, *_: object) -> None:
        self.terminated = self.interrupted = True

    def wants_to_stop(self) -> bool:
        """Tell whether Ctrl-C was pressed, or the process asked to end."""
        return self.interrupted

    def on_start(self, total_steps: int, steps_per_epoch: int, done: int) -> None:
        """Start the clock and the bars, at step `done` where an earlier run was stopped."""
        self.total, self.per_epoch, self.begun = total_steps, steps_per_epoch, done
        self.step = done
        self.started = self.said = self.looked = time.monotonic()
        self.bar = bar(total_steps, "step", "train", shown=self.progress_bar)
        self.bar.update(done)
        made = _in_ui(
            lambda: create_progress_artifact(
                progress=0.0, key="training-progress", description="Training starts"
            )
        )
        self.artifact = made if isinstance(made, UUID) else None

    def on_step(self, step: int, images: int, loss: "Tensor") -> None:
        """Count a step; look at the loss, which waits for the device, only now and then."""
        self.step, self.seen = step, self.seen + images
        if self.bar is not None:
            self.bar.update()
        if step == self.begun + ESTIMATE_AFTER:
            say(f"{self._rate():.0f} images/s; the training takes about {self._left()} more")
        late = time.monotonic() - self.looked >= PLAIN_LINE_EVERY
        if step % self.log_interval == 0 or step == self.total or late:
            self.looked = time.monotonic()
            self._show(float(loss))

    def on_epoch(self, row: "EpochRow") -> None:
        """Say how an epoch went."""
        told = in_words(row, self.epochs, self.watched)
        self._update_ui(told)
        if self.validates_on_test:
            say(in_the_scripts_words(row), plain=True)
        else:
            say(told)
        if row.epoch == self.epochs and self.validates_on_test:
            say("Done", plain=True)

    def conclude(self, text: str) -> None:
        """Say how the training ended; in the Prefect UI that stays, in place of the last epoch."""
        self._update_ui(text)
        say(text)

    def _show(self, loss: float) -> None:
        now = time.monotonic()
        text = f"{self._rate():.0f} images/s, loss {loss:.3f}, {self._left()} left"
        if self.bar is not None and self.progress_bar:
            self.bar.set_postfix_str(f"{self._rate():.0f} images/s, loss {loss:.3f}")
        elif now - self.said >= PLAIN_LINE_EVERY:
            self.said = now
            say(f"step {self.step}/{self.total}, {text}")
        if now - self.shown >= UI_UPDATE_EVERY:
            self._update_ui(f"Step {self.step} of {self.total}, {text}")

    def _update_ui(self, text: str) -> None:
        self.shown = time.monotonic()
        artifact = self.artifact
        if artifact is not None:
            share = 100 * self.step / max(1, self.total)
            _in_ui(lambda: update_progress_artifact(artifact, progress=share, description=text))

    def _rate(self) -> float:
        return self.seen / max(1e-9, time.monotonic() - self.started)

    def _left(self) -> str:
        each = (time.monotonic() - self.started) / max(1, self.step - self.begun)
        seconds = each * (self.total - self.step)
        return str(timedelta(seconds=round(seconds)))


def in_words(row: "EpochRow", epochs: int, watched: str = "validation") -> str:
    """Say how an epoch went."""
    text = f"epoch {row.epoch}/{epochs}: train loss {row.train_loss:.3f}"
    text += f", accuracy {row.train_accuracy:.1%}"
    if row.val_loss is not None and row.val_accuracy is not None:
        text += f"; {watched} loss {row.val_loss:.3f}, accuracy {row.val_accuracy:.1%}"
    return text


def in_the_scripts_words(row: "EpochRow") -> str:
    """Say it as the script does that the project began as, for runs that watch the test part."""
    return (
        f"Epoch:{row.epoch:2d}, Train_acc:{100 * row.train_accuracy:.1f}%, "
        f"Train_loss:{row.train_loss:.3f}, Test_acc:{100 * (row.val_accuracy or 0):.1f}%，"  # noqa: RUF001 - its comma
        f"Test_loss:{row.val_loss or 0:.3f}"
    )


def bar(total: int, unit: str, name: str, *, shown: bool) -> "tqdm[NoReturn]":
    """Make a progress bar on standard error; an invisible one where nobody looks."""
    return tqdm(
        total=total,
        unit=unit,
        desc=f"{name:<9}",
        disable=not shown,
        leave=False,
        dynamic_ncols=True,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {unit}s, "
        "{remaining} left{postfix}",
        file=sys.stderr,
    )


@contextmanager
def counting(unit: str, name: str, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told (done, total) and moves a bar."""
    moving = bar(0, unit, name, shown=shown)

    def move(done: int, total: int) -> None:
        moving.total = total
        moving.update(done - moving.n)

    try:
        yield move
    finally:
        moving.close()


def say(text: str, *, plain: bool = False) -> None:
    """Log a line without breaking a bar that is on the screen; a plain one goes out as it is."""
    with tqdm.external_write_mode(file=sys.stderr):
        log.info(text, extra={"plain": plain})


def _in_ui(call: Callable[[], T]) -> T | None:
    """Do something to the Prefect UI, if this is a task run."""
    return None if TaskRunContext.get() is None else tell(call)
