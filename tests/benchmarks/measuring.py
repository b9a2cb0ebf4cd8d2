"""What the benchmarks have in common: timing in turns, and words for what was found and on what.

Whatever is compared takes turns (A B A B ...), so that what else the machine does meets both.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

Action = Callable[[], object]


def in_turns(rounds: int, ours: Action, bare: Action) -> tuple[float, float]:
    """Time both in turns, after one round that does not count; give the medians in seconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for column, action in zip(times, (ours, bare), strict=True):
            column.append(seconds_of(action))
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def seconds_of(action: Action) -> float:
    """Time one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def report(what: str, ours: float, bare: float, reached: bool | None = None) -> None:
    """Print one pair of figures, and whether the goal was reached where there is one."""
    goal = "" if reached is None else f", goal {'reached' if reached else 'MISSED'}"
    print(f"{what}: {ours:,.2f} against {bare:,.2f} (ratio {ours / bare:.2f}{goal})", flush=True)


def render(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns as wide as their widest cell."""
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def describe_machine(threads: int) -> str:
    """Render what the figures were measured on, and when."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor() or platform.machine()
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{cpu}, {os.cpu_count()} cores, {threads} threads, torch {version('torch')},"
        f" torchvision {version('torchvision')}, {date}"
    )
