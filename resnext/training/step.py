"""One training step: loss, gradients in micro-batches, clipping, optimizer, averaged weights.

Nothing here waits for the device. Optimizers, clipping, mixup and cutmix are torch's and
torchvision's.
"""

from __future__ import annotations

import gc
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resnext.contracts.errors import TrainingError
from resnext.device import Compute
from resnext.models.architectures import build, find_architecture
from resnext.training.batches import Batch
from resnext.training.ranks import Ranks, without_sharing
from resnext.training.recipe import Recipe
from resnext.training.schedule import ema_decay

OF_A_RANK = 1_000_000_007  # apart are the seeds of two processes: more than steps are taken
MEMORY_FORMATS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}


def move_model(model: nn.Module, compute: Compute) -> nn.Module:
    """Move a network to the device, in the memory format that is planned."""
    layout = MEMORY_FORMATS[compute.memory_format]
    device = torch.device(compute.device)
    moved: nn.Module = model.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    return moved


def in_format(images: Tensor, compute: Compute) -> Tensor:
    """Give images (B, 3, H, W) in the memory format that the network has."""
    return images.contiguous(memory_format=MEMORY_FORMATS[compute.memory_format])


def build_optimizer(model: nn.Module, recipe: Recipe, compute: Compute) -> torch.optim.Optimizer:
    """Build the recipe's optimizer, fused where the device has that.

    Weight decay acts on weights of two dimensions or more, not on biases and batch norms. A group's
    `share` of the learning rate falls from stage to stage, and is another one for the last layer,
    where the recipe says so.

    Source: He et al. 2019, arXiv:1812.01187, section 3.1 ("no bias decay"); Howard and Ruder 2018,
    arXiv:1801.06146, section 3.2 ("discriminative fine-tuning").
    """
    numbers, head = stage_numbers(model, recipe), find_architecture(recipe.arch).head_number
    kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        below = head - numbers[name.rpartition(".")[0]]
        share = recipe.layer_decay**below if below else recipe.head_lr
        kinds.setdefault((decay, share), []).append(parameter)
    groups = [
        {"params": parameters, "weight_decay": decay, "share": share}
        for (decay, share), parameters in kinds.items()
    ]
    fused = compute.device in ("cpu", "cuda")
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=fused)
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=recipe.lr, fused=fused)


def stage_numbers(model: nn.Module, recipe: Recipe) -> dict[str, int]:
    """Give the number of the stage of each module by its name, as the architecture counts them."""
    names = (name for name, _ in model.named_modules())
    return find_architecture(recipe.arch).stage_numbers(names)


@torch.no_grad()
def zero_residual_branches(model: nn.Module, last_norm: str) -> None:
    """Let every residual block begin as its shortcut: the weight of its last batch norm is 0.

    A network that begins shallow learns from its first steps on, where a deep one with fresh
    weights needs hundreds before its loss falls.

    Source: Goyal et al. 2017, https://arxiv.org/abs/1706.02677, section 5.1.
    """
    for name, parameter in model.named_parameters():
        if name.endswith(f".{last_norm}.weight"):
            parameter.zero_()


@torch.no_grad()
def shrink_head(model: nn.Module, recipe: Recipe) -> None:
    """Make the last layer's first weights smaller by the recipe's share of its rate, or zero.

    The last layer sees thousands of features that are all positive. A step of Adam moves every
    weight by about the rate, whatever the gradient, so that all their products with the features
    add up: logits jump by more than 1 from batch to batch, and nothing is learnt until the rate has
    fallen. Of a wide last layer, weights and rate must shrink together.

    Source: Yang and Hu 2021, arXiv:2011.14522, and Yang et al. 2022, arXiv:2203.03466 (the output
    layer in the maximal update parametrisation); Dosovitskiy et al. 2020, arXiv:2010.11929,
    section 3.1 (zero).
    """
    architecture = find_architecture(recipe.arch)
    share = 0.0 if recipe.zero_init_head else min(1.0, recipe.head_lr)
    for name, parameter in model.named_parameters():
        if architecture.in_head(name):
            parameter.mul_(share)


def class_weights(labels: npt.NDArray[np.int64], classes: int, recipe: Recipe) -> Tensor | None:
    """Weigh classes by n / (classes * count), or not; a class without an image weighs 0.

    Source: scikit-learn's `compute_class_weight("balanced")`.
    """
    if recipe.class_weights == "none":
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, len(labels) / (classes * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights).float()


class Step:
    """Take training steps on a network."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        compute: Compute,
        weights: Tensor | None,
        classes: int,
        ranks: Ranks = Ranks(),
    ) -> None:
        self.model, self.recipe, self.compute, self.classes = model, recipe, compute, classes
        self.ranks, self.shared = ranks, ranks.share_gradients(model)
        self.optimizer = build_optimizer(model, recipe, compute)
        device = torch.device(compute.device)
        self.weights = None if weights is None else weights.to(device)
        self.mix = build_mix(recipe, classes)
        start = _float_state(model) if recipe.ema_decay else {}
        self.averaged = {name: tensor.clone() for name, tensor in start.items()}

    def __call__(self, batch: Batch, lr: float, step: int) -> tuple[Tensor, Tensor]:
        """Take step `step`, from 0; give the loss and how many were right, on the device.

        They are those of the batch, of which each process is given its part. Random draws of the
        step (mixing, dropout) follow from (seed, step), and from the process.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        torch.manual_seed(self.recipe.seed * 1_000_003 + step + self.ranks.rank * OF_A_RANK)
        images, targets = self.mix(batch.images, batch.labels) if self.mix else batch
        self.optimizer.zero_grad(set_to_none=True)
        loss, right = self._gradients(images, targets)
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self._average(step)
        return loss, right

    def freeze(self, epoch: int) -> None:
        """Train what the recipe trains in an epoch, from 0; keep the rest as in evaluation.

        What is frozen keeps the statistics of its batch norms too.
        """
        numbers, first = stage_numbers(self.model, self.recipe), self.recipe.first_trained(epoch)
        for name, module in reversed([*self.model.named_modules()]):  # from the inside out
            trained = numbers[name] >= first
            module.training = trained or any(child.training for child in module.children())
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(trained)

    def _gradients(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Add up the gradients of a batch, computed in micro-batches."""
        total = self._total(targets)
        size = -(-len(images) // self.recipe.accumulate)
        losses, right = [], []
        pairs = [*zip(torch.split(images, size), torch.split(targets, size), strict=True)]
        for number, (some, wanted) in enumerate(pairs, start=1):
            with nullcontext() if number == len(pairs) else without_sharing(self.shared):
                logits, loss = self._backward(some, wanted, total)
            labels = wanted if wanted.ndim == 1 else wanted.argmax(1)
            losses.append(loss)
            right.append((logits.argmax(1) == labels).sum())
        loss, answers = torch.stack(losses).sum(), torch.stack(right).sum()
        return self.ranks.mean(loss), self.ranks.add_up(answers)

    def _total(self, targets: Tensor) -> Tensor | int:
        """Give what the sum of a process's losses is divided by, as torch's mean has it.

        That is the batch's total over the number of processes: the mean of what they then have is
        the mean over the batch, whatever their parts of it.
        """
        total: Tensor | int = len(targets)
        if self.weights is not None and targets.ndim == 1:
            total = self.weights[targets].sum()
        if self.ranks.size == 1:
            return total
        return self.ranks.mean(torch.as_tensor(total, dtype=torch.float32, device=targets.device))

    def _backward(
        self, images: Tensor, targets: Tensor, total: Tensor | int
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of a micro-batch; give its logits (B, C), and its part of the loss."""
        with autocast(self.compute):
            logits = self.shared(in_format(images, self.compute))
            summed = cross_entropy(
                logits, targets, self.weights, reduction="sum",
                label_smoothing=self.recipe.label_smoothing,
            )  # fmt: skip
            loss = summed / total
        loss.backward()  # type: ignore[no-untyped-call]
        return logits.detach(), loss.detach()

    def _average(self, step: int) -> None:
        """Move the averaged weights towards the network's own; counts are taken over."""
        if not self.averaged:
            return
        own, decay = _float_state(self.model), ema_decay(step, self.recipe.ema_decay)
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.values()), list(own.values()), 1 - decay)


def build_mix(recipe: Recipe, classes: int) -> nn.Module | None:
    """Build what mixes the images of a batch; of both, one is chosen for each batch."""
    if not recipe.mixup and not recipe.cutmix:
        return None
    from torchvision.transforms import v2

    wanted = ((v2.MixUp, recipe.mixup), (v2.CutMix, recipe.cutmix))
    kinds: list[nn.Module] = [
        kind(alpha=alpha, num_classes=classes) for kind, alpha in wanted if alpha
    ]
    return kinds[0] if len(kinds) == 1 else v2.RandomChoice(kinds)


def autocast(compute: Compute) -> AbstractContextManager[object]:
    """Compute in bfloat16 where the device does that."""
    return torch.autocast(compute.device, dtype=torch.bfloat16, enabled=compute.precision == "bf16")


def _float_state(model: nn.Module) -> dict[str, Tensor]:
    """Give the state that can be averaged: weights and the statistics of batch norms."""
    return {name: t.detach() for name, t in model.state_dict().items() if t.is_floating_point()}


# ---------------------------------------------------------------- memory


def micro_batches_that_fit(recipe: Recipe, classes: int, compute: Compute) -> int:
    """Find into how many micro-batches a batch must be cut to fit into a device's memory.

    It takes a step on blank images, and cuts in half as long as the memory does not suffice.

    Raises:
        TrainingError: not even an image at a time fits.
    """
    count = recipe.accumulate
    while not _fits(recipe.model_copy(update={"accumulate": count}), classes, compute):
        if count >= recipe.batch_size:
            raise TrainingError(
                f"The memory of {compute.device} must hold a training step on one image of "
                f"{recipe.image_size} px, got less. Give a smaller --image-size or --arch, or free "
                "some."
            )
        count = min(2 * count, recipe.batch_size)
    return count


def _fits(recipe: Recipe, classes: int, compute: Compute) -> bool:
    """Take a step and tell whether the memory sufficed; leave nothing behind."""
    try:
        _take_step(recipe, classes, compute)
        return True
    except torch.OutOfMemoryError:
        return False
    finally:
        gc.collect()
        if compute.device == "cuda":
            torch.cuda.empty_cache()


def _take_step(recipe: Recipe, classes: int, compute: Compute) -> None:
    """Take one training step on a blank batch, with all that a training keeps beside it."""
    device = torch.device(compute.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = move_model(build(recipe.arch, classes), compute)
        step = Step(model, recipe, compute, None, classes)
        step.freeze(recipe.freeze_epochs)
        side = recipe.image_size
        images = torch.zeros(recipe.batch_size, 3, side, side, device=device)
        labels = torch.zeros(recipe.batch_size, dtype=torch.int64, device=device)
        step(Batch(images, labels), recipe.lr, 0)
