import subprocess
import sys

import pytest

from flows.serving import address
from tests.conftest import REPOSITORY
from tests.flows.serving.serving import free_port, wait_until

PARENT = """
import os, subprocess, sys, time
words = [sys.executable, "-m", "flows.serving.tied", str(os.getpid()), "http.server", sys.argv[1]]
subprocess.Popen([*words, "--bind", "127.0.0.1"], start_new_session=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a dead parent")
def test_what_is_tied_to_a_program_ends_with_it_even_if_that_is_killed() -> None:
    port = free_port()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(port)], cwd=REPOSITORY)
    try:
        wait_until(lambda: address.is_taken(port), "the module does not run", 30.0)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not address.is_taken(port), "the module outlived its parent", 10.0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a parent is dead")
def test_what_is_tied_to_a_program_that_is_gone_does_not_begin() -> None:
    words = [sys.executable, "-m", "flows.serving.tied", "1", "this"]  # which prints a poem
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == ""
