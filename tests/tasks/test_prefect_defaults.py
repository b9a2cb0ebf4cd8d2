"""What must hold before Prefect is imported does: the project's own modules come before it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tests.conftest import REPOSITORY

from prefect.settings import get_current_settings

PROGRAMS = sorted((REPOSITORY / "flows").glob("[!_]*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_a_program_imports_the_project_before_prefect(program: Path) -> None:
    text = program.read_text(encoding="utf-8")
    first = re.search(r"^(?:from|import) (flows|tasks|prefect)\b", text, re.MULTILINE)
    assert first is not None
    assert first[1] != "prefect"


def test_importing_either_package_sets_them_and_the_environment_wins() -> None:
    code = "import flows, prefect.settings as s; c = s.get_current_settings(); "
    code += "print(c.results.default_serializer, len(c.logging.extra_loggers))"
    bare = {name: text for name, text in os.environ.items() if name not in tasks.DEFAULTS}
    for given, serializer in (({}, "json"), ({"PREFECT_RESULTS_DEFAULT_SERIALIZER": "p"}, "p")):
        said = subprocess.check_output(
            [sys.executable, "-c", code], env=bare | given, cwd=REPOSITORY, text=True
        )
        assert said == f"{serializer} {len(tasks.LOGGERS)}\n"
    assert "flows" in list(get_current_settings().logging.extra_loggers or ()), "in these tests too"
