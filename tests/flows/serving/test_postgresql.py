"""PostgreSQL as the server's database: one setting, and everything else stays as it is."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_tree
from tests.flows.serving.serving import (
    REPOSITORY,
    free_port,
    run_python,
    running_server,
    wait_until,
)

DEBIAN = Path("/usr/lib/postgresql")  # its versions lie here, off the search path
# PostgreSQL insists on a user who is not root.
OWNER: Any = {"user": "postgres", "group": "postgres", "extra_groups": []}
if os.geteuid() != 0:
    OWNER = {}


def start(folder: Path, name: str, *words: str) -> "subprocess.Popen[str]":
    """Start one of PostgreSQL's programs, of the newest version; skip where there is none."""
    versions = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = [*map(str, versions), *filter(None, [shutil.which(name)])]
    if not found:
        pytest.skip(f"PostgreSQL is not installed: there is no {name}")
    return subprocess.Popen(
        [found[-1], *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        **OWNER,
    )


def run(folder: Path, name: str, *words: str) -> tuple[int, str]:
    process = start(folder, name, *words)
    said, _ = process.communicate(timeout=180)
    return process.returncode, said


@pytest.mark.slow
def test_one_setting_puts_the_run_history_into_postgresql(tmp_path: Path) -> None:
    # Not in tmp_path, whose folders only this user may enter; a socket's path must be short too.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder, port, home = Path(name), str(free_port()), tmp_path / "server"
        if OWNER:
            shutil.chown(folder, "postgres", "postgres")
        where, data = ["-h", "127.0.0.1", "-p", port], str(folder / "data")
        code, said = run(folder, "initdb", "-D", data, "-U", "me", "-A", "trust", "-E", "UTF8")
        if code != 0:
            pytest.skip(f"PostgreSQL can't make a database here: {said[-300:]}")
        process = start(folder, "postgres", "-D", data, "-F", *where, "-k", name)
        try:
            wait_until(lambda: run(folder, "pg_isready", *where)[0] == 0, "it does not answer")
            make_tree(tmp_path / "pictures", patients=3)
            url = f"postgresql+asyncpg://me@127.0.0.1:{port}/postgres"
            with running_server(home, PREFECT_SERVER_DATABASE_CONNECTION_URL=url) as api:
                program = str(REPOSITORY / "flows" / "full_pipeline.py")
                words = ["--data", str(tmp_path / "pictures"), "--store", str(tmp_path / "store")]
                code, said = run_python(
                    [program, *words, "--only", "scan"], tmp_path, PREFECT_API_URL=api
                )
                assert code == 0, said
                query = (
                    "select flow.name, flow_run.state_type from flow_run join flow "
                    "on flow.id = flow_run.flow_id"
                )
                psql = ["-U", "me", "-d", "postgres", "-X", "-A", "-t", "-c", query]
                assert run(folder, "psql", *where, *psql) == (0, "full-pipeline|COMPLETED\n")
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown, which waits for no client
            process.communicate(timeout=60)
        assert not (home / "prefect.db").exists(), "nothing is kept in SQLite beside it"
