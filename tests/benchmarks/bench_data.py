"""Time the scan and the search for near-duplicates against bare loops, and measure their memory.

Pictures and hashes are made up. Each pair of figures is taken in turns within one run; the median
of the rounds counts.
"""

import argparse
import hashlib
import io
import logging
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest.mock import patch

import imagehash
import numpy as np
from PIL import Image

from resnext.data.manifest.scan import scan
from resnext.data.split.duplicates import LISTED, close_pairs
from resnext.device import count_cpus
from tasks.scan import scan as scan_stage
from tasks.stage.artifact import Runtime
from tests.benchmarks.measuring import describe_machine, in_turns, report
from tests.benchmarks.photographs import draw_photographs

CHUNK = 32
ROWS = 1_000_000
HASHES = 100_000
GOALS = {"first scan": 0.7, "rescan": 5.0, "memory": 2048.0, "search": 60.0}


def main() -> None:
    """Print every figure with its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds of each (default: 3)")
    parser.add_argument("--files", type=int, default=100_000, help="small files (default: 100,000)")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        divide_rows(arguments.memory_of)
        return
    logging.disable()  # the stages' own lines
    print(describe_machine(count_cpus()))
    for size, number in (((224, 224), 5000), ((1600, 1200), 160)):
        first_scan(size, number, arguments.rounds)
    rescan(arguments.files, arguments.rounds)
    memory()
    search()


# ---------------------------------------------------------------- the first scan


def first_scan(size: tuple[int, int], number: int, rounds: int) -> None:
    """Compare a scan with a bare parallel loop of decoding, sha256 and one perceptual hash.

    The loop's processes stand ready before it is timed; the scan starts its own.
    """
    workers = count_cpus()
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, mp_context=spawn) as pool,
    ):
        paths = draw_photographs(Path(folder), size, number)
        chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
        ours, bare = in_turns(
            rounds,
            lambda: scan(Path(folder), workers=workers),
            lambda: list(pool.map(bare_chunk, chunks)),
        )
    report(
        f"first scan, {number:,} JPEGs of {size[0]} x {size[1]}, pictures/s",
        number / ours,
        number / bare,
        (number / ours) / (number / bare) >= GOALS["first scan"],
    )


def bare_chunk(paths: list[str]) -> list[tuple[str, str]]:
    """Decode and hash, and do nothing else."""
    found = []
    for path in paths:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            found.append((hashlib.sha256(data).hexdigest(), str(imagehash.phash(image))))
    return found


# ---------------------------------------------------------------- a scan of what is known


def rescan(number: int, rounds: int) -> None:
    """Compare the scan stage, with all files unchanged, with a bare walk that stats them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        write_small_files(root, number)
        runtime = Runtime(store=Path(folder) / "store", data=root, workers=count_cpus())
        scan_stage.fn(runtime)
        ours, bare = in_turns(rounds, lambda: scan_stage.fn(runtime), lambda: walk(root))
    report(
        f"unchanged rescan of {number:,} files against walk and stat, s",
        ours,
        bare,
        ours / bare <= GOALS["rescan"],
    )


def write_small_files(root: Path, number: int) -> None:
    """Write tiny pictures that differ, in 100 folders of two classes."""
    pixel = io.BytesIO()
    Image.new("L", (2, 2)).save(pixel, "PNG")
    for place in range(number):
        folder = root / "ab"[place % 2] / f"{place % 50:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place:06}.png").write_bytes(pixel.getvalue() + str(place).encode())


def walk(root: Path) -> int:
    """Stat every file below root."""
    size = 0
    waiting = [str(root)]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                size += entry.stat().st_size
    return size


# ---------------------------------------------------------------- many rows


def memory() -> None:
    """Measure the peak memory of dividing a million rows, in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.bench_data", "--memory-of", str(ROWS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    peak, seconds = map(float, done.stdout.split())
    verdict = "reached" if peak <= GOALS["memory"] else "MISSED"
    print(
        f"manifest of {ROWS:,} rows, read, divided, audited, written: {peak:,.0f} MiB at most, "
        f"{seconds:.0f} s (goal {GOALS['memory']:,.0f} MiB: {verdict})"
    )


def divide_rows(rows: int) -> None:
    """Write a manifest and divide it; print the peak memory in MiB and the seconds it took."""
    from resnext.contracts.tables import read_manifest, write_table
    from resnext.data.split.settings import SplitSettings
    from resnext.data.split.split_folder import split_folder

    blank = Image.new("RGB", (224, 224))  # the rows have no files
    thumbnails = patch("resnext.data.split.leakage.read_scanned", return_value=blank)
    with thumbnails, tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "manifest.csv"
        write_manifest(rows, place)
        start = time.perf_counter()
        manifest = read_manifest(place)
        words = np.random.default_rng(0).integers(0, 2**63, (rows, 8), dtype=np.uint64)
        division = split_folder(Path(folder), manifest, words, SplitSettings())
        write_table(division.split, Path(folder) / "split.csv")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(peak, time.perf_counter() - start)


def write_manifest(rows: int, path: Path) -> None:
    """Write a manifest of patients, a photograph and nine copies each, named as in MSLD v1."""
    with path.open("w", encoding="utf-8") as file:
        file.write("path,label,sha256,phash,bytes,width,height,mode,format,orientation\n")
        for place in range(rows):
            label = "Monkeypox" if place % 20 < 10 else "Others"
            name = f"{label[0]}{place // 1000:04}_{place // 10 % 100:02}_{place % 10:02}.jpg"
            digest = hashlib.sha256(str(place).encode()).hexdigest()
            facts = "20000,224,224,RGB,JPEG,1"
            file.write(f"{label}/{name},{label},{digest},{digest[:16]},{facts}\n")


def search() -> None:
    """Time the search for close pairs among random hashes, some of them close."""
    words = np.random.default_rng(0).integers(0, 2**63, (HASHES, 8), dtype=np.uint64)
    words[1::100] = words[::100] ^ np.uint64(5)
    start = time.perf_counter()
    pairs = sum(len(found) for found in close_pairs(words, LISTED))
    seconds = time.perf_counter() - start
    verdict = "reached" if seconds <= GOALS["search"] else "MISSED"
    print(
        f"near-duplicates among {HASHES:,} hashes in 8 orientations: {seconds:.1f} s, "
        f"{pairs:,} pairs (goal {GOALS['search']:.0f} s: {verdict})"
    )


if __name__ == "__main__":
    main()
