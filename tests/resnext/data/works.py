"""Works for processes to do, in a module of their own, so that each starts with little."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from resnext.data.processes import taking_turns


def square(numbers: Sequence[int]) -> list[int]:
    """Square numbers; 13 is killed, 14 leaves, 15 raises."""
    for number in numbers:
        if number == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 14:
            os._exit(1)
        if number == 15:
            raise ValueError("15 is not squared")
    return [number**2 for number in numbers]


def killed_in_company(numbers: Sequence[int]) -> list[int]:
    """Die of too much work at once, as of want of memory; a single number is squared."""
    return square([13]) if len(numbers) > 1 else square(numbers)


def count_in_turns(files: Sequence[Path]) -> list[None]:
    """Add 1 to the number in each file, slowly."""
    for file in files:
        with taking_turns():
            number = int(file.read_text())
            time.sleep(0.02)
            file.write_text(f"{number + 1}")
    return [None] * len(files)


def die(*_: object) -> None:
    os._exit(1)


def note_and_wait(files: Sequence[Path]) -> list[int]:
    """Write down which process this is, and work for long."""
    with files[0].open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(600)
    return [0]
