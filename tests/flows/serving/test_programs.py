"""How the programs of the page end, with somebody who presses Ctrl-C again and again."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.serving import programs as page
from tests.flows.serving.serving import REPOSITORY, wait_until

SLOW_TO_END = """
import pathlib, signal, sys, time

def end(*_):
    pathlib.Path(sys.argv[1], "asked").touch()
    time.sleep(1.0)
    pathlib.Path(sys.argv[1], "ended well").touch()
    sys.exit()

signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1], "ready").touch()
time.sleep(600)
"""


@pytest.fixture
def stopped_by_signals() -> Iterator[None]:
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.getsignal(each) for each in asked}
    page.stop_by_signals()
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("stopped_by_signals")
def test_a_program_that_ends_slowly_ends_well_however_often_we_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_end.py").write_text(SLOW_TO_END, encoding="utf-8")
    monkeypatch.setattr(page, "PREFECT", ("slow_to_end",))
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}

    def stop_again() -> None:
        wait_until((tmp_path / "asked").exists, "it was not asked to end")
        for each in (signal.SIGINT, signal.SIGHUP, signal.SIGINT):
            os.kill(os.getpid(), each)

    impatient = threading.Thread(target=stop_again)
    try:
        with page.running([str(tmp_path)], environment, tmp_path / "log") as process:
            wait_until((tmp_path / "ready").exists, "it did not start")
            impatient.start()
    except KeyboardInterrupt:
        pytest.fail("it was left before it had ended")
    finally:
        impatient.join()
    assert (tmp_path / "ended well").exists()
    assert process.returncode == 0
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
