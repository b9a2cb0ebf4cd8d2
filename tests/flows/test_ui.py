"""The UI with its deployments: runs from its form, by the clock, and their ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from flows.serving import address, server
from tests.conftest import REPOSITORY, make_tree
from tests.flows.serving.serving import (
    BEHIND_A_PROXY,
    NOBODY,
    Api,
    end,
    environment,
    free_port,
    run_python,
    start_python,
    wait_until,
)

CHROMIUM = shutil.which("chromium")
TYPED = "Second try, for the ward round"
TINY = {"preset": "quick", "image_size": 32, "epochs": 2, "batch_size": 8}
LONG = TINY | {"epochs": 500}

STOPPING = 150.0  # seconds: it cancels what runs, then ends the worker, then the server

pytestmark = pytest.mark.slow


class Ui:
    """`flows/ui.py` with a Prefect home of its own, behind a proxy that is away, and pictures."""

    def __init__(self, root: Path, **settings: str) -> None:
        self.home, self.port, self.said = root / "home", free_port(), ""
        self.data = make_tree(root / "pictures", patients=12)
        self.store = root / "store"
        self.page = f"http://127.0.0.1:{self.port}"
        self.api = Api(f"{self.page}/api")
        self.output = root / "ui.txt"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(REPOSITORY / "flows" / "ui.py"), "--port", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=root,
                env=environment(self.home, **BEHIND_A_PROXY, **settings), start_new_session=True,
            )  # fmt: skip

    def ready(self) -> str:
        """Wait until all runs; give what was said by then."""
        gone = self.process.poll
        wait_until(lambda: "\nCtrl-C" in self.text() or gone() is not None, "not ready", 180.0)
        assert gone() is None, self.text()
        return self.text()

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def stop(self, how: signal.Signals = signal.SIGINT) -> str:
        """Have it end; give all that it said."""
        self.process.send_signal(how)
        self.process.wait(STOPPING)
        return self.text()

    def parameters(self, training: dict[str, Any], store: Path | None = None) -> dict[str, Any]:
        run = {"store": str(store or self.store), "device": "cpu", "workers": 0}
        run["memory_format"] = "contiguous"  # else a long training measures which is faster
        return {"data": {"data": str(self.data)}, "training": training, "run": run}

    def begin_training(self, store: Path) -> str:
        """Start a long training; give its run once an epoch is over and saved."""
        run = self.api.start("full-pipeline/full-pipeline", self.parameters(LONG, store))
        wait_until(lambda: self.api.epochs_done(run), "no training in the page", 180.0)
        wait_until(lambda: checkpoints(store), "no checkpoint")
        return run

    def curves(self, run: str) -> object:
        """Give the curves of a training that goes on, as its artifact has them."""
        artifacts = {each["key"]: each for each in self.api.of_run("artifacts", run)}
        return artifacts.get("training-curves", {}).get("data")


def checkpoints(store: Path) -> list[Path]:
    return list(store.glob("train/*.scratch/step-*.pt"))


def logged_of(ui: Ui, run: str) -> str:
    return "\n".join(line["message"] for line in ui.api.of_run("logs", run))


def flow_processes(ui: Ui) -> list[int]:
    """Give the processes of flow runs below the program."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            surroundings = (folder / "environ").read_bytes()
        except OSError:
            continue
        ours = f"PREFECT_HOME={ui.home}".encode() in surroundings.split(b"\0")
        if ours and any(word in (b"prefect.engine", b"prefect.flow_engine") for word in words):
            found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    elsewhere = f"{NOBODY.replace('//', '//me:zebra@')}/api"
    served = Ui(tmp_path_factory.mktemp("ui"), PREFECT_API_URL=elsewhere)
    try:
        served.said = served.ready()
        yield served
    finally:
        end(served.process, STOPPING)


def test_it_says_where_it_is_and_that_runs_from_a_terminal_go_elsewhere(ui: Ui) -> None:
    assert f"The Prefect UI: {ui.page}\n" in ui.said
    assert f"\nPREFECT_API_URL names {NOBODY}/api: runs from a terminal go there, not" in ui.said
    assert "zebra" not in ui.said


def test_heartbeats_are_watched(ui: Ui) -> None:
    found = ui.api.call("POST", "/automations/filter", {})
    assert [each["name"] for each in found] == ["resnext-pipeline: a run lost its heartbeat"]


def test_every_deployment_is_on_the_server(ui: Ui) -> None:
    found = {each["name"]: each for each in ui.api.call("POST", "/deployments/filter", {})}
    names = {"full-pipeline", "retrain-weekly", "batch-predict", "evaluate", "compare"}
    assert set(found) == names
    assert {each["work_pool_name"] for each in found.values()} == {None}, "none is needed"
    weekly = found["retrain-weekly"]
    assert weekly["schedules"][0]["schedule"]["cron"] == "0 3 * * 1"
    assert weekly["schedules"][0]["schedule"]["timezone"] == "UTC"
    assert weekly["global_concurrency_limit"]["limit"] == 1
    assert weekly["concurrency_options"]["collision_strategy"] == "ENQUEUE"


def test_runs_without_a_server_of_their_own_use_this_one(ui: Ui) -> None:
    program = str(REPOSITORY / "flows" / "full_pipeline.py")
    words = [program, "--data", str(ui.data), "--store", str(ui.store), "--only", "scan"]
    code, said = run_python(words, ui.home)
    assert code == 0, said
    runs = ui.api.call("POST", "/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
    assert runs[0]["state"]["message"] == "pictures, resnext50_32x4d: stopped after scan"


def field(page: Page, label: str) -> Locator:
    """Find where to write in a form, of the new UI or the old one, by its label."""
    title = page.get_by_text(f"{label} (Optional)", exact=True).first
    box = title.locator("xpath=ancestor::div[.//textarea or .//input][1]")
    return box.locator("input, textarea").first


def unfold(page: Page, group: str) -> None:
    """Open the settings of a group that are folded away."""
    title = page.get_by_text(f"{group} (Optional)", exact=True).first
    title.locator("xpath=following::*[normalize-space()='choose'][1]").click()


def start_from_the_form(page: Page, ui: Ui, deployment: str) -> str:
    """Fill in the form, look at it, and give the run that it starts."""
    page.goto(f"{ui.page}/v2/deployments/deployment/{deployment}/run")
    page.get_by_label("Run Name").fill(TYPED)
    field(page, "Data").fill(str(ui.data))
    field(page, "Store").fill(str(ui.store))
    short = page.locator("main, body").first.inner_text()
    unfold(page, "training")
    unfold(page, "run")
    field(page, "Network").fill("resnext38_32x4d")
    for label, value in (("Image size", 32), ("Epochs", 2), ("Batch size", 8), ("Workers", 0)):
        field(page, label).fill(str(value))
    form = page.locator("main, body").first.inner_text()
    assert "Width and height that the network sees, in pixels; left out" in form
    assert "and 260 of transfer and finetune (from 32 to 1024)" in form
    assert "Left empty: 224 (preset quick: 64)." in form
    assert 'type "None"' not in form
    assert "--" not in form
    assert form.count("(Optional)") > 3 * short.count("(Optional)"), "folded away at first"
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("View run").click()
    page.wait_for_url("**/runs/flow-run/*")
    return page.url.rpartition("/")[2].partition("?")[0]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
def test_a_run_from_the_form_completes_shows_its_artifacts_and_is_cached_the_second_time(
    ui: Ui,
) -> None:
    deployment = ui.api.deployment("full-pipeline/full-pipeline")["id"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.route(  # the page asks its maker's analytics host too
            "**/*", lambda way: way.continue_() if ui.page in way.request.url else way.abort()
        )
        page.set_default_timeout(60_000)
        page.goto(f"{ui.page}/deployments/deployment/{deployment}/run")
        field(page, "Data").fill(str(ui.data / "nothing"))
        with page.expect_response("**/create_flow_run") as made:
            page.get_by_role("button", name="Submit").click()
        wrong = made.value.json()["id"]
        run = start_from_the_form(page, ui, deployment)
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=240_000)
        first = ui.api.ended(run)
        assert first["state"]["type"] == "COMPLETED", first["state"]
        refused = ui.api.ended(wrong)
        assert refused["state"]["message"].startswith("“Data” must be a folder of class folders")
        assert refused["name"] == "nothing, resnext50_32x4d", "nobody typed the one in the form"
        look_at_run(page, ui, run)
        second = ui.api.start("full-pipeline/full-pipeline", first["parameters"])
        assert ui.api.ended(second)["state"]["type"] == "COMPLETED"
        assert ui.api.run(second)["name"] == "pictures, resnext38_32x4d"
        names = {each["name"]: each["state_name"] for each in ui.api.of_run("task_runs", second)}
        cached = {name for name, state in names.items() if state == "Cached"}
        assert set(names) - cached == {"scan", "publish to the UI"}
        page.goto(f"{ui.page}/v2/runs/flow-run/{second}")
        expect(page.get_by_text("Cached").first).to_be_visible()
        browser.close()


def look_at_run(page: Page, ui: Ui, run: str) -> None:
    """Open a run's page and its artifacts, and look for what must stand there."""
    seen = ui.api.run(run)
    assert seen["name"] == TYPED
    score = [tag for tag in seen["tags"] if tag.startswith("bal. acc. ")]
    assert len(score) == 1
    assert {"pictures", "resnext38_32x4d", "preset: default", "on demand"} <= set(seen["tags"])
    assert "balanced accuracy" in seen["state"]["message"]
    for epoch in (1, 2):
        line = f"\nepoch {epoch}/2: train loss"
        wait_until(lambda line=line: line in logged_of(ui, run), line, 30.0)  # type: ignore[misc]
    artifacts = {each["key"]: each for each in ui.api.of_run("artifacts", run)}
    assert artifacts["training-progress"]["data"] == 100
    assert "kept the weights of epoch" in artifacts["training-progress"]["description"]
    page.goto(f"{ui.page}/v2/runs/flow-run/{run}")
    expect(page.get_by_text(TYPED).first).to_be_visible()
    for key in ("per-class", "report", "summary"):
        page.goto(f"{ui.page}/v2/artifacts/artifact/{artifacts[key]['id']}")
        expect(page.get_by_text(artifacts[key]["description"]).first).to_be_visible()
    expect(page.get_by_alt_text("Learning curves")).to_be_visible()


def test_wrong_input_fails_with_the_reason_as_the_message(ui: Ui, tmp_path: Path) -> None:
    parameters = ui.parameters(TINY) | {"data": {"data": str(tmp_path / "nothing")}}
    state = ui.api.ended(ui.api.start("full-pipeline/full-pipeline", parameters))["state"]
    assert state["type"] == "FAILED"
    assert state["message"].startswith("“Data” must be a folder of class folders, got")


def test_a_value_out_of_bounds_is_refused_by_the_form(ui: Ui) -> None:
    with pytest.raises(OSError, match=r"HTTP Error 4\d\d"):
        ui.api.start("full-pipeline/full-pipeline", ui.parameters(TINY | {"epochs": 0}))


def test_a_cancelled_training_saves_a_checkpoint_and_leaves_no_process(
    ui: Ui, tmp_path: Path
) -> None:
    run = ui.begin_training(tmp_path)
    wait_until(lambda: ui.curves(run), "no curves", 60.0)
    seen = ui.curves(run)
    wait_until(lambda: ui.curves(run) != seen, "the curves do not move", 60.0)
    cancel = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
    ui.api.call("POST", f"/flow_runs/{run}/set_state", cancel)
    assert ui.api.ended(run, 60.0)["state"]["type"] == "CANCELLED"
    wait_until(lambda: not flow_processes(ui), "a process is left", 30.0)
    said = "Stopped by a signal. A checkpoint is saved"
    wait_until(lambda: said in logged_of(ui, run), "it did not say that it stopped", 30.0)
    assert checkpoints(tmp_path)


def test_a_killed_run_is_crashed_and_another_one_resumes_its_training(
    ui: Ui, tmp_path: Path
) -> None:
    run = ui.begin_training(tmp_path)
    for process in flow_processes(ui):
        os.kill(process, signal.SIGKILL)
    state = ui.api.ended(run, 60.0)["state"]
    assert state["type"] == "CRASHED"
    assert "SIGKILL" in state["message"]
    again = ui.begin_training(tmp_path)
    wait_until(lambda: "going on after step" in logged_of(ui, again), "began anew", 30.0)
    cancel = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
    ui.api.call("POST", f"/flow_runs/{again}/set_state", cancel)
    ui.api.ended(again, 60.0)


def test_of_two_retrainings_at_once_the_second_waits(ui: Ui, tmp_path: Path) -> None:
    name = "retrain/retrain-weekly"
    given = ui.parameters(TINY, tmp_path) | {"decision": {"no_export": True}}
    first, second = (ui.api.start(name, given) for _ in range(2))
    waiting = "AwaitingConcurrencySlot"
    wait_until(
        lambda: any(ui.api.run(run)["state"]["name"] == waiting for run in (first, second)),
        "none waited", 120.0,
    )  # fmt: skip
    messages = sorted(str(ui.api.ended(run)["state"]["message"]) for run in (first, second))
    assert messages == [
        "nothing new; version 1 stays champion",
        "version 1 is champion: the first model",
    ]


def test_stopping_saves_what_is_trained_and_leaves_nothing_running(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    served = Ui(tmp_path_factory.mktemp("stopped"))
    try:
        served.ready()
        run = served.begin_training(served.store)
        said = served.stop()
    finally:
        end(served.process, STOPPING)
    assert served.process.returncode == 0
    assert said.partition("Ctrl-C")[2].splitlines()[1:] == [
        "", "Stopped server and deployments. The run history is kept.",
    ], "Prefect's own lines stand in the log"  # fmt: skip
    log = (served.home / server.FOLDER / "ui.log").read_text(encoding="utf-8")
    assert "prefect.runner: SIGTERM received" in log
    assert checkpoints(served.store)
    assert not flow_processes(served)
    assert not address.is_taken(served.port)
    (record,) = served.store.glob("runs/*/run.json")
    assert json.loads(record.read_text())["status"] == "interrupted"
    assert run.startswith(record.parent.name.rpartition("-")[2])


def test_it_joins_the_server_of_a_training_that_is_under_way_and_leaves_it_running(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("joined")
    data, store, home = make_tree(root / "trained"), root / "trained-store", root / "home"
    home.mkdir()
    words = [str(REPOSITORY / "flows" / "full_pipeline.py"), "--data", str(data), "--store"]
    words += [str(store), "--preset", "quick", "--image-size", "32", "--epochs", "5000"]
    words += ["--device", "cpu", "--workers", "0", "--memory-format", "contiguous"]
    training = start_python(words, home)
    try:
        wait_until(lambda: checkpoints(store), "no training", 240.0)
        record = json.loads((home / server.FOLDER / "server.json").read_text())
        served = Ui(root)
        try:
            said = served.ready()
            page = record["url"].removesuffix("/api")
            assert f"The Prefect UI: {page}\n" in said
            assert "but the server goes on while a run from a terminal uses it." in said
            assert f"it is not port {served.port}." in said
            with urllib.request.urlopen(f"{page}/ui-settings") as answer:
                assert json.load(answer)["api_url"] == record["url"]
            served.api = Api(record["url"])
            scan = served.parameters(TINY)
            scan["run"] |= {"only": "scan"}
            run = served.api.start("full-pipeline/full-pipeline", scan)
            assert served.api.ended(run)["state"]["type"] == "COMPLETED", "nothing runs it"
            states = served.api.call("POST", "/flow_runs/filter", {})
            assert "RUNNING" in [each["state_type"] for each in states], "not the training's server"
            rest = served.stop()
        finally:
            end(served.process, STOPPING)
        assert "\nStopped the deployments. The run history is kept." in rest
        assert training.poll() is None
        assert address.healthy(record["url"])
    finally:
        end(training, STOPPING)


def test_a_history_that_is_served_already_is_told_in_words(ui: Ui) -> None:
    program = str(REPOSITORY / "flows" / "ui.py")
    code, said = run_python([program, "--port", str(free_port())], ui.home)
    assert code == 2
    assert f"whose history is served at {ui.page} already." in said
    assert ui.process.poll() is None


def test_a_schedule_of_the_file_starts_the_retraining_that_skips_what_is_not_new(
    ui: Ui, tmp_path: Path
) -> None:
    """Refusals, promotions and rollbacks are tests of retrain.py."""
    deployment = ui.api.deployment("retrain/retrain-weekly")["id"]
    path = f"/deployments/{deployment}/schedules"
    given = ui.parameters(TINY, tmp_path) | {"decision": {"no_export": True}}
    body = {"active": True, "schedule": {"interval": 15}, "parameters": given}
    (made,) = ui.api.call("POST", path, [body])
    mine = {"deployment_id": {"any_": [deployment]}}

    def said() -> list[str]:
        runs = ui.api.call("POST", "/flow_runs/filter", {"flow_runs": mine})
        bad = [run for run in runs if run["state_type"] in ("FAILED", "CRASHED")]
        assert not bad
        return [str(run["state"]["message"]) for run in runs if run["auto_scheduled"]]

    try:
        for words in ("version 1 is champion: the first model", "nothing new; version 1 stays"):
            wait_until(lambda words=words: words in str(said()), words, 300.0)  # type: ignore[misc]
    finally:
        ui.api.call("DELETE", f"{path}/{made['id']}")
        waiting = mine | {"state": {"type": {"any_": ["SCHEDULED"]}}}
        for run in ui.api.call("POST", "/flow_runs/filter", {"flow_runs": waiting}):
            ui.api.call("DELETE", f"/flow_runs/{run['id']}")
