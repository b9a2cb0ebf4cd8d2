"""Every loop over batches: training and prediction.

The loops don't print, log or draw; they tell a `Watcher` what happened. Nothing in them waits
for the device but where a number is shown. Which picture is met when, and what random draw it
gets, follow from (seed, epoch, picture).

The loss of an epoch is the mean of its batches' means, as in the script that the project began
as, so that a last, smaller batch weighs as much as the others.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Sampler

from resnext.device import Compute
from resnext.errors import InputError, TrainingError
from resnext.images import Picture, PictureSet
from resnext.recipe import Recipe, learning_rate

MEMORY_FORMATS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}


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


class Watcher(Protocol):
    """Told by the loops what happens."""

    def on_start(self, total_steps: int, steps_per_epoch: int) -> None:
        """The first of `total_steps` steps comes next."""

    def on_step(self, step: int, images: int, loss: Tensor) -> None:
        """Step `step`, from 1, is under way: `images` pictures, `loss` still on the device."""

    def on_epoch(self, row: EpochRow) -> None:
        """An epoch is over."""


class Unwatched:
    """A watcher that does nothing."""

    def on_start(self, total_steps: int, steps_per_epoch: int) -> None:
        """Pass over it."""

    def on_step(self, step: int, images: int, loss: Tensor) -> None:
        """Pass over it."""

    def on_epoch(self, row: EpochRow) -> None:
        """Pass over it."""


class EpochOrder(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) in an order that only (seed, epoch) decides.

    A last batch of one picture joins the one before it: batch normalisation can't train on it.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        whole, rest = divmod(self.count, self.batch_size)
        return max(1, whole + (rest > 1 or (rest == 1 and self.batch_size == 1)))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order: list[int] = torch.randperm(self.count, generator=generator).tolist()
        places = [(self.epoch, index) for index in order]
        for batch in range(len(self)):
            end = None if batch == len(self) - 1 else (batch + 1) * self.batch_size
            yield places[batch * self.batch_size : end]


def fit(
    model: nn.Module,
    train: Sequence[Picture],
    val: Sequence[Picture],
    recipe: Recipe,
    compute: Compute,
    *,
    workers: int = 0,
    watcher: Watcher | None = None,
) -> tuple[list[EpochRow], dict[str, Tensor]]:
    """Train a network.

    Args:
        model: The network, with its first weights.
        train: Training pictures, in a fixed order.
        val: Validation pictures; may be empty.
        recipe: How to train.
        compute: Where and how to compute; `resnext.device.apply` must have been called.
        workers: Processes that read pictures, 0 for this one. Changes no number.
        watcher: Told what happens.

    Returns:
        The history, and the weights to keep: those of the epoch with the highest validation
        accuracy, of equals with the lowest loss, or of the last one where the recipe says so.

    Raises:
        TrainingError: the loss of an epoch is not finite.
        InputError: a picture changed since it was scanned.
    """
    watcher = watcher or Unwatched()
    device = torch.device(compute.device)
    model.to(device=device, memory_format=MEMORY_FORMATS[compute.memory_format])  # type: ignore[call-overload]
    order = EpochOrder(len(train), recipe.batch_size, recipe.seed)
    pictures = PictureSet(train, recipe.image_size, augment=recipe.augment, seed=recipe.seed)
    loader = _loader(pictures, compute, workers, batch_sampler=order)
    watcher.on_start(recipe.epochs * len(order), len(order))
    steps = _Steps(model, recipe, compute, recipe.epochs * len(order), len(order), watcher)
    history: list[EpochRow] = []
    best = (-math.inf, -math.inf)
    kept: dict[str, Tensor] = {}
    for order.epoch in range(recipe.epochs):
        row = _epoch(steps, loader, val, order.epoch, workers)
        history.append(row)
        watcher.on_epoch(row)
        if not kept or recipe.keep == "last" or _rank(row) > best:
            best = _rank(row)
            kept = {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
    return history, kept


def _rank(row: EpochRow) -> tuple[float, float]:
    """Order epochs by validation accuracy, then loss; without a validation part by number."""
    if row.val_accuracy is None or row.val_loss is None:
        return float(row.epoch), 0.0
    return row.val_accuracy, -row.val_loss


@torch.inference_mode()
def predict(
    model: nn.Module,
    pictures: Sequence[Picture],
    size: int,
    compute: Compute,
    *,
    batch_size: int = 32,
    workers: int = 0,
) -> Tensor:
    """Give class probabilities (N, C), float64 on the CPU, a row a picture; (0, 0) for none.

    Raises:
        InputError: a picture changed since it was scanned.
    """
    batches = [
        torch.log_softmax(logits.double(), dim=1)
        for logits, _ in _forward(model, pictures, size, compute, batch_size, workers)
    ]
    return torch.cat(batches).exp() if batches else torch.empty(0, 0, dtype=torch.float64)


class _Steps:
    """The training step, with what it needs from one to the next."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        compute: Compute,
        total_steps: int,
        steps_per_epoch: int,
        watcher: Watcher,
    ) -> None:
        self.model, self.recipe, self.compute, self.watcher = model, recipe, compute, watcher
        self.total_steps, self.steps_per_epoch = total_steps, steps_per_epoch
        self.optimizer = build_optimizer(model, recipe, compute)
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.done = 0
        self.lr = 0.0

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on (B, 3, H, W); give the loss and how many were right, on the device."""
        self.lr = learning_rate(self.done, self.total_steps, self.steps_per_epoch, self.recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        images, labels = to_device(images, labels, self.compute)
        with _autocast(self.compute):
            logits = self.model(images)  # (B, C)
            loss: Tensor = self.loss(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.done += 1
        self.watcher.on_step(self.done, len(labels), loss.detach())
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()


def build_optimizer(model: nn.Module, recipe: Recipe, compute: Compute) -> torch.optim.Optimizer:
    """Build the recipe's optimizer, fused where the device has that.

    Weight decay acts on weights of two dimensions or more, not on biases and batch norms.

    Source: He et al. 2019, arXiv:1812.01187, section 3.1 ("no bias decay").
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = compute.device in ("cpu", "cuda")
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=fused)
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=recipe.lr, fused=fused)


def to_device(images: Tensor, labels: Tensor, compute: Compute) -> tuple[Tensor, Tensor]:
    """Move a batch to the device, in its memory format, without waiting for it."""
    device = torch.device(compute.device)
    layout = MEMORY_FORMATS[compute.memory_format]
    return (
        images.to(device, non_blocking=True, memory_format=layout),
        labels.to(device, non_blocking=True),
    )


def _epoch(
    steps: _Steps,
    loader: "DataLoader[Any]",
    val: Sequence[Picture],
    epoch: int,
    workers: int,
) -> EpochRow:
    start = time.monotonic()
    steps.model.train()
    losses, right, seen = [], [], 0
    for images, labels in _batches(loader):
        loss, correct = steps(images, labels)
        losses.append(loss)
        right.append(correct)
        seen += len(labels)
    train_loss = float(torch.stack(losses).mean())
    seconds = time.monotonic() - start
    _require_finite("training", train_loss, epoch, steps.lr)
    val_loss, val_accuracy = _validate(steps, val, workers)
    _require_finite("validation", val_loss or 0.0, epoch, steps.lr)
    return EpochRow(
        epoch=epoch + 1,
        lr=steps.lr,
        train_loss=train_loss,
        train_accuracy=int(torch.stack(right).sum()) / seen,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        seconds=seconds,
        images_per_second=seen / seconds,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _require_finite(name: str, loss: float, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"The {name} loss must stay finite, got {loss} in epoch {epoch + 1} at learning rate "
            f"{lr:g}. Lower --lr, or start from other --weights."
        )


@torch.inference_mode()
def _validate(
    steps: _Steps, val: Sequence[Picture], workers: int
) -> tuple[float | None, float | None]:
    """Give loss (mean of the batches' means, without label smoothing) and accuracy on `val`."""
    losses, right = [], 0
    recipe = steps.recipe
    batches = _forward(
        steps.model, val, recipe.image_size, steps.compute, recipe.batch_size, workers
    )
    for logits, labels in batches:
        losses.append(float(cross_entropy(logits, labels)))
        right += int((logits.argmax(1) == labels).sum())
    if not losses:
        return None, None
    return sum(losses) / len(losses), right / len(val)


def _forward(
    model: nn.Module,
    pictures: Sequence[Picture],
    size: int,
    compute: Compute,
    batch_size: int,
    workers: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits (B, C) in float32 and labels (B,), on the CPU, in the pictures' order."""
    model.to(memory_format=MEMORY_FORMATS[compute.memory_format])
    model.to(torch.device(compute.device)).eval()
    loader = _loader(PictureSet(pictures, size), compute, workers, batch_size=batch_size)
    for images, labels in _batches(loader):
        moved, _ = to_device(images, labels, compute)
        with _autocast(compute):
            logits = model(moved)  # (B, C)
        yield logits.float().cpu(), labels


def _loader(
    pictures: PictureSet, compute: Compute, workers: int, **batching: object
) -> "DataLoader[Any]":
    return DataLoader(
        pictures,
        num_workers=workers,
        pin_memory=compute.device == "cuda",
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        **batching,  # type: ignore[arg-type]
    )


def _batches(loader: "DataLoader[Any]") -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches; what a worker process says of wrong input comes out as one line."""
    try:
        yield from loader
    except InputError as error:
        raise InputError(str(error).rpartition(f"{InputError.__name__}: ")[2].strip()) from None


def _autocast(compute: Compute) -> AbstractContextManager[object]:
    return torch.autocast(compute.device, dtype=torch.bfloat16, enabled=compute.precision == "bf16")
