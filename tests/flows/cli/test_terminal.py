"""What a person sees at a terminal, and a script where there is none."""

import io
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from flows.cli import terminal
from tasks.stage.artifact import current_stage
from tasks.stage.decorator import shown_name

KNOWN = {"n": 60, "accuracy": 0.75, "majority_accuracy": 0.556, "balanced_accuracy": 0.71}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Make a terminal of forty columns."""
    made = io.StringIO()
    monkeypatch.setattr(made, "isatty", lambda: True)
    for name, value in (("COLUMNS", "40"), ("LINES", "25")):
        monkeypatch.setenv(name, value)
    return made


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        (
            KNOWN | {"balanced_accuracy_ci95": [0.5849, 0.8349]},
            "75.0 % of 60 test images right (always answering the commonest class: 55.6 %); "
            "balanced accuracy 71.0 % (95 % interval 58 to 83 %)",
        ),
        (
            dict.fromkeys(KNOWN) | {"n": 0, "balanced_accuracy_ci95": None},
            "n/a of 0 test images right (always answering the commonest class: n/a); "
            "balanced accuracy n/a",
        ),
    ],
)
def test_the_score_stands_with_its_interval_where_there_is_one(
    metrics: dict[str, Any], line: str
) -> None:
    assert terminal.score_line(metrics) == line


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "levelno": logging.INFO})


@pytest.mark.parametrize("stage", ["split", "drift-since-training", "preprocessing"])
def test_lines_stand_in_one_column_whatever_the_stage_and_no_word_is_broken(
    stage: str, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", screen)
    text = "the files are in /a/folder/with/a/long/name/that/has/no/blank and nowhere else"
    token = current_stage.set(shown_name(stage))
    terminal.Lines().emit(record(text))
    current_stage.reset(token)
    lines = screen.getvalue().splitlines()
    assert {line[:10].rstrip() for line in lines[1:]} == {""}
    assert " ".join(line[10:] for line in lines) == text
    assert len(lines) > 2


ROWS = [{"data": "many words that need more than a line", "network": "resnext50_32x4d", "run": "x"}]


def test_a_table_on_a_terminal_is_wrapped_at_blanks_and_leaves_out_what_is_for_scripts(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", screen)
    shown = terminal.table(ROWS, plain=("run",)).split()
    assert {*ROWS[0]["data"].split(), "resnext50_32x4d"} <= {*shown}
    assert "run" not in shown


def test_without_a_terminal_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.Lines().emit(record("word " * 60))
    assert capsys.readouterr().err.count("\n") == 1
    line = terminal.table(ROWS, plain=("run",)).splitlines()[1]
    assert line.split() == [word for cell in ROWS[0].values() for word in cell.split()]


def test_what_the_end_waits_for_is_said_on_a_terminal_alone_and_leaves_no_line(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.show_until_exit("finishing")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr", screen)
    ended: list[Callable[[], None]] = []
    monkeypatch.setattr(
        "atexit.register", lambda call, *words, **how: ended.append(partial(call, *words, **how))
    )
    terminal.show_until_exit("finishing")
    assert screen.getvalue() == "finishing"
    ended[0]()
    assert screen.getvalue() == "finishing\r\x1b[K"


def test_what_prefect_says_of_an_interrupted_run_is_not_shown_beside_our_own_line() -> None:
    def shown(name: str) -> bool:
        record = logging.makeLogRecord({"name": name, "levelno": logging.ERROR})
        return terminal._worth_showing(record)

    assert not shown("prefect.engine")
    assert shown("urllib3.connectionpool")
