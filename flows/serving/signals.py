"""How a program that serves is asked to end, and how the runs that it started end with it.

Only Linux tells a process that its parent is gone; elsewhere a run outlives its killed starter.
Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
"""

import ctypes
import os
import signal
import sys

from tasks.callbacks.interrupts import signals_to_end

SERVED_BY = "RESNEXT_PIPELINE_SERVED_BY"  # the process that starts runs, for their environment
PR_SET_PDEATHSIG = 1


def end_by_sigterm() -> None:
    """Pass on as SIGTERM what asks to end: at that Prefect cancels what runs, and pauses schedules.

    At a KeyboardInterrupt it would do neither, and wait for the end of a training. Until Prefect
    listens, SIGTERM is a KeyboardInterrupt. Runs that this process starts from now on end with it.
    """
    os.environ[SERVED_BY] = str(os.getpid())
    until_then = {signal.SIGTERM: signal.default_int_handler}
    for each in (signal.SIGINT, *signals_to_end()):
        signal.signal(each, until_then.get(each, _pass_on))


def end_with_starter() -> None:
    """Have the kernel end this run by SIGTERM when what started it ends, even by kill -9."""
    parent = os.environ.get(SERVED_BY)
    if sys.platform != "linux" or parent is None or int(parent) == os.getpid():
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # which ended before the kernel was told
        signal.raise_signal(signal.SIGTERM)


def _pass_on(*_: object) -> None:
    for number in (1, 2):  # of a terminal that was closed each word would be an error
        try:
            os.write(number, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    signal.raise_signal(signal.SIGTERM)
