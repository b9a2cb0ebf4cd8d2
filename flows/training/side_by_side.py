"""Stages side by side, each in one of several processes, none of which outlives the program.

Source: https://docs.prefect.io/v3/concepts/task-runners (Prefect's runner, which spawns them)
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flows.cli import terminal

from prefect import context
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import ProcessPoolTaskRunner

POLL_EVERY = 0.5  # seconds


@contextmanager
def processes(jobs: int, gpus: int = 0) -> Iterator[ProcessPoolTaskRunner]:
    """Start so many processes on demand, each with a GPU of its own where there are `gpus`.

    They use the server of this program. Where the body is interrupted they are asked to end: a
    training saves a checkpoint first.
    """
    runner = ProcessPoolTaskRunner(jobs, initializer=_begin, initargs=(os.getpid(), gpus))
    with _settings_for_all(), runner:
        try:
            yield runner
        except BaseException:
            for child in multiprocessing.active_children():
                child.terminate()
            raise


@contextmanager
def _settings_for_all() -> Iterator[None]:
    """Let other processes, and the threads that speak with them, use this thread's server.

    Each would start one of its own: a new thread has Prefect's global settings, a new process reads
    them in its environment when it imports Prefect.
    """
    name, environment = PREFECT_API_URL.name, dict(os.environ)
    before, context.GLOBAL_SETTINGS_CONTEXT = (
        context.GLOBAL_SETTINGS_CONTEXT, context.get_settings_context()
    )  # fmt: skip
    os.environ[name] = str(PREFECT_API_URL.value())
    try:
        yield
    finally:
        context.GLOBAL_SETTINGS_CONTEXT = before
        os.environ.pop(name)
        os.environ |= {name: environment[name]} if name in environment else {}


def _begin(parent: int, gpus: int) -> None:
    """Set a process up: its lines, its device, and what ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which has it too, asks to end
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if gpus:
        number = multiprocessing.current_process()._identity[0]
        os.environ["CUDA_VISIBLE_DEVICES"] = str((number - 1) % gpus)
    terminal.show_only_our_lines()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, by kill -9 too.

    The kernel's own signal comes at the end of the thread that started a process, which may be
    earlier.
    """
    while True:
        time.sleep(POLL_EVERY)
        if os.getppid() != parent:  # a training that is asked saves first: then again
            os.kill(os.getpid(), signal.SIGTERM)
