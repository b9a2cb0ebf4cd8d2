"""Checkpoints: a training that is killed, stopped or damaged goes on to the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_training.py")


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_thirty_kills_at_random_times_change_no_byte(tmp_path: Path) -> None:
    said = run("random", str(tmp_path))
    kills, ends = said.split()[:2]
    assert int(kills) >= 30
    assert int(ends) >= 3, "several trainings came to an end between the kills"
    assert "DIFFERS" not in said


def test_a_kill_at_any_point_of_writing_a_checkpoint_changes_no_byte(tmp_path: Path) -> None:
    assert "DIFFERS" not in run("writing", str(tmp_path))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "all"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_taken(
    damage: str, tmp_path: Path
) -> None:
    said = run(damage, str(tmp_path))
    assert "is damaged: taking the one before it" in said
    assert "DIFFERS" not in said
    assert ("going on after step" in said) == (damage != "all")


def test_a_wish_to_stop_saves_at_once(tmp_path: Path) -> None:
    assert "going on after step 7 (epoch 3)" in (said := run("stop", str(tmp_path)))
    assert "DIFFERS" not in said


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    said = run("full", str(tmp_path))
    assert "No space left on device" in said
    assert "DIFFERS" not in said


def test_a_disk_that_fills_in_the_middle_of_a_checkpoint_is_said_as_that(tmp_path: Path) -> None:
    said = run("limit", str(tmp_path))
    assert "File too large" in said
    assert "DIFFERS" not in said


def test_another_day_and_another_place_change_no_byte(tmp_path: Path) -> None:
    assert "DIFFERS" not in run("moved", str(tmp_path))
