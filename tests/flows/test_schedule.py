"""A schedule that is served without a worker: when it may run, that it fires, how it ends."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.flags import ScheduleFlags
from flows.schedule import require_schedule
from resnext.errors import InputError
from tests.conftest import REPOSITORY
from tests.flows.serving import BEHIND_A_PROXY, Api, end, running_server, start_python, wait_until

TINY = ["--preset", "quick", "--image-size", "32", "--device", "cpu", "--workers", "0"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"cron": "0 3 * *"}, r"--cron must be a cron expression, got '0 3 \* \*'. Write five"),
        ({"cron": "often"}, "--cron must be a cron expression, got 'often'"),
        ({"timezone": "Mars"}, "--timezone must be a time zone's name, .* got 'Mars'"),
    ],
)
def test_a_schedule_that_no_clock_can_keep_is_told_in_words(
    flags: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        require_schedule(ScheduleFlags(serve=True, **flags))


@pytest.mark.parametrize("name", ["cron", "timezone"])
def test_a_schedule_that_nobody_serves_is_told_in_words(name: str) -> None:
    with pytest.raises(InputError, match=f"--{name} must go with --serve"):
        require_schedule(ScheduleFlags(**{name: "UTC"}))


def test_without_either_a_schedule_is_that_of_the_deployment() -> None:
    require_schedule(ScheduleFlags())
    require_schedule(ScheduleFlags(serve=True))
    assert ScheduleFlags(serve=True).when == ("0 3 * * 1", "UTC")


class Serving:
    """`flows/retrain.py --serve` beside a server of its own, behind a proxy that is away."""

    def __init__(self, url: str, root: Path, tree: Path) -> None:
        self.api, self.root, self.store = Api(url), root, root / "store"
        self.words = [str(REPOSITORY / "flows" / "retrain.py"), "--data", str(tree), *TINY]
        self.settings = {
            "PREFECT_HOME": str(root / "home"),
            "PREFECT_API_URL": url,
            **BEHIND_A_PROXY,
        }

    def serve(self, *words: str) -> "subprocess.Popen[str]":
        words = (*self.words, "--store", str(self.store), "--serve", *words)
        return start_python(list(words), self.root, **self.settings)

    @property
    def paused(self) -> bool:
        return bool(self.api.deployment("retrain/retrain-served")["paused"])

    def messages(self) -> list[str]:
        """Give what the runs that the clock started and that ended said, newest first."""
        runs = self.api.call("POST", "/flow_runs/filter", {"sort": "START_TIME_DESC"})
        ended = [run for run in runs if run["auto_scheduled"] and run["state_type"] == "COMPLETED"]
        return [str(run["state"]["message"]) for run in ended]


def close_terminal(process: "subprocess.Popen[str]") -> str:
    """Do to a process what closing its terminal does; give the rest of what it says."""
    process.send_signal(signal.SIGHUP)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


@pytest.fixture
def serving(tree: Path, tmp_path: Path) -> Iterator[Serving]:
    with running_server(tmp_path / "home") as url:
        yield Serving(url, tmp_path, tree)


@pytest.mark.slow
def test_a_served_schedule_retrains_by_the_clock_and_pauses_and_saves_when_it_is_stopped(
    serving: Serving,
) -> None:
    first = serving.serve("--epochs", "1", "--cron", "* * * * *")
    try:
        wait_until(serving.messages, "no scheduled run ended", 300.0)
        assert serving.messages()[-1] == "version 1 is champion: the first model"
        assert not serving.paused
        said = close_terminal(first)
    finally:
        end(first)
    assert "retrain runs at '* * * * *' (UTC) until Ctrl-C" in said
    assert "stopped; the schedule is paused" in said
    assert serving.paused
    second = serving.serve("--epochs", "500", "--cron", "0 3 1 1 *")
    try:
        wait_until(lambda: not serving.paused, "it stays paused though it is served again")
        run = serving.api.start("retrain/retrain-served", {})
        wait_until(lambda: serving.api.epochs_done(run), "no training in the page")
        said = close_terminal(second)
    finally:
        end(second)
    assert "A checkpoint is saved" in said
    assert list(serving.store.glob("train/*.scratch/step-*.pt"))
    assert serving.api.ended(run)["state_type"] == "CANCELLED"
