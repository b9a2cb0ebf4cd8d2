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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Hand = deque[tuple[Sequence[Item], "Future[list[Result]]"]]

_turn: AbstractContextManager[Any] = threading.Lock()  # in a worker, one that all workers share
AHEAD = 2  # chunks handed out for each process: none waits, and few are done again after a crash


@contextmanager
def taking_turns() -> Iterator[None]:
    """Do something heavy while no other thread, and no other process of the same call, does so."""
    with _turn:
        yield


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
    while waiting:
        in_hand: Hand[Item, Result] = deque()
        yield from _until_a_crash(work, waiting, in_hand, workers)
        for chunk, future in in_hand:
            survived = not future.cancelled() and future.exception() is None
            yield future.result() if survived else _in_isolation(work, chunk, crashed)


def _until_a_crash(
    work: Callable[[Sequence[Item]], list[Result]],
    waiting: deque[Sequence[Item]],
    in_hand: Hand[Item, Result],
    workers: int,
) -> Iterator[list[Result]]:
    """Yield results in order until all is done or a process dies, and leave what was in hand."""
    with _pool(min(workers, len(waiting))) as pool:
        while waiting or in_hand:
            try:
                while waiting and len(in_hand) < AHEAD * workers:
                    with _program_left_out():
                        in_hand.append((waiting[0], pool.submit(work, waiting[0])))
                    waiting.popleft()
                results = in_hand[0][1].result()
            except BrokenProcessPool:
                return
            in_hand.popleft()
            yield results


def _in_isolation(
    work: Callable[[Sequence[Item]], list[Result]],
    chunk: Sequence[Item],
    crashed: Callable[[Item], Result],
) -> list[Result]:
    """Do a chunk in a process of its own, and where that dies too, each half of it so."""
    with _pool(1) as pool:
        with _program_left_out():
            started = pool.submit(os.getpid)
        started.result()  # a process that can't even start is no item's fault
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
    pool = ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_leave_interrupts_to_the_parent,
        initargs=(context.Lock(),),
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _program_left_out() -> Iterator[None]:
    """Keep new processes from importing the program that runs here, which costs seconds.

    They need the modules of what they are given, and no more.
    """
    program = sys.modules["__main__"]
    kept = {name: program.__dict__.pop(name, None) for name in ("__spec__", "__file__")}
    program.__spec__ = None
    try:
        yield
    finally:
        program.__dict__.update({name: value for name, value in kept.items() if value is not None})


def _leave_interrupts_to_the_parent(turn: AbstractContextManager[Any]) -> None:
    """Ignore Ctrl-C in a worker, where it would only print a traceback; share the others' turn."""
    global _turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _turn = turn
