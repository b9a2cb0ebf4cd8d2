"""PostgreSQL as the server's database: one setting, and everything else stays as it is."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import make_tree
from tests.flows.serving import REPOSITORY, free_port, run_python, running_server

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
        """Run one of its programs as its user."""
        return subprocess.run(
            [program(name), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            check=False,
        )

    def start(self) -> None:
        made = self("initdb", "-D", str(self.data), "-U", ROLE, "-A", "trust", "-E", "UTF8", "-N")
        if made.returncode != 0:
            pytest.skip(f"PostgreSQL can't make a database here: {made.stdout[-300:]}")
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -F"
        log = self.folder / "log"
        begun = self(
            "pg_ctl",
            "-D",
            str(self.data),
            "-l",
            str(log),
            "-w",
            "-t",
            "120",
            "-o",
            options,
            "start",
        )
        if begun.returncode != 0:
            pytest.skip(f"PostgreSQL can't be started here: {begun.stdout[-300:]}")

    def stop(self) -> None:
        self("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

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
        with contextlib.ExitStack() as stack:
            stack.callback(cluster.stop)
            cluster.start()
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
