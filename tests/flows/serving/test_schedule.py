"""A schedule that is served without a worker: when it may run, that it fires, how it ends."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.flags import ScheduleFlags
from flows.retrain import require_schedule
from flows.serving import deployments
from flows.serving.deployments import next_runs
from resnext.contracts.errors import InputError
from tests.conftest import REPOSITORY
from tests.flows.serving.serving import (
    BEHIND_A_PROXY,
    Api,
    end,
    running_server,
    start_python,
    wait_until,
)

from prefect import flow
from prefect.client.orchestration import get_client

TINY = ["--preset", "quick", "--image-size", "32", "--device", "cpu", "--workers", "0"]
TINY += ["--no-export", "--memory-format", "contiguous"]  # each takes seconds


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"cron": "0 3 * *"}, r"--cron must be a cron expression, got '0 3 \* \*'. Write five"),
        ({"cron": ""}, "--cron must be a cron expression, got ''"),
        ({"timezone": ""}, "--timezone must be a time zone's name, as Europe/Berlin, got ''"),
        ({"cron": "often"}, "--cron must be a cron expression, got 'often'"),
        ({"cron": "@daily"}, r"--cron must be a cron expression, got '@daily'\. Write five"),
        ({"cron": "0 0 3 * * 1"}, r"--cron must be a cron expression, got '0 0 3 \* \* 1'\. Write"),
        ({"cron": "0 25 * * *"}, "--cron must be a cron expression, got '0 25"),
        ({"cron": "R 3 * * *"}, "--cron must be a cron expression, got 'R 3"),
        ({"cron": "0 3 31 2 *"}, r"--cron must name a date that exists, .* which never comes\."),
        ({"cron": "0 3 30 2 1"}, r"--cron must name a date that exists, .* which never comes\."),
        ({"cron": "0 3 31 4,6,9,11 *"}, "--cron must name a date that exists"),
        ({"timezone": "Mars"}, "--timezone must be a time zone's name, .* got 'Mars'"),
    ],
)
def test_a_schedule_that_no_clock_can_keep_is_told_in_words(
    flags: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        require_schedule(ScheduleFlags(serve=True, **flags))


@pytest.mark.parametrize(
    ("cron", "timezone", "words"),
    [
        ("0 3 29 2 *", "UTC", "Tue 2028-02-29 03:00, Sun 2032-02-29 03:00, Fri 2036-02-29 03:00"),
        ("30 2 * * 0#5", "Europe/Berlin", ""),
    ],
)
def test_the_next_three_runs_are_told_with_their_time_zone(
    cron: str, timezone: str, words: str
) -> None:
    told = next_runs("--cron", cron, timezone)
    assert told.endswith(f"{words} ({timezone})")
    assert told.count(":") == 3


def test_a_date_that_prefect_would_look_for_in_vain_is_told_of_a_deployment_too() -> None:
    with pytest.raises(InputError, match=r"The schedule of x must name a date that exists"):
        next_runs("The schedule of x", "0 3 31 2 *", "UTC")
    with pytest.raises(InputError, match=r"The schedule of x \('timezone'\) must be a time zone"):
        next_runs("The schedule of x", "0 3 * * *", "Mars")


@flow(name="retrain")
def retrained_elsewhere() -> None: ...


@pytest.mark.usefixtures("prefect_server")
def test_a_schedule_that_is_served_from_somewhere_else_is_not_taken_over() -> None:
    name = "retrain/retrain-served"
    deployments._require_ours(name, "http://a.server/api")
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(retrained_elsewhere)
        client.create_deployment(flow_id, "retrain-served", tags=["served from b:/c"])
        with pytest.raises(InputError, match=r"made elsewhere \(served from b:/c\)\. Unset"):
            deployments._require_ours(name, "http://a.server/api")
        client.create_deployment(flow_id, "retrain-served", tags=[deployments.OURS])
        deployments._require_ours(name, "http://a.server/api")
        client.delete_deployment(client.read_deployment_by_name(name).id)


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
    assert "(UTC)\n" in said.partition("next: ")[2]
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
