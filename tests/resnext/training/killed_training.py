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
from collections import OrderedDict
from collections.abc import Callable
from functools import cache, partial
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from resnext.training import engine
from resnext.training.batches import Subset, Subsets
from resnext.training.callback import Callback
from resnext.training.checkpoints import Checkpoints
from resnext.training.recipe import Recipe
from tests.resnext.samples import CPU

RECIPE = Recipe(
    image_size=32, epochs=6, batch_size=8, lr=0.01, warmup_epochs=1, ema_decay=0.9, mixup=0.2,
    augment="full", clip_norm=1.0, accumulate=2, freeze_epochs=1, freeze_stages=1, layer_decay=0.5,
)  # fmt: skip
IMAGES = 24


class Drawn:
    """A source of made-up pixels."""

    size = 32

    def take(self, rows: np.ndarray) -> np.ndarray:
        pixels = np.random.default_rng(0).integers(0, 255, (IMAGES, 32, 32, 3), dtype=np.uint8)
        return np.asarray(pixels[rows])


def network() -> nn.Module:
    """Give a network with two stages, of which the first is frozen, and a last layer."""
    torch.manual_seed(0)
    layers = {
        "layer1": nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()),
        "layer2": nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
        "pool": nn.Sequential(nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "fc": nn.Linear(16, 2),
    }
    return nn.Sequential(OrderedDict(layers))


def subset(rows: range) -> Subset:
    numbers = np.array(rows)
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in rows]
    return Subset(numbers, numbers % 2, digests, digests)


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
    subsets = Subsets(("a", "b"), subset(range(18)), subset(range(18, 24)), subset(range(0)))
    history, weights = engine.Training(
        network(), Drawn(), subsets, RECIPE, CPU, callbacks=callbacks, checkpoints=checkpoints
    ).fit()
    rows = [
        (r.epoch, r.lr, r.train_loss, r.train_accuracy, r.val_loss, r.val_accuracy) for r in history
    ]
    data = b"".join(weights[name].numpy().tobytes() for name in sorted(weights))
    return hashlib.sha256(data + repr(rows).encode()).hexdigest()


@cache
def expected() -> str:
    """Give the digest of a training that nothing stopped."""
    return train(None)


def compare(digest: str) -> None:
    print("same" if digest == expected() else "DIFFERS")


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


# ---------------------------------------------------------------- the cases


def kill_at_random(root: Path, kills: int = 12) -> None:
    """Kill trainings at random times, with a checkpoint after every step; then let two end."""
    whole = expected()
    start = time.perf_counter()
    with mock.patch.object(engine, "CHECKPOINT_EVERY", 0.0):
        train(root / "timing")
        seconds = time.perf_counter() - start
        dice = random.Random(0)
        for number in range(kills + 2):
            child = in_child(lambda: (root / "digest").write_text(train(root / "checkpoints")))
            time.sleep(dice.uniform(0, 0.4 * seconds))
            if number < kills:
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                print("same" if (root / "digest").read_text() == whole else "DIFFERS")
                shutil.rmtree(root / "checkpoints")


def kill_while_writing(root: Path) -> None:
    """Kill before and after each system call that puts a checkpoint in its place."""
    calls = (("fsync", os), ("replace", Path), ("unlink", Path))
    for (name, holder), number, late in product(calls, (1, 2, 3), (False, True)):
        folder = root / f"{name}-{number}-{late}"
        os.waitpid(in_child(partial(train_until, folder, name, holder, number, late)), 0)
        compare(train(folder))


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


def damage(how: str, root: Path) -> None:
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


def stop_and_go_on(root: Path) -> None:
    stop(root, 7)
    compare(train(root, say=True))


def fail_to_write(root: Path) -> None:
    """Train until a checkpoint can't be written, and say why."""
    try:
        train(root)
    except OSError as error:
        print(error)
    if list(root.glob("*.new")):
        print("DIFFERS: half a file was left")


def fill_the_disk(root: Path) -> None:
    """Have the disk full when the third checkpoint is written, then go on."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with mock.patch.object(os, "fsync", side_effect=[None, None, None, None, full]):
        fail_to_write(root)
    compare(train(root, say=True))


def exceed_a_limit(root: Path) -> None:
    """Have no room in the middle of a checkpoint, then go on."""
    for room in (2_000, 10_000, 22_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        fail_to_write(root)
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


CASES: dict[str, Callable[[Path], None]] = {
    "random": kill_at_random,
    "writing": kill_while_writing,
    "stop": stop_and_go_on,
    "full": fill_the_disk,
    "limit": exceed_a_limit,
    "moved": move,
    **{how: partial(damage, how) for how in ("flip", "cut", "empty", "all")},
}


def main() -> None:
    """Run every case in a folder of its own; a second word kills so many times at random alone."""
    root = Path(sys.argv[1])
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        kill_at_random(root, int(sys.argv[2]))
        return
    for name, case in CASES.items():
        print(f"# {name}")
        (root / name).mkdir()
        case(root / name)


if __name__ == "__main__":
    main()
