"""A file in the folder of callbacks is enough to follow a training."""

import json
import sys
from pathlib import Path

import pytest

from resnext.training.callback import Callback
from tasks import callbacks as folder
from tasks.callbacks.discovery import callbacks_of
from tests.resnext.training.killed_training import train
from tests.tasks.callbacks.samples import training

TRACKER = '''
"""Write down what a training tells."""

import json

from resnext.training.callback import Callback


def follow(training):
    return Tracker(training) if training.recipe.epochs < 9 else None


class Tracker(Callback):
    def __init__(self, training):
        self.file = training.work.out / "tracked.txt"
        self.note("arch", training.recipe.arch)

    def on_start(self, total_steps, steps_per_epoch, done):
        self.note("start", total_steps, steps_per_epoch, done)

    def on_epoch(self, row):
        self.note("epoch", row.epoch, row.val_loss)

    def on_end(self, result):
        self.note("end", result)

    def note(self, *words):
        with self.file.open("a") as file:
            file.write(json.dumps(words) + chr(10))
'''


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put one file more into the folder."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a_tracker.py").write_text(TRACKER)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path / "more")])
    monkeypatch.delitem(sys.modules, "tasks.callbacks.a_tracker", raising=False)
    return tmp_path


def names(found: list[Callback]) -> list[str]:
    return [type(each).__name__ for each in found]


def test_each_training_is_followed_by_those_that_have_something_to_do() -> None:
    assert names(callbacks_of(training())) == ["Terminal"]
    seed = training(validates=False, as_script=True)
    assert names(callbacks_of(seed)) == ["SeedScript", "Terminal"]


def test_a_tracker_is_one_file(tracker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tracker)
    found = callbacks_of(training(epochs=6))
    assert names(found) == ["Tracker", "Terminal"]
    train(None, *found)
    told = [json.loads(line) for line in (tracker / "tracked.txt").read_text().splitlines()]
    assert told[:2] == [["arch", "resnext50_32x4d"], ["start", 18, 3, 0]]
    assert [words[:2] for words in told[2:-1]] == [["epoch", number] for number in range(1, 7)]
    assert told[-1][0] == "end"
    assert told[-1][1].startswith("kept the weights of epoch")
    assert names(callbacks_of(training(epochs=9))) == ["Terminal"]
