import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import pytest

from resnext.contracts.errors import InputError
from tasks.stage import decorator
from tasks.stage.artifact import Artifact, Reads, Runtime, Work
from tasks.stage.decorator import stage
from tasks.stage.runs import link, open_run, used_by
from tasks.stage.store import HASH_BELOW, RECORD, faults, locked

from prefect.client.schemas.objects import State
from prefect.states import Failed

CALLS: list[str] = []


@stage(clock_files=("clock.txt",))
def make(work: Work, text: str) -> None:
    """Write a text, and a clock time that no digest covers."""
    CALLS.append(text)
    (work.out / "a.txt").write_text(text)
    (work.out / "b.txt").write_text("other")
    (work.out / "clock.txt").write_text(str(time.time_ns()))


@stage()
def shout(work: Work, made: Annotated[Artifact, Reads("a.txt")]) -> None:
    """Write a text in capitals."""
    CALLS.append("shout")
    (work.out / "loud.txt").write_text(made.path("a.txt").read_text().upper())


@stage(always=True)
def look(work: Work) -> None:
    """Write down the names in a folder."""
    CALLS.append("look")
    (work.out / "names.txt").write_text(
        " ".join(sorted(path.name for path in work.images.iterdir()))
    )


@stage()
def fail(work: Work, kind: str) -> None:
    """Fail."""
    CALLS.append(kind)
    (work.out / "half.txt").write_text("half")
    raise {"input": InputError("--x", "be 1", 2), "disk": OSError("disk")}[kind]


@stage()
def slow(work: Work, seconds: float) -> None:
    """Take a while, then note who did it."""
    with (work.store / "builders.txt").open("a") as builders:
        builders.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    (work.out / "done.txt").write_text("done")


@pytest.fixture(autouse=True)
def no_calls_yet() -> None:
    CALLS.clear()


def test_the_second_call_computes_nothing_and_gives_the_same_artifact(runtime: Runtime) -> None:
    first, second = make.fn(runtime, "hello"), make.fn(runtime, "hello")
    assert CALLS == ["hello"]
    assert first == second
    assert first.path("a.txt").read_text() == "hello"


@stage(log_again="said.txt")
def tell(work: Work) -> None:
    """Write what a reader must hear at every run."""
    (work.out / "said.txt").write_text("WARNING: it leaks\n")


def test_what_must_be_heard_is_said_again_where_nothing_is_computed(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tell.fn(runtime)
    assert "it leaks" not in caplog.text
    tell.fn(runtime)
    assert "cached" in caplog.text
    assert caplog.messages[-1] == "WARNING: it leaks"


def test_another_argument_is_another_artifact(runtime: Runtime) -> None:
    assert make.fn(runtime, "one").key != make.fn(runtime, "two").key
    assert CALLS == ["one", "two"]


def test_the_runtime_is_not_in_the_key(runtime: Runtime, tmp_path: Path) -> None:
    other = runtime.model_copy(update={"workers": 7, "store": tmp_path / "elsewhere"})
    assert make.fn(runtime, "x").key == make.fn(other, "x").key


def test_an_input_counts_by_the_files_that_are_read_of_it(runtime: Runtime) -> None:
    made = make.fn(runtime, "x")
    changed = made.model_copy(update={"files": {**made.files, "b.txt": "another digest"}})
    assert shout.key(made) == shout.key(changed)
    changed = made.model_copy(update={"files": {**made.files, "a.txt": "another digest"}})
    assert shout.key(made) != shout.key(changed)


def test_a_file_that_is_not_declared_cannot_be_read(runtime: Runtime) -> None:
    @stage()
    def cheat(work: Work, made: Annotated[Artifact, Reads("a.txt")]) -> None:
        made.path("b.txt")
        del work

    with pytest.raises(KeyError, match=r"has no file 'b.txt', only: a.txt"):
        cheat.fn(runtime, make.fn(runtime, "x"))


def test_a_users_file_that_changes_after_it_was_hashed_leaves_no_result(
    runtime: Runtime, tmp_path: Path
) -> None:
    """Else the cache would hold what other bytes gave, under the key of these."""
    file = tmp_path / "a.txt"
    file.write_text("first")
    hashed = Artifact.of_file(file)
    file.write_text("second")
    with pytest.raises(InputError, match=r"^a.txt must stay the same while a run reads it"):
        shout.fn(runtime, hashed)
    assert not list((runtime.store / "shout").glob("*/"))
    file.write_text("first")
    assert shout.fn(runtime, hashed).path("loud.txt").read_text() == "FIRST"


@stage()
def point(work: Work, made: Annotated[Artifact, Reads("a.txt", uncounted=("b.txt",))]) -> None:
    """Read one file that counts and one that says where things are."""
    CALLS.append("point")
    (work.out / "both.txt").write_text(made.path("a.txt").read_text() + made.path("b.txt").name)


def test_an_uncounted_file_can_be_read_but_is_not_in_the_key(runtime: Runtime) -> None:
    made = make.fn(runtime, "x")
    assert point.fn(runtime, made).path("both.txt").read_text() == "xb.txt"
    changed = made.model_copy(update={"files": {**made.files, "b.txt": "another digest"}})
    assert point.key(made) == point.key(changed)
    changed = made.model_copy(update={"files": {**made.files, "a.txt": "another digest"}})
    assert point.key(made) != point.key(changed)


@stage()
def stop_and_go(work: Work, text: str) -> None:
    """Fail at the first time, leaving something to go on with."""
    if not work.scratch.exists():
        work.scratch.mkdir()
        (work.scratch / "so far.txt").write_text(text)
        raise KeyboardInterrupt
    (work.out / "done.txt").write_text((work.scratch / "so far.txt").read_text() + " more")


def test_what_a_stopped_stage_left_to_go_on_with_is_found_and_then_thrown_away(
    runtime: Runtime,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        stop_and_go.fn(runtime, "half")
    made = stop_and_go.fn(runtime, "half")
    assert made.path("done.txt").read_text() == "half more"
    assert set(made.files) == {"done.txt"}
    assert [path.name for path in made.folder.parent.iterdir() if path.is_dir()] == [made.key]


def test_an_artifact_argument_must_say_what_is_read_of_it(runtime: Runtime) -> None:
    @stage()
    def vague(work: Work, made: Artifact) -> None:
        del work, made

    with pytest.raises(TypeError, match="must say what is read of it"):
        vague.fn(runtime, make.fn(runtime, "x"))


def test_clock_files_are_in_no_digest(runtime: Runtime) -> None:
    made = make.fn(runtime, "x")
    assert set(made.files) == {"a.txt", "b.txt"}
    assert made.path("clock.txt").exists()
    made.path("clock.txt").write_text("another time")
    make.fn(runtime, "x")
    assert CALLS == ["x"]


def test_a_missing_file_is_said_and_computed_again(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    make.fn(runtime, "x").path("a.txt").unlink()
    again = make.fn(runtime, "x")
    assert CALLS == ["x", "x"]
    assert again.path("a.txt").read_text() == "x"
    assert "lacks a.txt" in caplog.text


@pytest.mark.parametrize("verify", [False, True])
def test_one_flipped_byte_is_found_kept_aside_and_computed_again(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, verify: bool
) -> None:
    made = make.fn(runtime, "x")
    flip_quietly(made.path("a.txt"))
    again = make.fn(runtime.model_copy(update={"verify": verify}), "x")
    assert CALLS == ["x", "x"]
    assert again.path("a.txt").read_text() == "x"
    assert "altered after it was written (a.txt)" in caplog.text
    (aside,) = made.folder.parent.glob("*.damaged-*")
    assert (aside / "a.txt").read_text() == "y"


def test_looking_for_faults_throws_nothing_away(runtime: Runtime) -> None:
    made = make.fn(runtime, "x")
    assert faults(made.folder) == ([], [])
    flip_quietly(made.path("a.txt"))
    assert faults(made.folder) == ([], ["a.txt"])
    made.path("b.txt").unlink()
    assert faults(made.folder) == (["b.txt"], ["a.txt"])
    assert made.path("a.txt").exists()


def test_a_big_file_is_hashed_when_asked_or_when_it_was_touched(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.stage.store.HASH_BELOW", 1)
    assert HASH_BELOW == 64 * 2**20
    made = make.fn(runtime, "x")
    flip_quietly(made.path("a.txt"))
    make.fn(runtime, "x")
    assert CALLS == ["x"]  # same size, time and inode: believed without reading it
    make.fn(runtime.model_copy(update={"verify": True}), "x")
    assert CALLS == ["x", "x"]
    made.path("a.txt").write_text("y")
    make.fn(runtime, "x")
    assert CALLS == ["x", "x", "x"]


@pytest.mark.parametrize(
    "edit",
    [
        "", "{", "[]", "{}",
        {"key": "../../../x"}, {"files": {}}, {"files": {"../../x": {}}}, {"clock_files": 3},
        {"stage": "other"}, {"seal": "0"},
    ],
)  # fmt: skip
def test_a_damaged_or_edited_record_is_no_hit(
    runtime: Runtime, edit: str | dict[str, object]
) -> None:
    record = make.fn(runtime, "x").folder / RECORD
    known = json.loads(record.read_text())
    record.write_text(edit if isinstance(edit, str) else json.dumps(known | edit))
    assert make.fn(runtime, "x").path("a.txt").read_text() == "x"
    assert CALLS == ["x", "x"]


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
def test_what_stands_in_the_place_of_a_folder_is_moved_aside(
    runtime: Runtime, tmp_path: Path, kind: str
) -> None:
    folder = make.fn(runtime, "x").folder
    moved = folder.rename(tmp_path / "moved")
    if kind == "file":
        folder.write_text("rubbish")
    else:
        folder.symlink_to(moved if kind == "link" else tmp_path / "nowhere")
    again = make.fn(runtime, "x")
    assert again.path("a.txt").read_text() == "x"
    assert not again.folder.is_symlink()
    assert CALLS == ["x", "x"]


def test_a_full_disk_and_a_lost_file_are_not_tried_again() -> None:
    def worth(number: int) -> bool:
        failed: State[Any] = Failed(data=OSError(number, "message"))
        return decorator._worth_retrying(None, None, failed)

    assert worth(errno.EIO)
    assert not worth(errno.ENOSPC)
    assert not worth(errno.ENOENT)


def test_a_store_that_was_moved_is_still_full_of_hits(runtime: Runtime, tmp_path: Path) -> None:
    make.fn(runtime, "x")
    moved = runtime.store.rename(tmp_path / "moved")
    made = make.fn(runtime.model_copy(update={"store": moved}), "x")
    assert CALLS == ["x"]
    assert made.path("a.txt").is_relative_to(moved)


def test_a_failure_leaves_no_artifact_but_keeps_the_partial_work(runtime: Runtime) -> None:
    with pytest.raises(OSError, match="disk"):
        fail.fn(runtime, "disk")
    (left,) = (path for path in (runtime.store / "fail").iterdir() if path.is_dir())
    assert left.name.endswith(".partial")
    assert (left / "half.txt").read_text() == "half"


def test_a_stage_that_always_runs_is_kept_under_what_came_out(runtime: Runtime, tree: Path) -> None:
    first, second = look.fn(runtime), look.fn(runtime)
    assert CALLS == ["look", "look"]
    assert first == second
    (tree / "new").mkdir()
    assert look.fn(runtime).key != first.key
    assert not list((runtime.store / "look").glob("*.partial"))


def test_the_result_is_linked_into_the_run_folder(runtime: Runtime) -> None:
    with open_run(runtime.store, "12345678-9", {}) as run:
        made = make.fn(runtime.model_copy(update={"run": run}), "x")
        assert (run / "a.txt").read_text() == "x"
        assert (run / "clock.txt").is_symlink()
        assert used_by(run) == {f"make/{made.key}"}
        link(run, made)  # twice is once
        assert (run / "a.txt").read_text() == "x"


def _build(store: Path, seconds: float) -> None:
    slow.fn(Runtime(store=store), seconds)


def test_two_at_once_compute_it_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_build, args=(tmp_path, 0.5)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert len((tmp_path / "builders.txt").read_text().split()) == 1


def test_a_killed_builder_holds_no_lock(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    builder = spawn.Process(target=_build, args=(tmp_path, 60.0))
    builder.start()
    wait_for(tmp_path / "builders.txt")
    assert builder.pid is not None
    os.kill(builder.pid, signal.SIGKILL)
    builder.join(10)
    start = time.monotonic()
    with locked(tmp_path, "slow", slow.key(60.0)):
        assert time.monotonic() - start < 5


@pytest.mark.usefixtures("prefect_server")
class TestInPrefect:
    def test_a_computed_stage_completes_and_a_hit_shows_as_cached(self, runtime: Runtime) -> None:
        from prefect import flow

        @flow
        def both() -> list[str]:
            states: list[Any] = [make.task(runtime, "x", return_state=True) for _ in range(2)]
            return [state.name for state in states]

        assert both() == ["Completed", "Cached"]

    def test_the_caller_gets_the_artifact_either_way(self, runtime: Runtime) -> None:
        from prefect import flow

        @flow(persist_result=False)
        def both() -> bool:
            return make(runtime, "x") == make(runtime, "x")

        assert both() is True
        assert CALLS == ["x"]

    def test_wrong_input_fails_once_and_in_words(
        self, runtime: Runtime, caplog: pytest.LogCaptureFixture
    ) -> None:
        from prefect import flow

        @flow
        def ask() -> str:
            with pytest.raises(InputError, match="--x must be 1, got 2"):
                fail(runtime, "input")
            return "done"

        assert ask() == "done"
        assert CALLS == ["input"]
        assert "Traceback" not in caplog.text

    def test_an_input_output_error_is_retried(
        self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from prefect import flow

        monkeypatch.setattr(fail.task, "retry_delay_seconds", 0.0)

        @flow
        def ask() -> str:
            with pytest.raises(OSError, match="disk"):
                fail(runtime, "disk")
            return "done"

        assert ask() == "done"
        assert CALLS == ["disk"] * (1 + decorator.RETRIES)


def flip_quietly(path: Path) -> None:
    """Change a byte and put the time of change back, as a failing disk would."""
    stat = path.stat()
    with path.open("r+b") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)
