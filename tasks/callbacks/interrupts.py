"""What happens on Ctrl-C, and where a process is asked to end: a training saves first, then stops.

A second Ctrl-C stops at once.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Self

from resnext.contracts.errors import StoppedError
from resnext.training.callback import Callback

IMPORTING = "<frozen importlib._bootstrap>"  # the file of Python's own code that imports
LOOK_EVERY = 2.0  # seconds until a cluster's worker looks again whether its run is over
ASK_AGAIN = 0.02  # seconds until a signal that came amid an import is sent again


def signals_to_end() -> list[signal.Signals]:
    """Give the signals that ask a process to end: Prefect cancels a run by SIGTERM.

    SIGHUP comes where a terminal is closed, unless `nohup` had it ignored.
    """
    asked = [signal.SIGTERM]
    if hasattr(signal, "SIGHUP"):  # which Windows lacks
        asked.append(signal.SIGHUP)
    return [each for each in asked if signal.getsignal(each) is not signal.SIG_IGN]


class SaveAndStop(Callback):
    """Stop a training after its step, with a checkpoint saved, where a signal asks for it.

    As a context manager it takes the first Ctrl-C for a wish to save and stop; a second one stops
    at once. The signals of `signals_to_end` are such a wish too, however many: then it ends in a
    `StoppedError`. On a cluster's worker it is the end of the run, which `is_over` tells.
    """

    def __init__(self, is_over: Callable[[], bool] | None = None) -> None:
        self.is_over, self.looked_at = is_over, time.monotonic()
        self.asked = self.ending = False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            handlers = dict.fromkeys(signals_to_end(), self._end)
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                handlers[signal.SIGINT] = self._interrupt
            self.before = {each: signal.signal(each, do) for each, do in handlers.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for each, handler in self.before.items():
            signal.signal(each, handler)
        if kind not in (None, KeyboardInterrupt):
            return
        if self.ending:
            raise StoppedError(
                "Stopped by a signal. A checkpoint is saved; another run of the same goes on there."
            ) from None
        if self.asked and kind is None:  # after the last step: the wish to stop still holds
            raise KeyboardInterrupt

    def wants_to_stop(self) -> bool:
        """Tell whether Ctrl-C was pressed, the process asked to end, or the run is over."""
        if self.is_over and time.monotonic() - self.looked_at >= LOOK_EVERY:
            self.looked_at = time.monotonic()
            if self.is_over():
                self._end()
        return self.asked

    def _interrupt(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(OSError):  # a logger could be in the middle of a line
            os.write(2, b"\nSaving a checkpoint after this step; Ctrl-C again stops at once.\n")

    def _end(self, *_: object) -> None:
        self.ending = self.asked = True


@contextmanager
def never_amid_imports() -> Iterator[None]:
    """Let Ctrl-C, and the signals of `signals_to_end`, wait while the main thread imports.

    What they raise amid an import can leave Python's import lock held. Another thread that imports
    would wait for it forever, and the process with it.
    """
    before: dict[signal.Signals, Callable[..., Any]] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, *signals_to_end())}
        before = {each: handler for each, handler in handlers.items() if callable(handler)}
    for each, handler in before.items():
        signal.signal(each, partial(_handle_after_import, handler))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _handle_after_import(handler: Callable[..., Any], number: int, frame: FrameType | None) -> None:
    """Handle a signal, or send it again a little later where `frame` is called by an import."""
    caller = frame
    while caller is not None and caller.f_code.co_filename != IMPORTING:
        caller = caller.f_back
    if caller is None:
        handler(number, frame)
    else:
        threading.Timer(ASK_AGAIN, signal.raise_signal, [number]).start()
