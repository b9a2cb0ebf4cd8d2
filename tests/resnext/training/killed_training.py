"""Train a small network again and again, killing it, and compare what comes out.

Trainings run in forked children of this process, so that a kill costs no import of torch. Prints
what was noted, and DIFFERS where a byte is another than without a kill.
"""

import errno
import hashlib
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from resnext.device import Compute
from resnext.training import checkpoints as progress
from resnext.training import engine
from resnext.training.batches import Part
from resnext.training.callback import Callback
from resnext.training.checkpoints import Checkpoints
from resnext.training.recipe import Recipe

CPU = Compute(
    device="cpu", threads=1, precision="fp32", memory_format="contiguous", deterministic=False
)
RECIPE = Recipe(
    image_size=32, epochs=6, batch_size=8, lr=0.01, warmup_epochs=1, ema_decay=0.9, mixup=0.2,
    augment="full", clip_norm=1.0, accumulate=2,
)  # fmt: skip
PICTURES = 24
KILLS = 36
ENDS = 3
CLOCK = {"seconds", "images_per_second", "finished_at"}


class Drawn:
    """A source of made-up pixels."""

    size = 32

    def take(self, rows: np.ndarray) -> np.ndarray:
        pixels = np.random.default_rng(0).integers(0, 255, (PICTURES, 32, 32, 3), dtype=np.uint8)
        return np.asarray(pixels[rows])


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip


def part(rows: range) -> Part:
    numbers = np.array(rows)
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in rows]
    return Part(numbers, numbers % 2, digests, digests)


class StopAt(Callback):
    """Wish to stop after a step."""

    def __init__(self, step: int) -> None:
        self.stop_at, self.step = step, 0

    def on_step(self, step: int, images: int, loss: Tensor) -> None:  # noqa: ARG002
        self.step = step

    def wants_to_stop(self) -> bool:
        return self.step == self.stop_at


def train(folder: Path | None, *callbacks: Callback, say: bool = False) -> str:
    """Train to the end; give a digest of weights and history (times aside)."""
    checkpoints = Checkpoints(folder, print if say else None)
    train_part, val = part(range(18)), part(range(18, 24))
    history, weights = engine.Training(
        network(), Drawn(), train_part, val, RECIPE, CPU, classes=2, callbacks=callbacks,
        checkpoints=checkpoints,
    ).fit()  # fmt: skip
    rows = [
        (r.epoch, r.lr, r.train_loss, r.train_accuracy, r.val_loss, r.val_accuracy) for r in history
    ]
    data = b"".join(weights[name].numpy().tobytes() for name in sorted(weights))
    return hashlib.sha256(data + repr(rows).encode()).hexdigest()


def compare(digest: str) -> None:
    print("same" if digest == train(None) else "DIFFERS")


def in_child(action: Callable[[], object]) -> int:
    """Fork and do something there; give the child's number."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child


def record(root: Path, folder: Path) -> None:
    (root / "digest").write_text(train(folder))


# ---------------------------------------------------------------- the cases


def kill_at_random(root: Path) -> None:
    """Kill trainings at random times, with a checkpoint after every step, as often as KILLS."""
    engine.CHECKPOINT_EVERY = 0.0
    expected = train(None)
    start = time.perf_counter()
    train(root / "timing")
    whole = time.perf_counter() - start
    dice, kills = random.Random(0), 0
    results: list[str] = []
    while kills < KILLS or len(results) < ENDS:
        child = in_child(lambda: record(root, root / "checkpoints"))
        time.sleep(dice.uniform(0, 0.4 * whole))
        if kills < KILLS:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills += 1
        else:
            results.append("same" if (root / "digest").read_text() == expected else "DIFFERS")
            shutil.rmtree(root / "checkpoints")
    print(kills, len(results), *results)


def kill_while_writing(root: Path) -> None:
    """Kill before and after each system call that puts a checkpoint in its place."""
    expected = train(None)
    calls = (("fsync", os), ("replace", Path), ("unlink", Path))
    for (name, holder), number, late in product(calls, range(1, 6), (False, True)):
        folder = root / f"{name}-{number}-{late}"
        os.waitpid(in_child(partial(train_until, folder, name, holder, number, late)), 0)
        print("same" if train(folder) == expected else "DIFFERS")


def train_until(folder: Path, name: str, holder: object, number: int, late: bool) -> None:
    """Train, and die at the `number`-th call of a function."""
    real, calls = getattr(holder, name), 0

    def deadly(*arguments: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls == number and not late:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **more)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    with mock.patch.object(holder, name, deadly):
        train(folder)


def damage(root: Path, how: str) -> None:
    """Stop a training, damage its newest checkpoint (or all), and go on."""
    stop(root, 7)
    files = sorted(root.glob("step-*.pt"))
    for file in files if how == "all" else files[-1:]:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        kept = {"cut": data[: len(data) // 2], "empty": b""}.get(how, data)
        file.write_bytes(bytes(kept))
    compare(train(root, say=True))


def stop(root: Path, step: int) -> None:
    try:
        train(root, StopAt(step))
    except KeyboardInterrupt:
        return
    print("DIFFERS: it did not stop")


def fill_the_disk(root: Path) -> None:
    """Have the disk full when a checkpoint is written, then go on."""
    real, calls = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with mock.patch.object(os, "fsync", full):
        try:
            train(root)
        except OSError as error:
            print(error)
    if list(root.glob("*.new")):
        print("DIFFERS: half a file was left")
    compare(train(root, say=True))


def exceed_a_limit(root: Path) -> None:
    """Have no room in the middle of a checkpoint, then go on."""
    for room in range(2_000, 26_000, 4_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            train(root)
        except OSError as error:
            print(error)
    if list(root.glob("*.new")):
        print("DIFFERS: half a file was left")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    compare(train(root, say=True))


def move(root: Path) -> None:
    """Stop, move the folder, and go on at another time."""
    stop(root / "here", 10)
    shutil.move(root / "here", root / "there")
    with (
        mock.patch.object(time, "monotonic", return_value=1e9),
        mock.patch.object(engine, "datetime") as day,
    ):
        day.now.return_value.isoformat.return_value = "2031-01-01T00:00:00+00:00"
        compare(train(root / "there", say=True))


def main() -> None:
    """Run one case in a folder."""
    case, root = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    assert progress.KEPT == 2
    if case == "random":
        kill_at_random(root)
    elif case == "writing":
        kill_while_writing(root)
    elif case == "stop":
        stop(root, 7)
        compare(train(root, say=True))
    elif case == "full":
        fill_the_disk(root)
    elif case == "limit":
        exceed_a_limit(root)
    elif case == "moved":
        move(root)
    else:
        damage(root, case)


if __name__ == "__main__":
    main()
