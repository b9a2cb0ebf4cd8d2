"""Checkpoints: a training that is killed, stopped or damaged goes on to the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
GOES_ON, DAMAGED = "going on after step", "is damaged: taking the one before it"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each case of the script prints: all run in one process, since torch loads slowly."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.resnext.training.killed_training",
            str(tmp_path_factory.mktemp("killed")),
        ],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names_and_lines = (case.split("\n", 1) for case in done.stdout.split("# ")[1:])
    return dict(names_and_lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "lines"),
    [
        ("random", ["same\nsame"]),  # killed at random times, two trainings came to an end
        ("writing", ["same\n" * 18]),  # killed at any point of writing a checkpoint
        ("stop", [f"{GOES_ON} 7 (epoch 3)"]),  # a wish to stop saves at once
        ("full", ["No space left on device", GOES_ON]),  # the last good checkpoint is left
        ("limit", ["File too large"]),  # the disk fills in the middle of a checkpoint
        ("moved", [f"{GOES_ON} 10"]),  # another day and another place
        ("flip", [DAMAGED, GOES_ON]),
        ("cut", [DAMAGED, GOES_ON]),
        ("empty", [DAMAGED, GOES_ON]),
        ("all", [DAMAGED]),  # and none is whole: it begins anew
    ],
)
def test_whatever_stops_a_training_it_goes_on_to_the_same_bytes(
    case: str, lines: list[str], told: dict[str, str]
) -> None:
    assert "DIFFERS" not in told[case]
    assert [line for line in lines if line not in told[case]] == []
    assert GOES_ON not in told["all"]
