"""Notices, as a user gets them: a real server calls a real receiver on this machine."""

import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows import automations
from flows.cli import run as command
from flows.serving import server
from tasks.registry.announce import PROMOTED, REGISTRY
from tests.flows.serving.serving import (
    REPOSITORY,
    end,
    run_python,
    running_server,
    start_python,
    wait_until,
)
from tests.flows.test_models import registered

from prefect.automations import EventTrigger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

NAMES = [each.name for each in automations.automations()]
_FAILURE, PROMOTION, SILENCE = NAMES

HEARTBEAT = "prefect.flow-run.heartbeat"

FLOW = """
import os, time, tasks
from prefect import flow

@flow(name={name!r}, flow_run_name={run!r}, persist_result=False)
def a_flow():
    {body}

a_flow()
"""


class Receiver(ThreadingHTTPServer):
    """Keeps what was sent to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.got: list[dict[str, Any]] = []
        self.kinds: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def about(self, run: str) -> list[dict[str, Any]]:
        return [notice for notice in self.got if notice["flow_run"] == run]

    def why(self, words: str) -> list[tuple[int, str]]:
        """Give version and reason of each promotion whose reason holds these words."""
        return [(n["version"], n["why"]) for n in self.got if words in n.get("why", "")]


class Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kinds.add(str(self.headers["Content-Type"]))
        self.server.got.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""


class Place:
    """A server, a receiver, and the programs between them."""

    def __init__(self, home: Path, api: str, receiver: Receiver) -> None:
        self.home, self.api, self.receiver = home, api, receiver

    def said(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
        with temporary_settings(updates={PREFECT_API_URL: self.api}):
            code = command.run_command(
                automations.main, name="automations.py", arguments=list(words)
            )
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    def run(self, body: str, *, name: str = "full-pipeline", run: str) -> tuple[int, str]:
        code = FLOW.format(name=name, run=run, body=body)
        return run_python(["-c", code], self.home, PREFECT_API_URL=self.api)

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        with (
            temporary_settings(updates={PREFECT_API_URL: self.api}),
            get_client(sync_client=True) as client,
        ):
            yield client

    def watch(self, seconds: int) -> None:
        with self.client():
            watch = automations.automations(after=timedelta(seconds=seconds))[-1]
            automations.create_or_update(watch)

    def waits(self) -> timedelta:
        """Give the time without a heartbeat after which a run is given up."""
        with self.client() as client:
            (watch,) = client.read_automations_by_name(SILENCE)
        assert isinstance(watch.trigger, EventTrigger)
        return watch.trigger.within

    def names(self) -> list[str]:
        with self.client() as client:
            return sorted(automation.name for automation in client.read_automations())

    def events(self, name: str) -> list[str]:
        """Give the names of the resources that the server saw an event of."""
        with self.client() as client:
            body = {"filter": {"event": {"name": [name]}}}
            seen = client.request("POST", "/events/filter", json=body).json()["events"]
        return [event["resource"].get("prefect.resource.name", "") for event in seen]

    def state(self, run: str) -> tuple[str, str | None]:
        """Give a run's state and its message."""
        with self.client() as client:
            found = {each.name: each.state for each in client.read_flow_runs()}.get(run)
        return (found.name or "", found.message) if found else ("", None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("automations")
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        with running_server(home) as api:
            yield Place(home, api, receiver)
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


@pytest.fixture
def automated(place: Place, capsys: pytest.CaptureFixture[str]) -> Place:
    """A place whose automations were made by the program, but for a shorter silence."""
    words = ["--webhook", "notices", "--url", place.receiver.url, "--allow-private"]
    code, text = place.said(capsys, *words)
    assert code == 0, text
    place.watch(10)
    return place


@pytest.mark.slow
def test_an_unknown_webhook_block_is_told_with_two_remedies(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before = place.names()
    code, text = place.said(capsys, "--webhook", "nobody")
    assert code == 2
    assert "--webhook must be the name of a webhook block on the server, got 'nobody'." in text
    assert "under Blocks" in text
    assert "--url https://..." in text
    assert len(text.splitlines()) == 1
    assert place.names() == before


@pytest.mark.slow
def test_a_failed_run_of_this_project_is_posted_with_its_name_message_and_link(
    automated: Place,
) -> None:
    assert automated.run("pass", run="good run")[0] == 0
    assert automated.run("raise ValueError", name="not-ours", run="foreign run")[0] == 1
    code, text = automated.run('raise ValueError("a \\"quoted\\"\\n<line> \\u00e4")', run="bad run")
    assert code == 1, text
    wait_until(lambda: automated.receiver.about("bad run"), "no notice came")
    (notice,) = automated.receiver.about("bad run")
    assert not automated.receiver.about("good run") + automated.receiver.about("foreign run")
    assert notice["event"] == "run failed"
    assert notice["flow"] == "full-pipeline"
    assert notice["state"] == "Failed"
    assert 'ValueError: a "quoted"\n<line> ä' in notice["message"]
    assert notice["id"] in notice["link"]
    assert notice["link"].startswith("http://127.0.0.1:")
    assert notice["text"].startswith('full-pipeline "bad run" failed: ')
    assert automated.receiver.kinds == {"application/json"}


@pytest.mark.slow
def test_promotions_and_a_rollback_by_hand_are_posted_with_version_score_and_reason(
    automated: Place, tmp_path: Path
) -> None:
    registered(tmp_path, 2)
    for number in (1, 2):
        said = by_hand(automated, tmp_path, "promote", str(number))
        assert said == (0, f"Version {number} is champion now.\n")
    assert by_hand(automated, tmp_path, "rollback")[0] == 0
    wait_until(lambda: len(automated.receiver.why("by hand")) == 3, "a notice is missing")
    assert sorted(automated.receiver.why("by hand")) == [
        (1, "promotion by hand"),
        (1, "rollback by hand"),
        (2, "promotion by hand"),
    ]
    (notice,) = (each for each in automated.receiver.got if each.get("version") == 2)
    assert notice["event"] == "model promoted"
    assert (notice["score"], notice["data"]) == ("62 %", "猴痘")
    assert notice["text"] == "Version 2 is champion now (62 %): promotion by hand"
    assert notice["link"] == notice["flow_run"] == "", "no run promoted it"
    away = Place(automated.home, "http://127.0.0.1:9/api", automated.receiver)
    said = by_hand(away, tmp_path, "promote", "2")
    assert said == (0, "Version 2 is champion now.\n"), "also where the server is away"


def by_hand(place: Place, store: Path, *words: str) -> tuple[int, str]:
    program = str(REPOSITORY / "flows" / "models.py")
    return run_python(
        [program, *words, "--store", str(store)], place.home, PREFECT_API_URL=place.api
    )


@pytest.mark.slow
def test_a_killed_run_is_marked_as_crashed_and_posted(automated: Place) -> None:
    code = FLOW.format(name="retrain", run="killed run", body="time.sleep(600)")
    assert automated.run("pass", run="short run")[0] == 0
    process = start_python(["-c", code], automated.home, PREFECT_API_URL=automated.api)
    try:
        wait_until(lambda: automated.state("killed run")[0] == "Running", "the run did not begin")
        wait_until(
            lambda: "killed run" in automated.events(HEARTBEAT),
            "no heartbeat was seen",
        )
    finally:
        process.send_signal(signal.SIGKILL)
        end(process)
    wait_until(lambda: automated.state("killed run")[0] == "Crashed", "it was not given up")
    assert automated.state("killed run")[1] == (
        "the process ended without a word: no heartbeat for 10 s"
    )
    wait_until(lambda: automated.receiver.about("killed run"), "no notice came")
    assert automated.receiver.about("killed run")[0]["state"] == "Crashed"
    assert automated.state("short run")[0] == "Completed", "one that ended is left alone"


@pytest.mark.slow
def test_making_them_twice_makes_three_and_keeps_the_one_that_was_switched_off(
    automated: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with automated.client() as client:
        client.pause_automation(client.read_automations_by_name(PROMOTION)[0].id)
    code, text = automated.said(capsys, "--webhook", "notices", "--lost-after", "999")
    assert (code, text.splitlines()[-1]) == (
        0,
        "A run without a heartbeat for 999 s counts as crashed.",
    )
    assert automated.names() == sorted(NAMES)
    with automated.client() as client:
        assert not client.read_automations_by_name(PROMOTION)[0].enabled
    assert automated.waits() == timedelta(seconds=999)


@pytest.mark.slow
def test_the_page_watches_heartbeats_but_leaves_a_time_that_somebody_chose(place: Place) -> None:
    place.watch(999)
    with place.client() as client:
        automations.watch_heartbeats_where_none_does()
        assert place.waits() == timedelta(seconds=999)
        client.delete_automation(client.read_automations_by_name(SILENCE)[0].id)
        automations.watch_heartbeats_where_none_does()
    assert place.waits() == automations.LOST_AFTER


@pytest.mark.slow
def test_removing_takes_the_automations_and_leaves_the_block(
    automated: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert automated.said(capsys, "--remove") == (0, "Removed 3 of 3 automations.\n")
    assert automated.names() == []
    assert automated.said(capsys, "--remove") == (0, "Removed 0 of 3 automations.\n")
    assert automated.said(capsys, "--webhook", "notices")[0] == 0


@pytest.mark.slow
def test_a_private_address_is_called_only_where_it_is_allowed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--webhook", "guarded", "--url", place.receiver.url]
    before = place.names()
    code, text = place.said(capsys, *words)
    assert code == 2
    assert "got '127.0.0.1', which Prefect refuses to call. Add --allow-private." in text
    assert place.names() == before
    with place.client():
        automations.save_block("guarded", place.receiver.url, allow_private=False)
    assert place.said(capsys, "--webhook", "guarded")[0] == 0
    assert place.run("raise ValueError", run="unsent run")[0] == 1
    wait_until(lambda: place.events("prefect.automation.action.failed"), "nothing was refused")
    assert not place.receiver.about("unsent run")
    assert place.said(capsys, *words, "--allow-private")[0] == 0
    assert place.run("raise ValueError", run="sent run")[0] == 1
    wait_until(lambda: place.receiver.about("sent run"), "no notice came")
    assert not place.receiver.about("unsent run")


@pytest.mark.slow
def test_the_address_lies_encrypted_on_the_server(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "https://example.org/hook?token=zebra"
    code, text = place.said(capsys, "--webhook", "secret", "--url", url, "--allow-private")
    assert code == 0
    assert "zebra" not in text
    kept = b"".join(path.read_bytes() for path in place.home.glob("prefect.db*"))
    assert b"resnext-pipeline: a run failed or crashed" in kept
    assert b"zebra" not in kept


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "--webhook must be given, or else --remove, got neither."),
        (["--webhook", "a", "--remove"], "--webhook must be given, or else --remove, got both."),
        (["--webhook", "a", "--allow-private"], "--allow-private must be given with --url only"),
        (["--webhook", "A b"], "--webhook must be lower-case letters, digits and dashes"),
        *(
            (["--webhook", "a", "--url", url], "--url must begin with http:// or https:// and name")
            for url in (
                "ftp://zebra",
                "https://hooks.example.org:badport/zebra",
                "https://hooks.example.org:99999/zebra",
                "https://[::bad/zebra",
                "https://a b/zebra",
                "https:///zebra",
            )
        ),
        *(
            (["--webhook", "a", "--url", url], "which Prefect refuses to call. Add --allow-private")
            for url in (
                "http://127.0.0.1:9/zebra",
                "http://[::1]/zebra",
                "https://a..b/zebra",
                "https://10.1.2.3/zebra",
                "https://me:zebra@localhost/zebra",
            )
        ),
        *(
            (["--webhook", "a", "--lost-after", seconds], "--lost-after must be from 540 (3 heart")
            for seconds in ("5", "539", "9" * 12, "9" * 400)
        ),
        (["--webhook", "a"], "PREFECT_API_URL must name a Prefect server that goes on running"),
    ],
)
def test_wrong_flags_end_with_one_line_and_exit_code_2(
    words: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "own_address", lambda: None)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        code = command.run_command(automations.main, name="automations.py", arguments=words)
    text = capsys.readouterr().err
    assert code == 2
    assert complaint in text
    assert "zebra" not in text
    assert len(text.splitlines()) == 1


def test_every_flow_and_every_promotion_of_this_project_is_watched() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "flows").glob("*.py")]
    names = {name for text in sources for name in re.findall(r'@flow\(\s*name="(.+?)"', text)}
    failure, promotion, silence = (each.trigger.model_dump() for each in automations.automations())
    for trigger in (failure, silence):
        assert set(trigger["match_related"]["prefect.resource.name"]) == names
    assert promotion["expect"] == {PROMOTED}
    assert promotion["match"]["prefect.resource.id"] == f"{REGISTRY}.*"


@pytest.mark.parametrize(("frequency", "seconds"), [(30, 600), (180, 600), (600, 1800)])
def test_without_a_time_of_ones_own_at_least_three_heartbeats_are_waited_for(
    frequency: int, seconds: int
) -> None:
    with temporary_settings(updates={PREFECT_FLOWS_HEARTBEAT_FREQUENCY: frequency}):
        assert automations.usual_wait() == timedelta(seconds=seconds)
