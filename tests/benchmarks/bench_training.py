"""Measure what feeds a training, and whole epochs of it, on this machine's CPU.

    python -m tests.benchmarks.bench_training [--quick]

* Packed pixels against `ImageFolder` and `DataLoader` (workers 0), without random changes and with
  those of the default recipe.
* The share of a training step that goes by before its batch is there, random changes included.
* An epoch of the engine, validation and checkpoint included, against an epoch of the loop of the
  script that the project began as: with that script's network (32 convolutions a layer) and with
  ours, which computes the same.

Pictures are made up. Packing them, which is done once for all epochs and runs, is told apart.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from resnext import device
from resnext.data.manifest.scan import scan
from resnext.data.pixels import PackedPixels, ScannedImage, pack
from resnext.device import Compute
from resnext.models.architectures import MEAN, STD, build
from resnext.training import engine
from resnext.training.augmentation import ASPECTS, COLOUR, DEGREES, HUE, SMALLEST_AREA
from resnext.training.batches import Batches, Subset, Subsets, epoch_order
from resnext.training.checkpoints import Checkpoints
from resnext.training.recipe import Augment, Recipe
from resnext.training.step import Step
from tests.benchmarks import script_loop
from tests.benchmarks.grouped_loop import build_loop
from tests.benchmarks.measuring import describe_machine, in_turns, report, seconds_of
from tests.benchmarks.photographs import draw_photographs

CLASSES = 2
BATCH = 32
STORED = (224, 224)  # of the pictures on disk, in pixels
GOALS = {"packed": 6.0, "changed": 1.0, "waiting": 0.05, "epoch": 1.5}


@dataclass(frozen=True)
class Load:
    """Say how much is measured."""

    fed: int  # pictures of which batches are made
    trained: int  # pictures of an epoch
    steps: int  # of which the share of waiting is taken
    rounds: int


FULL = Load(fed=1024, trained=448, steps=12, rounds=3)
QUICK = Load(fed=64, trained=64, steps=2, rounds=1)


@dataclass(frozen=True)
class Pictures:
    """Pictures of one folder, as they lie and packed."""

    root: Path
    source: PackedPixels
    part: Subset


def main() -> None:
    """Print every figure with its goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run on few pictures")
    load = QUICK if parser.parse_args().quick else FULL
    compute = device.plan_compute("cpu")
    device.apply(compute)
    print(describe_machine(compute.threads), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        feeding(Path(folder) / "fed", load, compute)
        for size, arch in ((64, "resnext38_32x4d"), (224, "resnext50_32x4d")):
            waiting(Path(folder) / f"{size}", size, arch, load)
        epochs(Path(folder) / "trained", 96, load)


def prepare(root: Path, number: int, size: int) -> Pictures:
    """Draw pictures where there are none and pack them; say how long the packing took."""
    if not (root / "pictures").exists():
        draw_photographs(root / "pictures", STORED, number)
    manifest = scan(root / "pictures", workers=1).manifest
    digests, paths = manifest["sha256"].tolist(), manifest["path"].tolist()
    pictures = [
        ScannedImage(root / "pictures" / path, digest)
        for path, digest in zip(paths, digests, strict=True)
    ]
    file = root / f"{size}.npy"
    seconds = seconds_of(lambda: pack(pictures, size, file, workers=device.count_cpus()))
    print(f"packed {number:,} pictures at {size} px in {seconds:.1f} s")
    source = PackedPixels(file, digests)
    labels = np.array([int(label == "b") for label in manifest["label"]], dtype=np.int64)
    return Pictures(root / "pictures", source, Subset(np.arange(number), labels, digests, paths))


# ---------------------------------------------------------------- what feeds a training


def feeding(root: Path, load: Load, compute: Compute) -> None:
    """Compare the rate of batches that are ready for the network, at 224 px."""
    pictures = prepare(root, load.fed, 224)
    changes: tuple[tuple[Augment, str, v2.Compose], ...] = (
        ("none", "packed", v2.Compose([v2.Resize(STORED), *eval_steps()])),
        ("full", "changed", v2.Compose([*train_steps(224), *eval_steps()])),
    )
    for kind, goal, transform in changes:
        folder = ImageFolder(str(pictures.root), transform=transform)
        loader = DataLoader(folder, batch_size=BATCH, shuffle=True)
        batches = Batches(pictures.source, pictures.part, compute, Recipe(augment=kind))
        order = epoch_order(pictures.part.labels, Recipe(batch_size=BATCH), 0)
        ours, theirs = in_turns(
            load.rounds,
            lambda batches=batches, order=order: [None for _ in batches.run(order)],  # type: ignore[misc]
            lambda loader=loader: [None for _ in loader],  # type: ignore[misc]
        )
        mine, other = load.fed / ours, load.fed / theirs
        what = f"packed pixels against ImageFolder at 224 px, changes: {kind}, pictures/s"
        report(what, mine, other, mine / other >= GOALS[goal])


def train_steps(size: int) -> list[nn.Module]:
    """Give torchvision's transforms that do what the default recipe does."""
    return [
        v2.RandomHorizontalFlip(),
        v2.RandomVerticalFlip(),
        v2.RandomRotation(DEGREES, interpolation=v2.InterpolationMode.BILINEAR),
        v2.RandomResizedCrop(size, scale=(SMALLEST_AREA, 1.0), ratio=ASPECTS),
        v2.ColorJitter(COLOUR, COLOUR, COLOUR, HUE),
    ]


def eval_steps() -> list[nn.Module]:
    """Give what follows for every picture."""
    return [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]


# ---------------------------------------------------------------- whether a step waits


def waiting(root: Path, size: int, arch: str, load: Load) -> None:
    """Take the share of a step that passes before its batch is there."""
    recipe = Recipe(arch=arch, image_size=size, batch_size=BATCH)
    compute = device.plan_compute("cpu")
    pictures = prepare(root, load.steps * BATCH, size)
    step = Step(build(arch, CLASSES), recipe, compute, None, CLASSES)
    step.freeze(0)
    batches = Batches(pictures.source, pictures.part, compute, recipe)
    waited = spent = 0.0
    before = time.perf_counter()
    for number, batch in enumerate(batches.run(epoch_order(pictures.part.labels, recipe, 0))):
        there = time.perf_counter()
        step(batch, recipe.lr, number)
        after = time.perf_counter()
        if number:  # the first step also sets up what it computes with
            waited, spent = waited + there - before, spent + after - before
        before = after
    share = waited / spent
    verdict = "reached" if share < GOALS["waiting"] else "MISSED"
    print(
        f"{arch} at {size} px, default changes: {share:.1%} of a step passes before its batch is "
        f"there (goal under {GOALS['waiting']:.0%}: {verdict})",
        flush=True,
    )


# ---------------------------------------------------------------- whole epochs


def epochs(root: Path, size: int, load: Load) -> None:
    """Compare an epoch of the engine with an epoch of the script's loop."""
    pictures = prepare(root, load.trained, size)
    recipe = Recipe(
        arch="resnext38_32x4d", image_size=size, epochs=1, batch_size=BATCH, lr=1e-4,
        optimizer="sgd", momentum=0, weight_decay=0, schedule="constant", warmup_epochs=0,
        label_smoothing=0, augment="none",
    )  # fmt: skip
    compute = device.plan_compute("cpu")
    ours = build(recipe.arch, CLASSES)
    loader = script_loop.load(pictures.root, size, BATCH, shuffle=True)
    for network, goal in ((build_loop(CLASSES), GOALS["epoch"]), (build(recipe.arch, CLASSES), 0)):
        optimizer = torch.optim.SGD(network.parameters(), lr=recipe.lr)
        mine, other = in_turns(
            load.rounds,
            lambda: engine_epoch(ours, pictures, recipe, compute, root / "checkpoints"),
            lambda network=network, optimizer=optimizer: script_loop.run_epoch(  # type: ignore[misc]
                network, loader, loader, optimizer
            ),
        )
        name = "32 convolutions a layer" if goal else "our network"
        what = f"epochs at {size} px against the script's loop with {name}, pictures/s"
        mine, other = load.trained / mine, load.trained / other
        report(what, mine, other, mine / other >= goal if goal else None)


def engine_epoch(
    model: nn.Module, pictures: Pictures, recipe: Recipe, compute: Compute, folder: Path
) -> None:
    """Train an epoch with a checkpoint, and measure the same pictures as the script does."""
    part = pictures.part
    subsets = Subsets(("a", "b"), part, part, part)
    engine.Training(
        model, pictures.source, subsets, recipe, compute, checkpoints=Checkpoints(folder)
    ).fit()
    for file in folder.iterdir():  # the next round starts anew
        file.unlink()


if __name__ == "__main__":
    main()
