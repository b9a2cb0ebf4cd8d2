"""Every loop over batches: training and prediction.

The loops don't print, log or draw; they call callbacks. Nothing in them waits for the
device but where a number is needed by a person, and at the end of an epoch. A training that was
stopped goes on from its newest checkpoint, to the same bytes.

The training loss of an epoch is the mean of its batches' means, as in the script that the project
began as, so that a last, smaller batch weighs as much as the others. The validation loss is the
mean over the images, since an epoch is chosen by it, unless it is asked for as in the script.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resnext.contracts.errors import InputError, TrainingError
from resnext.contracts.formatting import first_few, plural
from resnext.data.pixels import PixelSource
from resnext.device import Compute
from resnext.models.architectures import MEAN, STD, Scale, scale_of
from resnext.training.batches import Batches, Order, Subset, Subsets, count_batches, epoch_order
from resnext.training.callback import Callback
from resnext.training.checkpoints import Checkpoints, EpochRow, Progress, describe_kept
from resnext.training.ranks import Ranks
from resnext.training.recipe import SMALLEST_FOR_ONE, Recipe
from resnext.training.schedule import learning_rate
from resnext.training.step import Step, autocast, class_weights, in_format, move_model

CHECKPOINT_EVERY = 300.0  # seconds, besides the end of each epoch
CHECK_EVERY = 50  # steps between two checks for a loss that is not finite, off the CPU
BATCH = 32  # images predicted at once


class Fitted(NamedTuple):
    """Hold what a training gives: the history, and the weights to keep."""

    history: list[EpochRow]
    weights: dict[str, Tensor]


@torch.inference_mode()
def predict(
    model: nn.Module,
    source: PixelSource,
    subset: Subset,
    compute: Compute,
    *,
    scale: Scale = (MEAN, STD),
    batch_size: int = BATCH,
) -> Tensor:
    """Give class log-probabilities (N, C), float64 on the CPU, a row an image; (0, 0) for none.

    Images are normalised by `scale`.

    Raises:
        InputError: an image changed since it was scanned.
    """
    if not len(subset):
        return torch.empty(0, 0, dtype=torch.float64)
    move_model(model, compute)
    batches = Batches(source, subset, compute, scale=scale)
    logits = _logits(model, batches, compute, _in_order(len(subset), batch_size))
    return torch.log_softmax(logits.double().cpu(), dim=1)


class Training:
    """Train a network on the train subset, watching the val subset; `fit` does it.

    Without a val subset the test subset is watched, as in the script that the project began as;
    nothing is chosen by it then: the last epoch's weights are kept.

    Args:
        model: The network, with its first weights.
        source: Gives the images' pixels.
        subsets: Training, validation and test images, each in a fixed order.
        recipe: How to train.
        compute: Where and how to compute; `resnext.device.apply` must have been called.
        callbacks: Informed of what happens, in this order.
        checkpoints: Where the state is kept, and found again after a stop.
        ranks: The processes that train together: all are given the same, but for the callbacks,
            which only rank 0 has.

    Raises:
        InputError: the recipe does not go with the subsets.
    """

    def __init__(
        self,
        model: nn.Module,
        source: PixelSource,
        subsets: Subsets,
        recipe: Recipe,
        compute: Compute,
        *,
        callbacks: Sequence[Callback] = (),
        checkpoints: Checkpoints | None = None,
        ranks: Ranks = Ranks(),
    ) -> None:
        _require_trainable(subsets, recipe, ranks.size)
        validates, train = len(subsets.val) > 0, subsets.train
        watched = subsets.val if validates else subsets.test
        self.recipe = recipe if validates else recipe.model_copy(update={"keep": "last"})
        self.model = ranks.share_norms(move_model(model, compute), compute)
        if compute.compiled:
            self.model.compile()
        self.train, self.compute, self.callbacks, self.ranks = train, compute, callbacks, ranks
        self.checkpoints = checkpoints or Checkpoints(None)
        scale = scale_of(recipe.arch, recipe.weights)
        self.batches = Batches(source, train, compute, recipe, scale=scale)
        self.held_out = Batches(source, watched, compute, scale=scale)
        self.loss_size = max(1, len(watched)) if validates else recipe.batch_size
        self.classes = len(subsets.classes)
        weights = class_weights(train.labels, self.classes, recipe)
        self.step = Step(self.model, recipe, compute, weights, self.classes, ranks)
        self.per_epoch = count_batches(len(train), recipe, ranks.size)
        self.total = recipe.epochs * self.per_epoch
        self.progress = Progress(torch.device(compute.device))
        self.saved_at = self.counted_at = time.monotonic()

    def fit(self) -> Fitted:
        """Train to the end, from the newest checkpoint if there is one.

        Gives the history, and the weights to keep: those of the best epoch by the recipe's metric,
        or of the last one where the recipe says so; averaged ones where it averages.

        Raises:
            TrainingError: a loss is not finite.
            InputError: an image changed since it was scanned.
            KeyboardInterrupt: a callback wanted to stop; a checkpoint was saved.
        """
        progress, recipe, result = self.progress, self.recipe, None
        devices = [progress.device] if self.compute.device == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            self.checkpoints.restore(progress, self.model, self.step)
            try:
                for callback in self.callbacks:
                    callback.on_start(self.total, self.per_epoch, progress.step)
                while progress.epoch < recipe.epochs and not 0 < recipe.patience <= progress.waited:
                    self._epoch()
                result = describe_kept(progress.history, recipe)
            finally:
                for callback in self.callbacks:
                    callback.on_end(result)
        return Fitted(progress.history, progress.kept)

    def _epoch(self) -> None:
        progress = self.progress
        self.step.freeze(progress.epoch)
        order = self._order(progress.epoch)
        self.counted_at = time.monotonic()
        for batch in self.batches.run(order, progress.epoch, progress.batch, self.ranks):
            progress.lr = learning_rate(progress.step, self.total, self.per_epoch, self.recipe)
            loss, right = self.step(batch, progress.lr, progress.step)
            images = len(order[progress.batch])
            progress.note(loss, right, images)
            for callback in self.callbacks:
                callback.on_step(progress.step, images, loss)
            self._between_steps()
        self._count_seconds()
        self._require_finite()
        self._end_epoch()
        self._save()

    def _order(self, epoch: int) -> Order:
        return epoch_order(self.train.labels, self.recipe, epoch, self.ranks.size)

    def _between_steps(self) -> None:
        """Check the loss now and then, and save where it is time or asked for."""
        every = 1 if self.compute.device == "cpu" else CHECK_EVERY
        stopping = any(callback.wants_to_stop() for callback in self.callbacks)
        saving = stopping or time.monotonic() - self.saved_at >= CHECKPOINT_EVERY
        if saving or self.progress.step % every == 0:
            self._require_finite()
        if saving:
            self._count_seconds()
            self._save()
        if stopping:
            raise KeyboardInterrupt

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.counted_at
        self.counted_at = now

    def _save(self) -> None:
        if self.ranks.first:
            self.checkpoints.save(self.progress, self.model, self.step)
        self.saved_at = time.monotonic()

    def _end_epoch(self) -> None:
        """Measure the held-out images, write the epoch down and keep its weights if best."""
        # The statistics of batch norms may differ; a checkpoint has those of rank 0.
        self.ranks.copy_first([*self.model.buffers(), *self.step.averaged.values()])
        with self._averaged_weights():
            row = self._row(*self._validate())
            self.progress.end_epoch(row, self.model, self.recipe)
        for callback in self.callbacks:
            callback.on_epoch(row)

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Give the network its averaged weights for a while, where there are any."""
        if not self.step.averaged:
            yield
            return
        own = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.load_state_dict(own | self.step.averaged)
        yield
        self.model.load_state_dict(own)

    def _row(self, val_loss: float | None, val_accuracy: float | None) -> EpochRow:
        progress = self.progress
        return EpochRow(
            epoch=progress.epoch + 1,
            lr=progress.lr,
            train_loss=float(progress.losses) / self.per_epoch,
            train_accuracy=int(progress.right) / progress.seen,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=progress.seconds,
            images_per_second=progress.seen / max(progress.seconds, 1e-9),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @torch.inference_mode()
    def _validate(self) -> tuple[float | None, float | None]:
        """Give loss (cross-entropy without label smoothing or class weights) and accuracy."""
        if not len(self.held_out.subset):
            return None, None
        size = self.loss_size
        logits = self._held_out_logits()
        labels = self.held_out.labels.to(logits.device)
        pairs = zip(torch.split(logits, size), torch.split(labels, size), strict=True)
        losses = torch.stack([cross_entropy(some, wanted) for some, wanted in pairs])
        loss = float(losses.double().mean() if losses.device.type != "mps" else losses.mean())
        if not math.isfinite(loss):
            raise self._not_finite("validation", loss, self.progress.step - 1, [])
        return loss, int((logits.argmax(1) == labels).sum()) / len(labels)

    def _held_out_logits(self) -> Tensor:
        """Give the logits (N, C) of all held-out images, whole batches of which a process computes.

        So each image is met once, and in the batch in which one process alone would meet it.
        """
        count, ranks = len(self.held_out.subset), self.ranks
        own = _in_order(count, self.recipe.batch_size)[ranks.rank :: ranks.size]
        logits = torch.zeros(count, self.classes, device=self.progress.device)
        if own:
            rows = torch.from_numpy(np.concatenate(own)).to(logits.device)
            logits[rows] = _logits(self.model, self.held_out, self.compute, own)
        return ranks.add_up(logits)

    def _require_finite(self) -> None:
        """Raise a TrainingError that names the first step with a loss that is not finite."""
        if (step := int(self.progress.bad_step)) < 0:
            return
        epoch, batch = divmod(step, self.per_epoch)
        files = [self.train.paths[index] for index in self._order(epoch)[batch]]
        raise self._not_finite("training", float(self.progress.bad_loss), step, files)

    def _not_finite(self, name: str, loss: float, step: int, files: list[str]) -> TrainingError:
        lr = learning_rate(min(step, self.total - 1), self.total, self.per_epoch, self.recipe)
        batch = f" The batch held {first_few(files)}." if files else ""
        return TrainingError(
            f"The {name} loss must stay finite, got {loss} at step {step + 1} (epoch "
            f"{step // self.per_epoch + 1}) at learning rate {lr:g}.{batch} Lower --lr, clip the "
            "gradients by --clip-norm 1, or start from other --weights."
        )


def _require_trainable(subsets: Subsets, recipe: Recipe, processes: int) -> None:
    """Raise an InputError where the recipe can't be followed with these subsets."""
    count = len(subsets.train)
    if processes > 1 and min(count, recipe.batch_size) < 2 * processes:
        rule = "leave each process at least 2 images of a batch, and of the training images"
        got = f"{processes} with `batch_size` {recipe.batch_size} and {plural(count, 'image')}"
        raise InputError("devices", rule, got, "Give fewer, or a larger `batch_size`.")
    if count < 2 and recipe.image_size < SMALLEST_FOR_ONE:
        rule = f"leave at least 2 training images below {SMALLEST_FOR_ONE} px"
        remedy = "Batch normalisation can't train on one. Add images."
        raise InputError("shares", rule, count, remedy)
    if recipe.patience and not len(subsets.val):
        remedy = "Stopping by the test part would choose by it. Give val a share, or leave "
        rule = "be 0 without a validation part"
        raise InputError("patience", rule, recipe.patience, f"{remedy}`patience` out.")


def _in_order(count: int, batch_size: int) -> Order:
    """Deal images into batches as they come."""
    return list(np.split(np.arange(count), list(range(batch_size, count, batch_size))))


@torch.inference_mode()
def _logits(model: nn.Module, batches: Batches, compute: Compute, order: Order) -> Tensor:
    """Give the logits (N, C) of batches of a subset in float32 on the device, in their order."""
    model.eval()
    found = []
    for images, _ in batches.run(order):
        with autocast(compute):
            found.append(model(in_format(images, compute)).float())
    return torch.cat(found)
