"""Measure the networks on this machine's CPU, in one run.

    python -m tests.benchmarks.bench_model [--quick]

First table: `resnext38_32x4d` with native grouped convolutions against the same network with 32
convolutions a layer. Second: `resnext50_32x4d` against torchvision's, each in its better memory
format. Third: both memory formats for three ResNeXt networks and every size. Fourth: a training
step compiled by `torch.compile`, in the format that a run would choose, and how long its first call
takes. It needs a C++ compiler.

The variants of one comparison take turns (A B A B ...), so that what else the machine does meets
all of them. Rates are medians over the rounds, ratios medians over the ratios of each round.
"""

import argparse
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
import torchvision
from torch import Tensor, nn

from resnext.device import count_cpus, plan_compute
from resnext.models.architectures import build
from resnext.speed import fastest
from resnext.training.formats import measure_formats
from tests.benchmarks.grouped_loop import build_loop
from tests.benchmarks.measuring import describe_machine, render, seconds_of

CLASSES = 2
MEASURED = ("resnext50_32x4d", "resnext38_32x4d", "resnext101_32x8d")
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
LOOP_GOALS = {64: 1.4, 96: 1.5}
TORCHVISION_GOAL = 0.97
MIN_SECONDS = 0.3

Step = Callable[[], object]
Rates = dict[str, list[float]]


@dataclass(frozen=True)
class Load:
    """Say how much is measured: the pictures of a step by their size, and the rounds."""

    batches: dict[int, int]
    rounds: int

    def __str__(self) -> str:
        batches = ", ".join(f"{batch} at {size} px" for size, batch in self.batches.items())
        return f"{self.rounds} rounds, pictures a step: {batches}"


FULL = Load(batches={64: 32, 96: 16, 224: 4}, rounds=5)
QUICK = Load(batches={64: 4}, rounds=2)


@dataclass(frozen=True)
class Speed:
    """Hold what was measured at one size: pictures a second in each round, by variant."""

    size: int
    train: Rates
    infer: Rates


def prepare(
    model: nn.Module, memory_format: str, size: int, batch: int, *, compiled: bool = False
) -> tuple[Step, Step]:
    """Return a training step (forward, loss, backward, SGD step) and a forward pass."""
    model = model.to(memory_format=FORMATS[memory_format])
    if compiled:
        model.compile()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=FORMATS[memory_format])
    y = torch.randint(CLASSES, (batch,))

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        torch.autograd.backward(loss)
        optimizer.step()

    def infer() -> Tensor:
        model.eval()
        with torch.inference_mode():
            logits: Tensor = model(x)
        return logits

    return train, infer


def rate(step: Step, batch: int) -> float:
    """Repeat a step for at least `MIN_SECONDS`; pictures a second."""
    start, done = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < MIN_SECONDS:
        step()
        done += batch
    return done / seconds


def alternate(steps: dict[str, Step], batch: int, rounds: int) -> Rates:
    """Measure the steps in turns, after one untimed call each; pictures a second by round."""
    for step in steps.values():
        step()
    turns = [{name: rate(step, batch) for name, step in steps.items()} for _ in range(rounds)]
    return {name: [turn[name] for turn in turns] for name in steps}


def measure(
    builders: dict[str, Callable[[], nn.Module]], size: int, batch: int, rounds: int
) -> Speed:
    """Measure each network in both memory formats, named "network/format"."""
    prepared = {
        f"{name}/{memory_format}": prepare(builder(), memory_format, size, batch)
        for memory_format in FORMATS
        for name, builder in builders.items()
    }
    return Speed(
        size=size,
        train=alternate({name: steps[0] for name, steps in prepared.items()}, batch, rounds),
        infer=alternate({name: steps[1] for name, steps in prepared.items()}, batch, rounds),
    )


def best(rates: Rates, network: str) -> str:
    """Name the variant of a network with the higher median rate."""
    return max((name for name in rates if name.startswith(network)), key=lambda n: median(rates[n]))


def ratio(rates: Rates, ours: str, theirs: str) -> float:
    """Divide round by round, then take the median."""
    return median(a / b for a, b in zip(rates[ours], rates[theirs], strict=True))


def compare(rates: Rates, ours: str, theirs: str, goal: float | None) -> list[str]:
    """Render what two networks reach, each in its better format, as cells of a table."""
    mine, other = best(rates, ours), best(rates, theirs)
    value = ratio(rates, mine, other)
    met = "" if goal is None else f">= {goal} {'met' if value >= goal else 'MISSED'}"
    cells = [f"{median(rates[name]):.1f} {name.split('/')[1]}" for name in (mine, other)]
    return [*cells, f"{value:.2f}", met]


def rivals(architecture: str) -> dict[str, Callable[[], nn.Module]]:
    """Return what an architecture is measured with: itself, and what it is compared to."""
    builders: dict[str, Callable[[], nn.Module]] = {
        architecture: lambda: build(architecture, CLASSES)
    }
    if architecture == "resnext38_32x4d":
        builders["loop"] = lambda: build_loop(CLASSES)
    if architecture == "resnext50_32x4d":
        builders["torchvision"] = lambda: torchvision.models.resnext50_32x4d(num_classes=CLASSES)
    return builders


def lighten(load: Load) -> Load:
    """Return the load for the largest network: a quarter of the pictures, at most 3 rounds."""
    batches = {size: max(2, batch // 4) for size, batch in load.batches.items()}
    return Load(batches, rounds=min(3, load.rounds))


def measure_all(loads: dict[str, Load]) -> dict[str, list[Speed]]:
    """Measure every architecture at every size of its load."""
    return {
        architecture: [
            measure(rivals(architecture), size, batch, load.rounds)
            for size, batch in load.batches.items()
        ]
        for architecture, load in loads.items()
    }


def render_comparison(
    speeds: Sequence[Speed], ours: str, theirs: str, goals: dict[tuple[str, int], float]
) -> str:
    """Render one row a size and kind of step."""
    rows = [
        [kind, f"{speed.size} px", *compare(rates, ours, theirs, goals.get((kind, speed.size)))]
        for speed in speeds
        for kind, rates in (("train", speed.train), ("infer", speed.infer))
    ]
    return render(["step", "size", ours, theirs, "ratio", "goal"], rows)


def render_formats(speeds: dict[str, list[Speed]]) -> str:
    """Render channels_last against contiguous."""
    rows = [
        [
            architecture,
            kind,
            f"{speed.size} px",
            *(f"{median(rates[f'{architecture}/{name}']):.1f}" for name in FORMATS),
            f"{ratio(rates, f'{architecture}/channels_last', f'{architecture}/contiguous'):.2f}",
        ]
        for architecture, measured in speeds.items()
        for speed in measured
        for kind, rates in (("train", speed.train), ("infer", speed.infer))
    ]
    return render(["architecture", "step", "size", *FORMATS, "ratio"], rows)


def measure_compiled(loads: dict[str, Load]) -> str:
    """Measure a compiled training step of every architecture at its middle size."""
    rows = []
    for architecture, load in loads.items():
        size = sorted(load.batches)[len(load.batches) // 2]
        batch, compute = load.batches[size], plan_compute("cpu")
        found = measure_formats(architecture, size, compute, training=True)
        layout = fastest(found, compute.memory_format)
        torch.compiler.reset()
        steps = {
            name: prepare(build(architecture, CLASSES), layout, size, batch, compiled=compiled)[0]
            for name, compiled in (("plain", False), ("compiled", True))
        }
        first = seconds_of(steps["compiled"])
        rates = alternate(steps, batch, load.rounds)
        plain, compiled = (median(rates[name]) for name in steps)
        gain = ratio(rates, "compiled", "plain")
        cells = [f"{plain:.1f}", f"{compiled:.1f}", f"{gain:.2f}", f"{first:.0f} s"]
        rows.append([architecture, f"{size} px", *cells])
    head = ["architecture", "size", "plain", "compiled", "ratio", "first step"]
    return render(head, rows)


def print_tables(speeds: dict[str, list[Speed]]) -> None:
    """Print the three tables."""
    loop_goals = {("train", size): goal for size, goal in LOOP_GOALS.items()}
    goals = {(kind, size): TORCHVISION_GOAL for kind in ("train", "infer") for size in FULL.batches}
    for architecture, rival, goal in (
        ("resnext38_32x4d", "loop", loop_goals),
        ("resnext50_32x4d", "torchvision", goals),
    ):
        print(f"\n{render_comparison(speeds[architecture], architecture, rival, goal)}")
    print(f"\n{render_formats(speeds)}")


def main() -> None:
    """Measure, and print the four tables in pictures a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: 64 px, 2 rounds")
    load = QUICK if parser.parse_args().quick else FULL
    loads = dict.fromkeys(MEASURED, load) | {"resnext101_32x8d": lighten(load)}
    torch.set_num_threads(count_cpus())
    torch.manual_seed(0)
    print(describe_machine(torch.get_num_threads()))
    print(
        "Pictures a second, medians of alternating rounds; fp32; each network in its better format"
    )
    print(*(f"{name}: {load}" for name, load in loads.items()), sep="\n")
    start = time.perf_counter()
    print_tables(measure_all(loads))
    if shutil.which("g++") or shutil.which("clang++"):
        print(f"\n{measure_compiled(loads)}")
    else:
        print("\nNo C++ compiler was found: compiled steps were not measured.")
    print(f"\nTook {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
