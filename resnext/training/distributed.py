"""Around a training on several processes: how they start, meet and end.

Rank 0 is the process that runs the pipeline. It starts the others for one training, or meets those
that torchrun started, which wait for one training after the other. They meet at a store of keys and
values (torch's TCPStore), in which rank 0 puts a `Job`: files by their paths, so that processes on
other hosts need the same files at the same paths. What they do together then stands in
`resnext.training.ranks`.

None outlives rank 0. One that is lost ends the training of all in a TrainingError. Not done here:
going on with fewer processes.

Source: https://docs.pytorch.org/docs/stable/elastic/run.html (torchrun)
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel
from torch import distributed as dist

from resnext.contracts.errors import InputError, TrainingError
from resnext.data.pixels import PackedPixels
from resnext.data.processes import end_with_parent, without_the_program
from resnext.device import Compute, see_one_gpu
from resnext.training.checkpoints import Checkpoints
from resnext.training.engine import Training
from resnext.training.ranks import LOST, Ranks, joined
from resnext.training.recipe import Recipe
from resnext.training.train import read_subsets, start_model

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
POLL_EVERY = 0.1  # seconds
STUCK_AFTER = 60.0  # seconds from the end of another process
JOBS, READY, END = "jobs", "ready", "end"  # keys of the store


class Job(BaseModel, frozen=True):
    """Name what a training needs, for processes that take part in it."""

    manifest: Path
    split: Path
    pixels: Path
    digests: Path
    weights: Path | None
    checkpoints: Path
    recipe: Recipe
    compute: Compute


class Meeting(NamedTuple):
    """Say where the processes of torchrun meet: at its store, under names with a prefix."""

    host: str
    port: int
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Meeting:
        """Read what `str` writes, as HOST:PORT/PREFIX."""
        address, _, prefix = text.partition("/")
        host, _, port = address.rpartition(":")
        return cls(host, int(port), prefix)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.prefix}"

    def open(self, patience: float = 300) -> dist.Store:
        """Connect with the store, which must answer within so many seconds."""
        patient = timedelta(seconds=patience)
        store = dist.TCPStore(self.host, self.port, is_master=False, timeout=patient)
        return dist.PrefixStore(self.prefix, store)


# ---------------------------------------------------------------- rank 0


@contextmanager
def together(job: Job, size: int, meeting: str | None) -> Iterator[Ranks]:
    """Be rank 0 of `size` processes that do a job, until the end of the body.

    Without a `meeting` of processes that are there, the others are started.

    Raises:
        TrainingError: a process was lost.
    """
    ranks = Ranks(0, size)
    if size == 1:
        yield ranks
    elif meeting:
        store = Meeting.parse(meeting).open()
        number = store.add(JOBS, 1)
        store.set(f"{JOBS}/{number}", job.model_dump_json())
        try:
            with joined(dist.PrefixStore(str(number), store), ranks, job.compute):
                yield ranks
        except TrainingError:
            # torchrun asks the rest to end too, and waits for half a minute: time to say why
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise
    else:
        with _started(job, size) as store, joined(store, ranks, job.compute):
            yield ranks


@contextmanager
def _started(job: Job, size: int) -> Iterator[dist.Store]:
    """Start the other processes on this host, and end them with the body; give where they meet."""
    store = dist.TCPStore(LOOPBACK, 0, is_master=True, wait_for_workers=False)
    start = multiprocessing.get_context("spawn").Process
    others = [
        start(target=_take_part, args=(store.port, rank, size, job.model_dump_json()), daemon=True)
        for rank in range(1, size)
    ]
    over = threading.Event()
    try:
        with without_the_program():
            for process in others:
                process.start()
        while store.add(READY, 0) < len(others):  # so that none waits for one that is gone
            time.sleep(POLL_EVERY)
            if not all(process.is_alive() for process in others):
                raise TrainingError(LOST)
        threading.Thread(target=_end_where_stuck, args=(others, over), daemon=True).start()
        yield store
    finally:
        over.set()
        for process in others:
            if process.pid is not None:
                process.kill()
                process.join()


def _end_where_stuck(others: Sequence[BaseProcess], over: threading.Event) -> None:
    """End this process where another one is lost and it goes on waiting for it, as NCCL may."""
    while not over.wait(POLL_EVERY):
        if any(process.exitcode for process in others):
            if not over.wait(STUCK_AFTER):
                log.error(LOST)
                os._exit(1)
            return


# ---------------------------------------------------------------- the other ranks


def _take_part(port: int, rank: int, size: int, job: str) -> None:
    """Do one job as a process that rank 0 started."""
    end_with_parent()
    wanted = Job.model_validate_json(job)
    if wanted.compute.device == "cuda":
        see_one_gpu(rank)
    _do(wanted, dist.TCPStore(LOOPBACK, port, is_master=False), Ranks(rank, size))


def wait_for_jobs(meeting: str, ranks: Ranks) -> int:
    """Do what rank 0 asks the processes of torchrun for, until it ends; give its exit code."""
    end_with_parent()
    store = Meeting.parse(meeting).open()
    done = 0
    while not store.check([END]):
        asked = f"{JOBS}/{done + 1}"
        if store.check([asked]):
            done += 1
            job = Job.model_validate_json(store.get(asked))
            _do(job, dist.PrefixStore(str(done), store), ranks)
        time.sleep(POLL_EVERY)
    return int(store.get(END))


def end_all(meeting: str, code: int) -> None:
    """Tell the processes that wait for jobs to end, with an exit code.

    Raises:
        RuntimeError: torchrun, which keeps the store, is gone.
    """
    Meeting.parse(meeting).open(patience=5).set(END, str(code))


def _do(job: Job, store: dist.Store, ranks: Ranks) -> None:
    """Train as another process than rank 0, which says what is wrong for all of them.

    Where the processes are asked to end, rank 0 decides when: it needs the others up to then.
    """
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    pixels = PackedPixels(job.pixels, job.digests.read_text(encoding="utf-8").split())
    subsets = read_subsets(job.manifest, job.split, pixels)
    model, _ = start_model(job.recipe, subsets.classes, job.compute, job.weights)
    store.add(READY, 1)
    with contextlib.suppress(InputError, TrainingError), joined(store, ranks, job.compute):
        Training(
            model, pixels, subsets, job.recipe, job.compute,
            checkpoints=Checkpoints(job.checkpoints), ranks=ranks,
        ).fit()  # fmt: skip
    for each, handler in before.items():
        signal.signal(each, handler)
