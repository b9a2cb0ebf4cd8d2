"""Run a module of this Python that ends when the program that started it does, even by kill -9.

Only Linux tells a process that its parent is gone; elsewhere the module runs untied.
Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

$ python -m flows.serving.tied PARENT_PID MODULE [WORDS]
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Have the kernel end this process, by SIGTERM, when its parent ends; it survives an exec."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # which ended before the kernel was told
        sys.exit()


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
