"""Where a training stands, and checkpoints of it from which it goes on to the same bytes.

A checkpoint holds weights, averaged weights, the optimizer's state, the position in the epoch, the
sums and the history so far, and torch's random state. It is written to a file of its own, flushed
and renamed; the one before it is kept. Its digest stands at its end, so that a damaged one is
known. Only tensors and plain values are read back, never a pickled object.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnext.training.recipe import Recipe
from resnext.training.step import Step

KEPT = 2  # checkpoints: the newest, and the one before it
DIGEST = 32  # bytes of sha256 at the end of a checkpoint
WHERE = "where.txt"  # beside the checkpoints: how far the newest one is, for people


@dataclass(frozen=True)
class EpochRow:
    """One line of history.csv, and the epoch's seconds, which no digest covers."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float = field(compare=False)
    images_per_second: float = field(compare=False)
    finished_at: str = field(compare=False)


class Progress:
    """Hold where a training stands; sums stay on the device until an epoch is over."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.step = self.epoch = self.batch = self.seen = self.waited = 0
        self.lr = self.seconds = 0.0
        exact = torch.float32 if device.type == "mps" else torch.float64
        self.losses = torch.zeros((), dtype=exact, device=device)
        self.right = torch.zeros((), dtype=torch.int64, device=device)
        self.bad_step = torch.full((), -1, dtype=torch.int64, device=device)
        self.bad_loss = torch.zeros((), device=device)
        self.best = (-math.inf, -math.inf)
        self.history: list[EpochRow] = []
        self.kept: dict[str, Tensor] = {}

    def note(self, loss: Tensor, right: Tensor, seen: int) -> None:
        """Add one step's loss and right answers, without waiting for the device."""
        first_bad = ~loss.isfinite() & (self.bad_step < 0)
        self.bad_step = torch.where(first_bad, self.step, self.bad_step)
        self.bad_loss = torch.where(first_bad, loss.float(), self.bad_loss)
        self.losses += loss
        self.right += right
        self.seen += seen
        self.step += 1
        self.batch += 1

    def end_epoch(self, row: EpochRow, model: nn.Module, recipe: Recipe) -> None:
        """Write an epoch down, keep its weights where they are the ones to keep, begin the next."""
        self.history.append(row)
        rank = rank_of(row, recipe)
        better = rank > self.best
        self.waited = 0 if better else self.waited + 1
        self.best = max(rank, self.best)
        if better or recipe.keep == "last":
            self.kept = {n: t.detach().cpu().clone() for n, t in model.state_dict().items()}
        self.epoch += 1
        self.batch = self.seen = 0
        self.seconds = 0.0
        self.losses.zero_()
        self.right.zero_()

    def plain(self) -> dict[str, Any]:
        """Give everything as tensors and plain values."""
        values = {name: value for name, value in vars(self).items() if name != "device"}
        return values | {"history": [asdict(row) for row in self.history]}

    def restore(self, values: dict[str, Any]) -> None:
        """Take up what `plain` gave."""
        for name, value in values.items():
            setattr(self, name, value.to(self.device) if isinstance(value, Tensor) else value)
        self.history = [EpochRow(**row) for row in values["history"]]


class Checkpoints:
    """Keep checkpoints in a folder; without one, keep none. `say` gets lines."""

    def __init__(self, folder: Path | None, say: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self.say = say or (lambda _: None)

    def save(self, progress: Progress, model: nn.Module, step: Step) -> None:
        """Write a checkpoint and throw away all but the newest two.

        Raises:
            OSError: it can't be written; those that are there stay as they are.
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "progress": progress.plain(),
            "model": model.state_dict(),
            "averaged": step.averaged,
            "optimizer": step.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        _write(self.folder / f"step-{progress.step:09}.pt", state)
        where = f"epoch {progress.epoch + 1}, step {progress.step}"
        (self.folder / WHERE).write_text(f"{where}\n", encoding="utf-8")
        for old in self._files()[:-KEPT]:
            old.unlink()

    def restore(self, progress: Progress, model: nn.Module, step: Step) -> None:
        """Take up the newest checkpoint that is whole; say what was taken and what is damaged."""
        for file in reversed(self._files()):
            state = _read(file)
            if state is None:
                self.say(f"checkpoint {file.name} is damaged: taking the one before it")
                continue
            progress.restore(state["progress"])
            model.load_state_dict(state["model"])
            step.optimizer.load_state_dict(state["optimizer"])
            for name, tensor in step.averaged.items():
                tensor.copy_(state["averaged"][name])
            torch.set_rng_state(state["random"])
            self.say(f"going on after step {progress.step} (epoch {progress.epoch + 1})")
            return

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt")) if self.folder else []


def rank_of(row: EpochRow, recipe: Recipe) -> tuple[float, float]:
    """Order epochs by the recipe's metric, the best last; without a validation part by number.

    Of equals the first is the best.
    """
    if row.val_accuracy is None or row.val_loss is None:
        return float(row.epoch), 0.0
    by_accuracy = recipe.metric == "val_accuracy"
    return (row.val_accuracy, -row.val_loss) if by_accuracy else (-row.val_loss, 0.0)


def describe_kept(history: Sequence[EpochRow], recipe: Recipe) -> str:
    """Say which epoch's weights were kept, and that what chose it is no score."""
    if recipe.keep == "last" or history[-1].val_loss is None:
        return f"kept the weights of epoch {len(history)}, the last one"
    best = max(history, key=lambda row: rank_of(row, recipe))  # the first of equals
    why = "lowest validation loss" if recipe.metric == "val_loss" else "highest validation accuracy"
    return (
        f"kept the weights of epoch {best.epoch} of {len(history)}, which had the {why}. That is a "
        "choice and no score: the test part gives the score"
    )


def _write(path: Path, state: dict[str, Any]) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut."""
    buffer = io.BytesIO()  # torch would hide a full disk behind an error of its own
    torch.save(state, buffer)
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            file.write(buffer.getbuffer())
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    if os.name == "posix":  # flush the rename too, where the system can
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint; None where it is not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data[:-DIGEST]).digest() != data[-DIGEST:]:
        return None
    state: dict[str, Any] = torch.load(
        io.BytesIO(data[:-DIGEST]), map_location="cpu", weights_only=True
    )
    return state
