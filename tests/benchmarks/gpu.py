"""Measure training on a CUDA device against torchvision's reference loop and timm's network.

    python -m tests.benchmarks.gpu [--device cpu --images 64 --batch 8 --size 64]

Needs torch, torchvision, timm, pandas, Pillow and pydantic; no Prefect, and nothing has to be
installed of this project. Pictures are made up.

First table: trainings of a few epochs, random changes included. The engine has its pictures packed,
and puts them on the device where they fit: that counts, once a training. The reference loop is
written after torchvision's classification reference: `ImageFolder`, worker processes that decode
and change, pinned memory, autocast, the loss fetched at every step for its log. It trains
torchvision's network and timm's. Second table: bare steps of the three networks on one batch that
stays on the device. All in the same precision and memory format, in turns.

Then the peak memory of the engine.

Source: https://github.com/pytorch/vision/tree/main/references/classification
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from resnext import device
from resnext.device import Compute
from resnext.models.architectures import build
from resnext.training import engine
from resnext.training.batches import Batch, Batches, Subsets, epoch_order
from resnext.training.recipe import Recipe
from resnext.training.step import Step, autocast, in_format, move_model
from tests.benchmarks.bench_training import Pictures, eval_steps, prepare, train_steps
from tests.benchmarks.measuring import describe_machine, render

CLASSES = 2
EPOCHS = 5  # of a timed training
TIMED_STEPS = 20


@dataclass(frozen=True)
class Setting:
    """Say what is measured."""

    recipe: Recipe
    compute: Compute
    pictures: Pictures
    rounds: int
    workers: int

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return torch.device(self.compute.device)


def main() -> None:
    """Print two tables in pictures a second, and the peak memory."""
    arguments = parse()
    arch = "resnext50_32x4d"
    compute = device.plan_compute(arguments.device)
    device.apply(compute)
    print(describe_machine(compute.threads))
    print(f"{device_name(compute)}; {device.describe(compute)}; timm {timm.__version__}")
    recipe = Recipe(arch=arch, image_size=arguments.size, batch_size=arguments.batch, epochs=EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        pictures = prepare(Path(folder), arguments.images, arguments.size)
        setting = Setting(recipe, compute, pictures, arguments.rounds, arguments.workers)
        print(f"\n{render_trainings(setting)}\n\n{render_steps(setting)}\n")
        print(describe_engine(setting))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda or cpu (default: cuda)")
    parser.add_argument("--images", type=int, default=4096, help="of an epoch (default: 4096)")
    parser.add_argument("--batch", type=int, default=128, help="pictures a step (default: 128)")
    parser.add_argument("--size", type=int, default=224, help="in pixels (default: 224)")
    parser.add_argument("--rounds", type=int, default=2, help="timed rounds (default: 2)")
    parser.add_argument(
        "--workers", type=int, default=device.count_cpus(),
        help="processes of the reference loop (default: one a CPU)",
    )  # fmt: skip
    return parser.parse_args()


def device_name(compute: Compute) -> str:
    """Name the device."""
    return torch.cuda.get_device_name() if compute.device == "cuda" else compute.device.upper()


def wait(compute: Compute) -> None:
    """Wait until the device has done what it was given."""
    if compute.device == "cuda":
        torch.cuda.synchronize()


def rates(actions: dict[str, Callable[[], object]], images: int, setting: Setting) -> list[float]:
    """Measure actions in turns, after one round that does not count; medians, pictures a second."""
    turns: list[list[float]] = []
    for _ in range(setting.rounds + 1):
        turn = []
        for action in actions.values():
            wait(setting.compute)
            start = time.perf_counter()
            action()
            wait(setting.compute)
            turn.append(images / (time.perf_counter() - start))
        turns.append(turn)
    return [statistics.median(column) for column in zip(*turns[1:], strict=True)]


def render_rates(what: str, actions: dict[str, Callable[[], object]], found: list[float]) -> str:
    """Lay rates out, each with what the first one is of it."""
    rows = [
        [name, f"{rate:,.1f}", f"{found[0] / rate:.2f}"]
        for name, rate in zip(actions, found, strict=True)
    ]
    return render([what, "pictures/s", "ours is times"], rows)


# ---------------------------------------------------------------- trainings


def render_trainings(setting: Setting) -> str:
    """Measure trainings."""
    loader = reference_loader(setting)
    actions: dict[str, Callable[[], object]] = {
        "engine, packed pixels": partial(train_engine, setting, fresh("ours", setting)),
        "reference loop, torchvision's network": partial(
            train_reference, setting, loader, fresh("torchvision", setting)
        ),
        "reference loop, timm's network": partial(
            train_reference, setting, loader, fresh("timm", setting)
        ),
    }
    images = EPOCHS * len(setting.pictures.part)
    return render_rates("trainings", actions, rates(actions, images, setting))


def fresh(whose: str, setting: Setting) -> nn.Module:
    """Build a network with fresh weights."""
    arch = setting.recipe.arch
    if whose == "ours":
        return move_model(build(arch, CLASSES), setting.compute)
    if whose == "timm":
        return move_model(timm.create_model(arch, num_classes=CLASSES), setting.compute)
    return move_model(torchvision.models.get_model(arch, num_classes=CLASSES), setting.compute)


def train_engine(setting: Setting, model: nn.Module) -> None:
    """Train with the engine."""
    part = setting.pictures.part
    nothing = type(part)(part.rows[:0], part.labels[:0], [], [])
    subsets = Subsets(("a", "b"), part, nothing, nothing)
    engine.Training(model, setting.pictures.source, subsets, setting.recipe, setting.compute).fit()


def reference_loader(setting: Setting) -> DataLoader[tuple[Tensor, Tensor]]:
    """Give batches as torchvision's reference does."""
    transform = v2.Compose([*train_steps(setting.recipe.image_size), *eval_steps()])
    return DataLoader(
        ImageFolder(str(setting.pictures.root), transform=transform),
        batch_size=setting.recipe.batch_size,
        shuffle=True,
        num_workers=setting.workers,
        pin_memory=setting.compute.device == "cuda",
        persistent_workers=setting.workers > 0,
    )


def train_reference(
    setting: Setting, loader: DataLoader[tuple[Tensor, Tensor]], model: nn.Module
) -> float:
    """Train as torchvision's reference does; give the mean loss."""
    criterion = nn.CrossEntropyLoss(label_smoothing=setting.recipe.label_smoothing)
    optimizer = torch.optim.AdamW(model.parameters(), lr=setting.recipe.lr)
    model.train()
    losses = 0.0
    for images, labels in chain.from_iterable(repeat(loader, EPOCHS)):
        images = images.to(setting.device, non_blocking=True)
        images = in_format(images, setting.compute)
        labels = labels.to(setting.device, non_blocking=True)
        with autocast(setting.compute):
            loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += loss.item()
    return losses / (EPOCHS * len(loader))


# ---------------------------------------------------------------- bare steps


def render_steps(setting: Setting) -> str:
    """Measure steps on one batch that stays on the device."""
    batch = one_batch(setting)
    actions: dict[str, Callable[[], object]] = {}
    for whose in ("ours", "torchvision", "timm"):
        step = Step(fresh(whose, setting), setting.recipe, setting.compute, None, CLASSES)
        step.model.train()
        actions[f"network: {whose}"] = partial(steps, step, batch, setting)
    images = TIMED_STEPS * len(batch.labels)
    return render_rates("bare steps", actions, rates(actions, images, setting))


def one_batch(setting: Setting) -> Batch:
    """Give the first batch of an epoch."""
    part, recipe = setting.pictures.part, setting.recipe
    batches = Batches(setting.pictures.source, part, setting.compute)
    return next(iter(batches.run(epoch_order(part.labels, recipe, 0)[:1])))


def steps(step: Step, batch: Batch, setting: Setting) -> None:
    """Take as many steps as are timed."""
    for number in range(TIMED_STEPS):
        step(batch, setting.recipe.lr, number)


# ---------------------------------------------------------------- the engine on the device


def describe_engine(setting: Setting) -> str:
    """Say how much memory the engine takes at most."""
    if setting.compute.device != "cuda":
        return "Peak memory is that of a CUDA device: none was measured."
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    train_engine(setting, fresh("ours", setting))
    wait(setting.compute)
    return f"engine: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB at most"


if __name__ == "__main__":
    main()
