"""A reading that is killed, in a module of its own, so that a process starts with little."""

import os
import signal
from collections.abc import Sequence

from resnext.data.manifest import reading

read_undisturbed = reading._read_some


def read_some(paths: Sequence[str]) -> list[reading.Reading]:
    """Read as the scan does, but be killed by a file that is named so."""
    if any(path.endswith("/crash.png") for path in paths):
        os.kill(os.getpid(), signal.SIGKILL)
    return read_undisturbed(paths)
