"""PostgreSQL as the server's database: one setting, and everything else stays as it is."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
OWNER = "postgres"
ROLE = "pipeline"


def program(name: str) -> str:
    """Find one of PostgreSQL's programs, the newest version first; skip where there is none."""
    found = shutil.which(name)
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = found or next((str(path / name) for path in versions if (path / name).exists()), None)
    if found is None:
        pytest.skip(f"PostgreSQL is not installed: there is no {name}")
    return found


class Cluster:
    """A PostgreSQL of our own, run by a user who is not root, as it insists."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.data = folder / "data"
        self.user = None
        if os.geteuid() == 0:
            try:
                owner = pwd.getpwnam(OWNER)
            except KeyError:
                pytest.skip(f"PostgreSQL does not run as root, and there is no user '{OWNER}'")
            self.user = OWNER
            os.chown(folder, owner.pw_uid, owner.pw_gid)

    def __call__(self, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run one of its programs as its user, to its end."""
        process = self.begin(name, *words)
        said, _ = process.communicate(timeout=180)
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def begin(
        self, name: str, *words: str, output: int | IO[bytes] = subprocess.PIPE
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [program(name), *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it while the body runs; skip the test where that can't be done."""
        made = self("initdb", "-D", str(self.data), "-U", ROLE, "-A", "trust", "-E", "UTF8", "-N")
        if made.returncode != 0:
            pytest.skip(f"PostgreSQL can't make a database here: {made.stdout[-300:]}")
        log = self.folder / "log"
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        with log.open("wb") as output:
            process = self.begin("postgres", "-D", str(self.data), "-F", *where, output=output)
        try:
            wait_until(
                lambda: process.poll() is not None or self.ready(), "PostgreSQL does not answer"
            )
            if process.poll() is not None:
                pytest.skip(f"PostgreSQL can't be started here: {log.read_text()[-300:]}")
            yield
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # a fast shutdown, which waits for no client
            process.wait(60)

    def ready(self) -> bool:
        return self("pg_isready", "-h", "127.0.0.1", "-p", str(self.port)).returncode == 0

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://{ROLE}@127.0.0.1:{self.port}/postgres"

    def ask(self, query: str) -> str:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", ROLE, "-d", "postgres"]
        done = self("psql", *where, "-X", "-A", "-t", "-c", query)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()


@pytest.fixture
def postgresql() -> Iterator[Cluster]:
    # Not in tmp_path, whose folders only this user may enter; a socket's path must be short too.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        cluster = Cluster(Path(folder))
        with cluster.running():
            yield cluster


@pytest.mark.slow
def test_one_setting_puts_the_run_history_into_postgresql(
    postgresql: Cluster, tmp_path: Path
) -> None:
    make_tree(tmp_path / "pictures", patients=3)
    home = tmp_path / "server"
    with running_server(home, PREFECT_SERVER_DATABASE_CONNECTION_URL=postgresql.url) as url:
        words = ["--data", str(tmp_path / "pictures"), "--store", str(tmp_path / "store")]
        pipeline = str(REPOSITORY / "flows" / "full_pipeline.py")
        code, said = run_python([pipeline, *words, "--only", "scan"], tmp_path, PREFECT_API_URL=url)
        assert code == 0, said
        found = postgresql.ask(
            "select flow.name, flow_run.state_type from flow_run join flow "
            "on flow.id = flow_run.flow_id"
        )
        assert found == "full-pipeline|COMPLETED"
    assert not (home / "prefect.db").exists(), "nothing is kept in SQLite beside it"
