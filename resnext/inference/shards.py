"""Predict any number of files in shards, so that memory stays flat and a killed run goes on.

A shard is written once all of its files are done, under its number. What is there already is not
done again, and since shards begin at fixed places, the bytes are those of a run that was not
killed. Each follows from its own files alone, so that a cluster's workers may write some of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from uuid import uuid4

import pandas as pd

from resnext.contracts.tables import write_table
from resnext.data.pixels import Progress
from resnext.inference.batch import Answered, FileToAnswer, Job, answer_files
from resnext.inference.tables import batch_table

SIZE = 512  # files; a multiple of what is computed together, wherever that is
PREDICTIONS, THUMBNAILS = "batch_predictions", "batch_thumbnails"
UNSETTLED = "unsettled"
"""A file that is there when a fault of some file may not be one at another try."""


def predict_in_shards(
    folder: Path,
    job: Job,
    files: Sequence[FileToAnswer],
    temperature: float,
    workers: int,
    progress: Progress,
) -> None:
    """Write the shards into a folder that are not there yet.

    Raises:
        InputError: the model can't be read.
    """
    left = missing(folder, len(files))
    if not left:
        return
    waiting = [file for start in left for file in files[start : start + SIZE]]
    before = len(files) - len(waiting)
    answers = answer_files(
        job, waiting, workers, lambda done, _: progress(before + done, len(files))
    )
    for start in left:
        some = files[start : start + SIZE]
        _write_shard(folder, start, job, some, list(islice(answers, len(some))), temperature)


def predict_shard(
    folder: Path, start: int, job: Job, files: Sequence[FileToAnswer], temperature: float
) -> None:
    """Write the shard of these files, the first of which has the number `start`, in one process.

    Nothing is done where it is there: a cluster that loses a worker asks for all of its shards
    again.

    Raises:
        InputError: the model can't be read.
    """
    if _file(folder, PREDICTIONS, start).exists():
        return
    answered = list(answer_files(job, files, workers=1))
    _write_shard(folder, start, job, files, answered, temperature)


def missing(folder: Path, files: int) -> list[int]:
    """Give the number of the first file of each shard that is not there yet."""
    starts = range(0, files, SIZE)
    return [start for start in starts if not _file(folder, PREDICTIONS, start).exists()]


def join_shards(folder: Path, name: str, file: Path) -> None:
    """Join the tables of that name into one."""
    with file.open("wb") as whole:
        for number, shard in enumerate(sorted(folder.glob(f"{name}-*.csv"))):
            with shard.open("rb") as rows:
                if number:
                    rows.readline()  # the header
                shutil.copyfileobj(rows, whole)


def _write_shard(
    folder: Path,
    start: int,
    job: Job,
    files: Sequence[FileToAnswer],
    answered: Sequence[Answered],
    temperature: float,
) -> None:
    paths = [file.path for file in files]
    if not all(each.reading.lasting for each in answered):
        (folder / UNSETTLED).touch()
    if job.thumbnails:
        small = pd.DataFrame({"path": paths, "thumbnail": [each.thumbnail for each in answered]})
        _write(small, _file(folder, THUMBNAILS, start))
    # At last: where it is, the shard is done.
    table = batch_table(paths, answered, job.card, temperature, job.rule)
    _write(table, _file(folder, PREDICTIONS, start))


def _file(folder: Path, name: str, start: int) -> Path:
    return folder / f"{name}-{start:012}.csv"


def _write(table: pd.DataFrame, file: Path) -> None:
    """Write a table so that it is there whole or not at all, even where the power fails.

    Two workers may write one shard, where a cluster took one of them for dead.
    """
    partial = file.with_suffix(f".{uuid4().hex}.partial")
    with partial.open("wb") as written:
        write_table(table, written)
        written.flush()
        os.fsync(written.fileno())
    partial.replace(file)
