"""Train a probe's heads on features that a frozen network gave, and put the probe together.

It takes seconds: there is no checkpoint, a training that was stopped begins anew. The heads see one
random view of each image an epoch, each head its own. What is kept are averaged weights of the last
epoch. Nothing is chosen by validation images, so they are trained on too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resnext.contracts.tables import read_split_images
from resnext.data.pixels import PixelSource, Progress, Rows
from resnext.data.split.originals import originals
from resnext.device import Compute
from resnext.models.architectures import build, find_architecture, scale_of
from resnext.models.probe import Embedding, Probe, standardise, turn
from resnext.models.views import TURNS
from resnext.models.weights import load_pretrained
from resnext.training.batches import Batches, Subset, count_batches, epoch_order
from resnext.training.callback import Callback
from resnext.training.checkpoints import EpochRow, describe_kept
from resnext.training.engine import Fitted
from resnext.training.recipe import Recipe
from resnext.training.schedule import ema_decay, learning_rate
from resnext.training.step import autocast, class_weights, in_format, move_model

BATCH = 16  # images embedded at once, in one view after the other
FLAT = 1e-6  # a deviation below this is that of a feature which is the same for all images

Features = npt.NDArray[np.float32]  # (N, V, F)


class Packed(PixelSource, Protocol):
    """What gives pixels by row, and rows by the digests of images."""

    def rows(self, digests: Sequence[str]) -> Rows:
        """Give the row of each image."""


class TrainingSet(NamedTuple):
    """Hold the features (N, V, F) of the training images, and their classes (N,) by number."""

    features: Tensor
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]


# ---------------------------------------------------------------- features


def load_frozen(recipe: Recipe, weights: Path | None) -> tuple[nn.Module, str]:
    """Build the network with the weights to freeze, and say in a line where they come from.

    Raises:
        InputError: the weights can't be had or don't fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build(recipe.arch, 1)
    return network, load_pretrained(network, recipe.arch, recipe.weights, weights)


@torch.inference_mode()
def embed(
    network: nn.Module,
    recipe: Recipe,
    pixels: Packed,
    digests: Sequence[str],
    compute: Compute,
    file: Path,
    progress: Progress | None = None,
) -> None:
    """Write the features (N, V, F), float32, of images by their digests, into a .npy file."""
    record, turns = find_architecture(recipe.arch), TURNS[recipe.views]
    embedding = Embedding(record, network)
    move_model(embedding, compute)
    shape = (len(digests), len(turns), embedding.width(recipe.image_size))
    found = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    subset = Subset(pixels.rows(digests), np.zeros(len(digests), dtype=np.int64), digests, digests)
    scale = scale_of(recipe.arch, recipe.weights)
    batches = Batches(pixels, subset, compute, scale=scale)
    order = np.split(np.arange(len(digests)), range(BATCH, len(digests), BATCH))
    for rows, (images, _) in zip(order, batches.run(order), strict=True):
        for view, orientation in enumerate(turns):
            with autocast(compute):
                features = embedding(in_format(turn(images, orientation), compute))
            found[rows, view] = features.cpu().numpy()
        if progress:
            progress(int(rows[-1]) + 1, len(digests))
    found.flush()


def read_training_set(
    manifest: Path, split: Path, features: Features, digests: Sequence[str], parts: Sequence[str]
) -> TrainingSet:
    """Join the originals of some parts of a split with their features (N, V, F), by digest.

    Raises:
        InputError: the tables can't be read.
    """
    table = read_split_images(split, manifest)
    classes = tuple(sorted(table["label"].unique()))
    known = originals(table)
    chosen = known[known["split"].isin(parts)].drop_duplicates("sha256")
    rows = pd.Index(digests).get_indexer(pd.Index(chosen["sha256"]))
    labels = pd.Index(classes).get_indexer(pd.Index(chosen["label"]))
    return TrainingSet(torch.from_numpy(features[rows]), labels.astype("int64"), classes)


def describe(given: TrainingSet, recipe: Recipe) -> str:
    """Say in a few lines what a probe is made of."""
    images, views, width = given.features.shape
    shape, classes = recipe.probe_shape, len(given.classes)
    each = width * shape.hidden + shape.hidden + shape.hidden * classes + classes
    return (
        f"{recipe.arch}, frozen: {width:,} features of an image in each of {views} views "
        f"({shape.views})\n{shape.heads} heads of {each:,} parameters: "
        f"linear {shape.hidden}, ReLU, linear {classes}\ntrained on {images:,} images\n"
    )


# ---------------------------------------------------------------- heads


def fit_probe(
    network: nn.Module,
    given: TrainingSet,
    recipe: Recipe,
    compute: Compute,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train the heads; give the history, and the weights of the whole probe.

    Raises:
        KeyboardInterrupt: a callback wanted to stop.
    """
    record, result = find_architecture(recipe.arch), None
    with torch.random.fork_rng(devices=[compute.device] if compute.device == "cuda" else []):
        torch.manual_seed(recipe.seed)
        probe = Probe(record, recipe.probe_shape, len(given.classes), network)
        fitting = _HeadTraining(probe, given, recipe, compute)
        try:
            for callback in callbacks:
                callback.on_start(fitting.total, fitting.per_epoch, 0)
            history = [fitting.epoch(number, callbacks) for number in range(recipe.epochs)]
            result = describe_kept(history, recipe)
        finally:
            for callback in callbacks:
                callback.on_end(result)
    probe.heads.load_state_dict(fitting.averaged)
    return Fitted(history, probe.state_dict())


class _HeadTraining:
    """Train the heads of a probe, epoch by epoch."""

    def __init__(self, probe: Probe, given: TrainingSet, recipe: Recipe, compute: Compute) -> None:
        self.device = torch.device(compute.device)
        self.recipe, self.labels = recipe, given.labels
        self._standardise(probe, given.features)
        self.features = standardise(given.features, probe.mean, probe.std).to(self.device)
        self.targets = torch.from_numpy(given.labels).to(self.device)
        self.heads = probe.heads.to(self.device).train()
        self.optimizer = torch.optim.AdamW(
            self.heads.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
        )
        weights = class_weights(given.labels, len(given.classes), recipe)
        self.weights = None if weights is None else weights.to(self.device)
        self.averaged = {name: each.clone() for name, each in self.heads.state_dict().items()}
        self.per_epoch = count_batches(len(given.labels), recipe)
        self.total, self.step = recipe.epochs * self.per_epoch, 0

    @staticmethod
    def _standardise(probe: Probe, features: Tensor) -> None:
        """Note mean and deviation of each feature over all views of the training images."""
        deviation, mean = torch.std_mean(features, dim=(0, 1), correction=0)
        probe.mean.copy_(mean)
        probe.std.copy_(torch.where(deviation > FLAT, deviation, 1.0))

    def epoch(self, number: int, callbacks: Sequence[Callback]) -> EpochRow:
        """Train an epoch and give its line of the history."""
        began, losses, right = time.monotonic(), 0.0, 0
        for rows in epoch_order(self.labels, self.recipe, number):
            lr = learning_rate(self.step, self.total, self.per_epoch, self.recipe)
            loss, hits = self._step(torch.from_numpy(rows).to(self.device), lr)
            self.step += 1
            losses, right = losses + float(loss), right + int(hits)
            for callback in callbacks:
                callback.on_step(self.step, len(rows), loss)
            if any(callback.wants_to_stop() for callback in callbacks):
                raise KeyboardInterrupt
        seconds, seen = time.monotonic() - began, len(self.labels)
        row = EpochRow(
            epoch=number + 1, lr=lr, train_loss=losses / self.per_epoch,
            train_accuracy=right / seen, val_loss=None, val_accuracy=None,
            seconds=seconds, images_per_second=seen / max(seconds, 1e-9),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        for callback in callbacks:
            callback.on_epoch(row)
        return row

    def _step(self, rows: Tensor, lr: float) -> tuple[Tensor, Tensor]:
        """Take a step; give the loss and how many were right. Draws follow from (seed, step)."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.step)
        heads, views = len(self.heads.out), self.features.shape[1]
        view = torch.randint(views, (heads, len(rows))).to(self.device)
        logits = self.heads(self.features[rows, view])  # (H, B, F) -> (H, B, C)
        wanted = self.targets[rows]
        loss = cross_entropy(
            logits.flatten(0, 1), wanted.repeat(heads), self.weights,
            label_smoothing=self.recipe.label_smoothing,
        )  # fmt: skip
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        decay = ema_decay(self.step, self.recipe.ema_decay)
        for name, each in self.heads.state_dict().items():
            self.averaged[name].lerp_(each, 1 - decay)
        answer = logits.detach().softmax(dim=-1).mean(dim=0).argmax(dim=1)
        return loss.detach(), (answer == wanted).sum()
