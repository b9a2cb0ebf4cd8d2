"""Compare how fast alternatives are on this machine, in a few seconds."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")

SECONDS = 6.0  # after which no further round begins
ROUNDS = 4
GAIN = 1.15  # from which on the default is left


def fewest_seconds(steps: Mapping[T, Callable[[], object]]) -> dict[T, float]:
    """Time steps in turns, after one each that does not count; give the fewest seconds of each.

    In turns, so that what else the machine does meets all.
    """
    for step in steps.values():
        step()
    found: dict[T, float] = {}
    began = time.perf_counter()
    for number in range(ROUNDS):
        if number and time.perf_counter() - began > SECONDS:
            break
        for each, step in steps.items():
            start = time.perf_counter()
            step()
            found[each] = min(found.get(each, float("inf")), time.perf_counter() - start)
    return found


def fastest(rates: Mapping[T, float], default: T) -> T:
    """Choose what has the highest rate; the default where that gains less than `GAIN`."""
    best = max(rates, key=rates.__getitem__)
    return best if rates[best] > GAIN * rates[default] else default
