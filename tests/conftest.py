"""What several tests share: small pictures, a store, and one Prefect server for the session."""

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.stage.artifact import Runtime

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAMS = [REPOSITORY / "tests" / "flows" / name for name in ("", "serving")]
"""The tests in these folders run the programs, which find or start a server."""
TRAININGS = ("test_checkpoints.py", "test_engine.py", "test_memory.py")
"""The tests in these files train a network."""


def pytest_configure() -> None:
    """Let the programs under test hear signals that they would inherit as ignored.

    That is SIGHUP under nohup, and SIGINT where a shell started the tests in the background.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage, and never look through what was imported for it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start a server or train, and order the files.

    Prefect's threads draw from `random`, which hypothesis takes for draws of the strategy under
    test: so its files come first. The longest ones, of servers, come next, and the many short ones
    last, so that two processes end at about the same time.
    """
    random = {item.path for item in items if item.get_closest_marker("hypothesis")}
    for item in items:
        prefect = "prefect_server" in getattr(item, "fixturenames", ())
        if prefect or item.path.parent in PROGRAMS:
            item.add_marker(pytest.mark.server)
        if item.path.name in TRAININGS:
            item.add_marker(pytest.mark.training)
    servers = {item.path for item in items if item.get_closest_marker("server")}
    items.sort(
        key=lambda item: (
            item.path not in random,
            item.path.name != "test_ui.py",  # the longest
            item.path not in servers,
        )
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two class folders, told apart by colour: 6 patients a class, each with a mirrored copy."""
    return make_tree(tmp_path / "pictures")


def make_tree(root: Path, *, patients: int = 6) -> Path:
    random = np.random.default_rng(0)
    for name, prefix, colour in (("Blue", "B", (60, 60, 200)), ("Red", "R", (200, 60, 60))):
        (root / name).mkdir(parents=True)
        for patient in range(patients):
            noise = random.integers(-50, 50, (16, 16, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            for copy, shown in enumerate((pixels, pixels[:, ::-1])):  # the copy is mirrored
                Image.fromarray(shown).save(root / name / f"{prefix}{patient:02}_01_{copy:02}.png")
    return root


@pytest.fixture
def runtime(tmp_path: Path, tree: Path) -> Runtime:
    return Runtime(store=tmp_path / "store", data=tree)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """Give the address of a server with a database of its own."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield str(PREFECT_API_URL.value())
