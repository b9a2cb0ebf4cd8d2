"""Measure how time and memory of the stages grow with the number of files.

    python -m tests.benchmarks.bench_scale [--files N ...] [--folder FOLDER]

Draws so many images of noise, 32 x 32 pixels each, in ten classes, and runs scan, split, pack (at
32 px) and the prediction of a folder by a stand-in network, each in a program of its own. Shown are
seconds, and the peak memory of the program (without the processes that it starts, each of which
holds a few files at a time). By default with 10,000 files; 1,000,000 need 10 GB and an hour or two.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from resnext.data.split.settings import SplitSettings
from resnext.device import count_cpus
from tasks.pack import pack
from tasks.scan import scan
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime
from tests.benchmarks.measuring import describe_machine, render
from tests.benchmarks.predicting import predict

CLASSES, SIZE = 10, 32
STAGES = ("scan", "split", "pack", "predict")
REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Print a table of seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=[10_000])
    parser.add_argument("--folder", type=Path, help="where to draw (default: a temporary folder)")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        return run_stage(given.stage, given.folder)
    print(describe_machine(count_cpus()))
    rows = []
    for files in given.files:
        with tempfile.TemporaryDirectory(dir=given.folder) as text:
            draw(Path(text), files)
            cells = [measure(Path(text), stage) for stage in STAGES]
            rows.append([f"{files:,}", *cells])
            print(f"{files:,} files: {', '.join(cells)}", flush=True)
    print(f"\n{render(['files', *STAGES], rows)}")
    return None


def draw(folder: Path, files: int) -> None:
    """Draw images of noise, in class folders, and write the stand-in network."""
    from tests.benchmarks.stand_in import write_stand_in

    random = np.random.default_rng(0)
    for number in range(CLASSES):
        (folder / "data" / f"class {number}").mkdir(parents=True)
    for number in range(files):
        noise = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((SIZE, SIZE))
        path = folder / "data" / f"class {number % CLASSES}" / f"{number:07}.jpg"
        image.save(path, quality=80)
    write_stand_in(folder / "model.onnx", SIZE)


def measure(folder: Path, stage: str) -> str:
    """Run a stage in a program of its own; give its seconds and peak memory."""
    start = time.perf_counter()
    words = ["--stage", stage, "--folder", str(folder)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.bench_scale", *words],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return f"{seconds:,.0f} s, {float(done.stdout.split()[-1]):,.0f} MiB"


def run_stage(stage: str, folder: Path) -> None:
    """Run one stage and print the peak memory of this program in MiB."""
    runtime = Runtime(store=folder / "store", data=folder / "data", workers=count_cpus())
    places = {name: folder / f"{name}.json" for name in STAGES}

    def kept(name: str) -> Artifact:
        return Artifact.model_validate_json(places[name].read_text(encoding="utf-8"))

    def predicted() -> None:
        predict(folder / "model.onnx", folder / "data", folder / "predicted")

    stages: dict[str, Callable[[], Artifact | None]] = {
        "scan": lambda: scan.fn(runtime),
        "split": lambda: split.fn(runtime, kept("scan"), SplitSettings()),
        "pack": lambda: pack.fn(runtime, kept("scan"), SIZE),
        "predict": predicted,
    }
    made = stages[stage]()
    if made is not None:
        places[stage].write_text(made.model_dump_json(), encoding="utf-8")
    scale = 1024 * (1024 if sys.platform == "darwin" else 1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)


if __name__ == "__main__":
    main()
