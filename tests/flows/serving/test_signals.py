"""How a program that serves is asked to end, and that its runs end with it."""

import signal
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

PASSES_ON = """
import os, signal, time
from flows.serving.signals import end_by_sigterm
end_by_sigterm()
for name in ("SIGTERM", "SIGINT", "SIGHUP"):
    try:
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(5)
    except KeyboardInterrupt:
        print("stopped by", name)
signal.signal(signal.SIGTERM, lambda *_: print("Prefect listens"))
signal.raise_signal(signal.SIGINT)
"""
STARTER = """
import subprocess, sys, time
from flows.serving.signals import end_by_sigterm
end_by_sigterm()
run = "from flows.serving.signals import end_with_starter as e; e(); print('runs', flush=True); "
run += "import time; time.sleep(600)"
subprocess.Popen([sys.executable, "-c", run], start_new_session=True)
time.sleep(600)
"""


def run(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_what_asks_to_end_is_passed_on_to_prefect_once_that_listens() -> None:
    said, _ = run(PASSES_ON).communicate(timeout=60)
    stopped = [f"stopped by {name}" for name in ("SIGTERM", "SIGINT", "SIGHUP")]
    assert said.splitlines() == [*stopped, "Prefect listens"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a dead parent")
def test_a_run_ends_with_the_program_that_started_it_even_if_that_is_killed() -> None:
    with run(STARTER) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "runs\n"
        starter.send_signal(signal.SIGKILL)
        assert starter.stdout.read() == "", "it ends only once the run has closed it too"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a parent is dead")
def test_a_run_whose_starter_is_gone_does_not_begin() -> None:
    code = "import os; os.environ['RESNEXT_PIPELINE_SERVED_BY'] = '1'; "
    code += "from flows.serving.signals import end_with_starter; end_with_starter(); print('runs')"
    with run(code) as process:
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert process.returncode == -signal.SIGTERM
