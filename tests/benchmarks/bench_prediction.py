"""Measure the prediction of folders, against the loop that the script's author would write.

    python -m tests.benchmarks.bench_prediction [--rounds N]

First: a folder of photographs by ResNeXt-50 at 224 px, from the start of a program to its end
(libraries imported, processes started, files read, answers written), by torch and by an exported
model. The loop opens one file after the other, and has all threads. All take turns; medians count.
How long a process waits for its pictures is the share of reading and decoding in what it does.

Second: 10,000 files of which 100 are bad, by a small network. Every file must have its row, in
order, with its own answer; memory is the peak of the program; the run is killed ten times at
random, and must give the same bytes.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from resnext.contracts.tables import iterate_rows
from resnext.device import count_cpus
from resnext.inference import batch
from resnext.inference.batch import FileToAnswer
from resnext.inference.export import export_model
from resnext.inference.predictor import open_judging
from resnext.models.architectures import MEAN, STD, build
from resnext.models.model_file import ModelCard, save_model
from tests.benchmarks.measuring import describe_machine, render, seconds_of
from tests.benchmarks.photographs import draw_photographs
from tests.benchmarks.predicting import LOOP, job_of

PHOTOGRAPHS, SIZE = 400, 224
FILES, BAD, KILLS = 10_000, 100, 10
GOALS = {"torch": 1.2, "onnx": 1.4}
PROGRAM = "tests.benchmarks.predicting"
REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Print both measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds (default: 3)")
    rounds = parser.parse_args().rounds
    print(describe_machine(count_cpus()))
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        measure_folder(folder, rounds)
        measure_many(folder)


def make_model(folder: Path, name: str, size: int) -> Path:
    """Write a network of random weights, and its export beside it."""
    torch.manual_seed(0)
    folder.mkdir()
    card = ModelCard(classes=("a", "b"), architecture=name, image_size=size, mean=MEAN, std=STD)
    network = build(name, 2)
    torch.nn.init.normal_(network.get_parameter("fc.weight"))  # else all answers are alike
    save_model(folder / "model.safetensors", network.state_dict(), card)
    export_model(folder / "model.safetensors", {}, folder / "model.onnx", {})
    return folder / "model.safetensors"


# ---------------------------------------------------------------- a folder, end to end


def measure_folder(folder: Path, rounds: int) -> None:
    """Compare both runtimes with the loop, in turns."""
    model = make_model(folder / "resnext50", "resnext50_32x4d", SIZE)
    paths = draw_photographs(folder / "photographs", (300, 300), PHOTOGRAPHS)
    times: dict[str, list[float]] = {"loop": [], "torch": [], "onnx": []}
    for turn in range(rounds):
        for name, seconds in times.items():
            file = model.with_suffix(".onnx") if name == "onnx" else model
            out = LOOP if name == "loop" else folder / f"{name}{turn}"
            seconds.append(whole(file, folder / "photographs", out)[0])
    rates = {name: PHOTOGRAPHS / float(np.median(each)) for name, each in times.items()}
    rows = []
    for name, rate in rates.items():
        found = float(np.median(np.array(times["loop"]) / np.array(times[name])))
        goal = GOALS.get(name)
        met = "" if goal is None else f">= {goal} {'met' if found >= goal else 'MISSED'}"
        rows.append([name, f"{rate:.1f}", f"{found:.2f}", met, waiting(model, name, paths)])
    head = [f"{PHOTOGRAPHS} images at {SIZE} px", "images/s", "of the loop", "goal", "reading"]
    print(f"\n{render(head, rows)}", flush=True)


def waiting(model: Path, runtime: str, paths: list[str]) -> str:
    """Give the share of its time that a process reads and decodes in."""
    if runtime == "loop":
        return ""
    job = job_of(model.with_suffix(".onnx") if runtime == "onnx" else model)
    judge = open_judging(job.model, job.execution, job.reference)
    files = [FileToAnswer(path, path, "") for path in paths[:32]]
    batch._answers(judge, batch._read_some(job, files[:8]), job.execution.compute)
    reading = seconds_of(lambda: batch._read_some(job, files))
    seen = batch._read_some(job, files)
    answering = seconds_of(lambda: batch._answers(judge, seen, job.execution.compute))
    return f"{100 * reading / (reading + answering):.1f} %"


# ---------------------------------------------------------------- many files, bad ones, kills


def measure_many(folder: Path) -> None:
    """Predict 10,000 files whole, then with ten kills, and compare."""
    model = make_model(folder / "small", "resnext38_32x4d", 32).with_suffix(".onnx")
    many = draw_many(folder / "many")
    seconds, peak = whole(model, many, folder / "whole")
    wrong = check_rows(folder / "whole" / "predictions.csv", model, many)
    print(
        f"\n{FILES:,} files, {BAD} of them bad: {FILES / seconds:.0f} files/s, {wrong} rows wrong"
    )
    few = folder / "few"
    few.mkdir()
    for path in sorted(many.iterdir())[: FILES // 10]:
        os.link(path, few / path.name)
    _, small = whole(model, few, folder / "few whole")
    print(f"peak memory of the program: {peak:.0f} MiB; of a tenth of the files {small:.0f} MiB")
    killed = kill_at_random(model, many, folder / "killed", seconds)
    one, other = ((folder / name / "predictions.csv").read_bytes() for name in ("whole", "killed"))
    print(f"killed {killed} times: {'the same bytes' if one == other else 'OTHER BYTES'}")


def draw_many(folder: Path) -> Path:
    """Draw small images, each of a colour of its own, and among them files that are none."""
    folder.mkdir()
    bad = set(random.Random(0).sample(range(FILES), BAD))
    for number in range(FILES):
        path = folder / f"{number:05}.png"
        if number in bad:
            path.write_bytes((b"", b"no image at all", b"\x89PNG\r\n\x1a\n")[number % 3])
        else:
            colour = number % 256, number // 256 % 256, 128
            Image.new("RGB", (32, 32), colour).save(path)
    return folder


def program(model: Path, source: Path, out: Path | str) -> list[str]:
    """Give the command that predicts a folder in a process of its own."""
    return [sys.executable, "-m", PROGRAM, *map(str, (model, source, out))]


def whole(model: Path, source: Path, out: Path | str) -> tuple[float, float]:
    """Predict in a process of its own; give the seconds and its peak memory in MiB."""
    start = time.perf_counter()
    done = subprocess.run(
        program(model, source, out), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, float(done.stdout)


def kill_at_random(model: Path, source: Path, out: Path, seconds: float) -> int:
    """Kill the program and all its processes ten times, then let it end; give how often it was."""
    draw, killed = random.Random(1), 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            program(model, source, out), cwd=REPOSITORY, start_new_session=True
        )
        time.sleep(draw.uniform(2, 2 + seconds / 4))
        killed += process.poll() is None
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    whole(model, source, out)
    return killed


def check_rows(table: Path, model: Path, source: Path) -> int:
    """Count rows that are out of place, or whose answer isn't the one that the file gets alone."""
    rows, names = list(iterate_rows(table)), sorted(path.name for path in source.iterdir())
    wrong = sum(row["path"] != name for row, name in zip(rows, names, strict=True))
    wrong += sum(row["status"] != "ok" for row in rows) != BAD
    job = job_of(model)
    judge = open_judging(job.model, job.execution, job.reference)
    for place in random.Random(2).sample(range(FILES), 300):
        files = [FileToAnswer(str(source / names[place]), names[place], "")]
        (alone,) = batch._answers(judge, batch._read_some(job, files), job.execution.compute)
        row = rows[place]
        if alone.logs is None:
            wrong += row["status"] != "error" or row["p_a"] != ""
        else:
            wrong += abs(float(row["p_a"]) - float(np.exp(alone.logs[0]))) > 1e-5
    return int(wrong)


if __name__ == "__main__":
    main()
