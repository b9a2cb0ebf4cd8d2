"""What a terminal or a log shows of a long stage: a moving bar or plain lines, a line an epoch."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from resnext.contracts.formatting import percent
from tasks.callbacks.discovery import Display, TrainingSetup

if TYPE_CHECKING:
    from torch import Tensor

    from resnext.training.checkpoints import EpochRow

log = logging.getLogger(__name__)

ESTIMATE_AFTER = 20  # steps
FEW_STEPS = 100  # with fewer from random weights a network can hardly learn
LINE_EVERY = 30.0  # seconds, where there is no terminal


def follow(training: TrainingSetup) -> "Terminal":
    """Follow every training."""
    return Terminal(training)


class Terminal(Display):
    """Show a bar on a terminal, a line now and then elsewhere, and a line an epoch."""

    bar: "tqdm[NoReturn] | None" = None
    said = 0.0

    def on_start(self, total_steps: int, steps_per_epoch: int, done: int) -> None:
        """Start the clock and the bar, at step `done` where an earlier run was stopped."""
        super().on_start(total_steps, steps_per_epoch, done)
        self.said = self.started
        self.bar = _bar(total_steps, "step", "train", shown=self.training.work.progress_bar)
        self.bar.update(done)
        recipe = self.training.recipe
        if total_steps < FEW_STEPS and recipe.weights == "none":
            log.warning("only %d steps, few for random weights: use more --epochs", total_steps)
        if not self.training.work.progress_bar and done < total_steps:
            say(f"epoch {done // steps_per_epoch + 1}/{recipe.epochs} is under way")

    def on_step(self, step: int, images: int, loss: "Tensor") -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update()
        super().on_step(step, images, loss)
        if step == self.done + ESTIMATE_AFTER:
            say(f"{self.rate()}; the training takes about {self.left()} more")

    def show(self, loss: float) -> None:
        """Show rate and loss on the bar; without one in a line, where the last one is old."""
        if self.bar is not None and self.training.work.progress_bar:
            self.bar.set_postfix_str(f"{self.rate()}, loss {loss:.3f}")
        elif time.monotonic() - self.said >= LINE_EVERY:
            self.said = time.monotonic()
            say(
                f"step {self.step}/{self.total}, {self.rate()}, loss {loss:.3f}, {self.left()} left"
            )

    def on_epoch(self, row: "EpochRow") -> None:
        """Say how an epoch went, where nobody else does."""
        seconds = self.training.recipe.method == "probe"  # is all that it takes
        if not seconds and not self.training.as_script:
            say(describe_epoch(row, self.training))

    def on_end(self, result: str | None) -> None:
        """Take the bar away, and say how the training ended."""
        if self.bar is not None:
            self.bar.close()
        if result:
            say(result)


def describe_epoch(row: "EpochRow", training: TrainingSetup) -> str:
    """Say how an epoch went."""
    text = f"epoch {row.epoch}/{training.recipe.epochs}: train loss {row.train_loss:.3f}"
    text += f", accuracy {percent(row.train_accuracy, ' ')}"
    if row.val_loss is not None and row.val_accuracy is not None:
        measured = "validation" if training.validates else "test"
        text += f"; {measured} loss {row.val_loss:.3f}, accuracy {percent(row.val_accuracy, ' ')}"
    return text


def say(text: str, *, plain: bool = False) -> None:
    """Log a line without breaking a bar that is on the screen; a plain one goes out as it is."""
    with tqdm.external_write_mode(file=sys.stderr):
        log.info(text, extra={"plain": plain})


@contextmanager
def counting(unit: str, name: str, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Give a function that takes (done, total) and moves a bar, which its first call draws."""
    with ExitStack() as stack:
        bars: list[tqdm[NoReturn]] = []

        def move(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(_bar(total, unit, name, shown=shown, counted=done)))
            bars[0].update(done - bars[0].n)

        yield move


def _bar(
    total: int, unit: str, name: str, *, shown: bool, counted: int | None = None
) -> "tqdm[NoReturn]":
    """Make a progress bar on standard error; an invisible one where nobody looks.

    Where things are counted, it begins at so many of them, and shows how many a second there are.
    """
    sized = not sys.stderr.isatty() or os.get_terminal_size(sys.stderr.fileno()).columns > 0
    return tqdm(
        total=total,
        initial=counted or 0,
        unit=f" {unit}" if total == 1 else f" {unit}s",
        desc=f"{name:<9}",
        disable=not shown,
        leave=False,
        ncols=None if sized else 80,  # tqdm draws nothing on a terminal that has no size
        nrows=None if sized else 24,
        dynamic_ncols=sized,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{unit}, "
        f"{'' if counted is None else '{rate_noinv_fmt}, '}"
        "{remaining} left{postfix}",
        file=sys.stderr,
    )
