"""Share work out to processes, so that one that dies takes no other's results with it.

Every process is spawned, and none outlives the call. It does not know what the work is: functions
must stand in a module that can be imported, and what they are given and give back must pickle.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 32  # items that `map_chunks` hands to a process at a time, if nothing else is said
LOOK_EVERY = 0.1  # seconds
AHEAD = 2  # chunks handed out for each process: none waits, and few are done again after a crash
_turn: AbstractContextManager[Any] = threading.Lock()  # in a worker, one that all workers share


def taking_turns() -> AbstractContextManager[Any]:
    """Do something heavy while no other thread, and no other process of the same call, does so."""
    return _turn


def map_chunks(
    work: Callable[[Sequence[Item]], list[Result]],
    items: Sequence[Item],
    workers: int,
    crashed: Callable[[Item], Result],
    progress: Callable[[int, int], None] | None = None,
    chunk: int | None = None,
) -> Iterator[Result]:
    """Do work on items, a chunk at a time, and yield its results, in order.

    One worker works here, several in processes, as in `map_apart`. `progress` is called with items
    done and items in all.
    """
    size = chunk or CHUNK
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    apart = workers > 1 and len(chunks) > 1
    done = 0
    for results in map_apart(work, chunks, workers, crashed) if apart else map(work, chunks):
        done += len(results)
        if progress is not None:
            progress(done, len(items))
        yield from results


def map_apart(
    work: Callable[[Sequence[Item]], list[Result]],
    chunks: Sequence[Sequence[Item]],
    workers: int,
    crashed: Callable[[Item], Result],
) -> Iterator[list[Result]]:
    """Do chunks of work in processes and yield their results, in order.

    What was in hand when a process died is done again in processes of its own, and only the item
    that kills its process even when it is alone there is given up to `crashed`. An interruption
    ends the processes after their chunk.

    Raises:
        BrokenProcessPool: processes die before any work is given to them.
        Exception: whatever `work` raises.
    """
    waiting = deque(chunks)
    in_hand: deque[tuple[Sequence[Item], Future[list[Result]]]] = deque()
    while waiting:
        with _pool(min(workers, len(waiting))) as pool:
            try:
                while waiting or in_hand:
                    while waiting and len(in_hand) < AHEAD * workers:
                        in_hand.append((waiting[0], _submit(pool, work, waiting[0])))
                        waiting.popleft()
                    results = in_hand[0][1].result()
                    in_hand.popleft()
                    yield results
            except BrokenProcessPool:
                pass
        while in_hand:  # a process died
            chunk, future = in_hand.popleft()
            survived = not future.cancelled() and future.exception() is None
            yield future.result() if survived else _in_isolation(work, chunk, crashed)


def _in_isolation(
    work: Callable[[Sequence[Item]], list[Result]],
    chunk: Sequence[Item],
    crashed: Callable[[Item], Result],
) -> list[Result]:
    """Do a chunk in a process of its own, and where that dies too, each half of it so."""
    with _pool(1) as pool:
        _submit(pool, os.getpid).result()  # a process that can't even start is no item's fault
        try:
            return pool.submit(work, chunk).result()
        except BrokenProcessPool:
            if len(chunk) == 1:
                return [crashed(chunk[0])]
    middle = len(chunk) // 2
    halves = chunk[:middle], chunk[middle:]
    return [result for half in halves for result in _in_isolation(work, half, crashed)]


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes on demand and end them in any case."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(context.Lock(),))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, work: Callable[..., Result], *given: Any) -> Future[Result]:
    """Hand work to a pool, whose new processes don't import the program that runs here."""
    with without_the_program():
        return pool.submit(work, *given)


@contextmanager
def without_the_program() -> Iterator[None]:
    """Start processes that don't import the program that runs here.

    They need the modules of what they are given, and no more; the program costs seconds.
    """
    program = sys.modules["__main__"]
    kept = {name: program.__dict__.pop(name, None) for name in ("__spec__", "__file__")}
    program.__spec__ = None
    try:
        yield
    finally:
        program.__dict__.update({name: value for name, value in kept.items() if value is not None})


def _begin(turn: AbstractContextManager[Any]) -> None:
    """Ignore Ctrl-C in a worker, where it would only print a traceback; share the others' turn."""
    global _turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _turn = turn
    end_with_parent()


def end_with_parent() -> None:
    """End this process when what started it is gone, by kill -9 too."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
