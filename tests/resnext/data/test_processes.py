"""Processes: results in order, and a crash costs the item that caused it and nothing else."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from resnext.data import processes
from resnext.data.processes import map_apart
from tests.conftest import REPOSITORY
from tests.resnext.data.works import count_in_turns, die, killed_in_company, square


def lost(number: int) -> int:
    return -number


def chunked(numbers: Sequence[int], size: int) -> list[Sequence[int]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def test_processes_take_turns_at_what_is_heavy(tmp_path: Path) -> None:
    file = tmp_path / "number.txt"
    file.write_text("0")
    chunks = [[file] * 5] * 4
    assert len(list(map_apart(count_in_turns, chunks, 2, lambda _: None))) == 4
    assert file.read_text() == "20"


def test_no_work_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(processes, "ProcessPoolExecutor")
    assert list(map_apart(square, [], 2, lost)) == []


def test_results_come_in_order_and_only_the_items_that_crash_are_given_up() -> None:
    numbers = [*range(13), 13, 14, *range(16, 40)]
    found = list(map_apart(square, chunked(numbers, 4), 2, lost))
    assert [len(chunk) for chunk in found] == [4] * 9 + [3]
    assert [result for chunk in found for result in chunk] == [
        -number if number in (13, 14) else number**2 for number in numbers
    ]


def test_an_item_that_does_no_harm_alone_is_kept() -> None:
    assert list(map_apart(killed_in_company, [[1, 2, 3]], 2, lost)) == [[1, 4, 9]]


def test_no_process_outlives_a_program_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from resnext.data.processes import map_apart\n"
        "from tests.resnext.data.works import note_and_wait\n"
        "if __name__ == '__main__':\n"
        "    list(map_apart(note_and_wait, [[Path(sys.argv[1])]] * 2, 2, print))\n"
    )
    (tmp_path / "program.py").write_text(code)
    words = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "pids")]
    here = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    program = subprocess.Popen(words, env=here)
    pids = wait_for(lambda: [int(each) for each in noted(tmp_path / "pids")], 2)
    program.kill()
    program.wait()
    wait_for(lambda: [pid for pid in pids if not Path(f"/proc/{pid}").exists()], 2)


def noted(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def wait_for(look: Callable[[], list[int]], many: int) -> list[int]:
    """Look again until so many are found."""
    end = time.monotonic() + 60
    while len(found := look()) < many:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def test_an_error_of_the_work_is_no_crash() -> None:
    with pytest.raises(ValueError, match="15 is not squared"):
        list(map_apart(square, [[1], [15]], 2, lost))


def test_processes_that_never_start_are_not_blamed_on_an_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_begin", die)
    with pytest.raises(BrokenProcessPool):
        list(map_apart(square, [[1], [2]], 2, lost))


def test_stopping_early_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ProcessPoolExecutor] = []
    start = ProcessPoolExecutor

    def noted(*given: Any, **named: Any) -> ProcessPoolExecutor:
        started.append(start(*given, **named))
        return started[-1]

    monkeypatch.setattr(processes, "ProcessPoolExecutor", noted)
    results: Iterator[list[int]] = map_apart(square, chunked(range(100), 1), 2, lost)
    assert next(results) == [0]
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="after shutdown"):
        started[0].submit(os.getpid)
