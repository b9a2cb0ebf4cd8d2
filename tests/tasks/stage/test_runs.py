import json
from pathlib import Path

import pytest

from resnext.contracts.errors import InputError
from tasks.stage import prune as pruning
from tasks.stage.artifact import Artifact, Runtime, Work
from tasks.stage.decorator import stage
from tasks.stage.runs import (
    MODEL,
    RUN_RECORD,
    USED,
    link,
    newest_model,
    open_run,
    point_latest,
    run_lock,
    run_record,
    run_status,
    runs,
)
from tasks.stage.store import lock_of


@stage()
def write(work: Work, name: str, text: str) -> None:
    """Write one file."""
    (work.out / name).write_text(text)


def one_run(runtime: Runtime, run_id: str, text: str, name: str = MODEL) -> tuple[Path, Artifact]:
    with open_run(runtime.store, run_id, {"text": text}) as run:
        made = write.fn(runtime.model_copy(update={"run": run}), name, text)
    return run, made


def test_a_run_writes_down_what_was_asked_and_how_it_ended(runtime: Runtime) -> None:
    run, made = one_run(runtime, "0123456789", "x")
    assert run.name.endswith("-01234567")
    record = run_record(run)
    assert record["asked"] == {"text": "x"}
    assert record["status"] == "finished"
    assert record["artifacts"] == [f"write/{made.key}"]


def test_a_damaged_list_of_used_artifacts_is_named_before_anything_is_removed(
    runtime: Runtime,
) -> None:
    run, made = one_run(runtime, "0123456789", "x")
    (run / USED).write_bytes(b"\xff" + (run / USED).read_bytes())
    with pytest.raises(InputError, match=r"artifacts.txt' must be text as it was written"):
        pruning.prune(runtime.store, keep_runs=1)
    assert made.path(MODEL).exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("broken"), "failed: broken"), (KeyboardInterrupt(), "interrupted")],
)
def test_a_run_that_fails_or_is_interrupted_says_so(
    runtime: Runtime, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), open_run(runtime.store, "0123456789", {}) as run:
        raise error
    assert run_record(run)["status"] == status


def test_a_run_that_was_killed_is_told_from_one_that_lives(runtime: Runtime) -> None:
    with open_run(runtime.store, "0123456789", {}) as run:
        assert run_status(run) == "running"
        left = (run / RUN_RECORD).read_bytes()
    (run / RUN_RECORD).write_bytes(left)  # as a SIGKILL leaves it
    assert run_status(run) == "killed"
    (run / RUN_RECORD).unlink()
    assert run_status(run) == "unfinished"


def test_a_run_after_the_clock_was_set_back_is_the_newest_all_the_same(runtime: Runtime) -> None:
    ahead, _ = one_run(runtime, "ahead-----", "ahead")
    ahead.rename(ahead.with_name(f"20991231T235959Z-{ahead.name[-8:]}"))
    run, _ = one_run(runtime, "after-----", "after")
    assert run.name == "21000101T000000Z-after---"
    assert newest_model(runtime.store) == run / MODEL
    assert run_record(run)["started"] < "2099"


def test_a_folder_whose_name_is_no_date_stops_no_run(runtime: Runtime) -> None:
    (runtime.store / "runs" / "20999999T999999Z-x").mkdir(parents=True)
    run, _ = one_run(runtime, "0123456789", "x")
    assert run_status(run) == "finished"


def test_latest_points_at_a_run_and_moves(runtime: Runtime) -> None:
    for number in range(2):
        run, _ = one_run(runtime, f"run{number}-----", str(number))
        point_latest(runtime.store, run)
        assert (runtime.store / "latest" / MODEL).read_text() == str(number)


def test_links_are_relative_so_that_a_store_can_be_moved(runtime: Runtime, tmp_path: Path) -> None:
    run, _ = one_run(runtime, "0123456789", "x")
    moved = runtime.store.rename(tmp_path / "moved")
    assert (moved / "runs" / run.name / MODEL).read_text() == "x"


def test_files_in_folders_get_no_link(runtime: Runtime, tmp_path: Path) -> None:
    artifact = Artifact(stage="s", key="k", folder=tmp_path, files={"pictures/a.jpg": "1"})
    with open_run(runtime.store, "0123456789", {}) as run:
        link(run, artifact)
        assert not (run / "pictures").exists()


def test_the_newest_run_that_holds_a_model_is_found(runtime: Runtime) -> None:
    assert newest_model(runtime.store) is None
    old, _ = one_run(runtime, "aaaaaaaa", "old")
    one_run(runtime, "zzzzzzzz", "no model", "a.txt")
    assert newest_model(runtime.store) == old / MODEL


def let_end(run: Path, ended: str) -> None:
    (run / RUN_RECORD).write_text(json.dumps(run_record(run) | {"ended": ended}))


def test_of_runs_side_by_side_the_one_that_ended_last_is_the_newest(runtime: Runtime) -> None:
    (long, _), (short, _) = (one_run(runtime, f"run{n}-----", str(n)) for n in range(2))
    let_end(long, "2098-01-01T12:00:00+00:00")
    let_end(short, "2098-01-01T11:00:00+00:00")
    assert newest_model(runtime.store) == long / MODEL
    with open_run(runtime.store, "later-----", {}) as running:
        (running / MODEL).touch()
        assert newest_model(runtime.store) == long / MODEL, "a run that goes on has not ended"


def test_a_clock_that_was_set_back_below_the_end_of_a_run_hides_no_new_run(
    runtime: Runtime,
) -> None:
    ahead, _ = one_run(runtime, "ahead-----", "ahead")
    let_end(ahead, "2098-01-01T12:00:00+00:00")
    run, _ = one_run(runtime, "after-----", "after")
    assert newest_model(runtime.store) == run / MODEL


def test_an_artifact_that_a_kept_run_uses_is_never_pruned(runtime: Runtime) -> None:
    (old, gone), (new, kept) = (one_run(runtime, f"run{n}-----", str(n)) for n in range(2))
    assert set(pruning.prune(runtime.store, keep_runs=1, dry_run=True)) == {old, gone.folder}
    assert old.exists(), "a dry run removes nothing"
    assert gone.folder.exists()
    removed = pruning.prune(runtime.store, keep_runs=1)
    assert set(removed) == {old, gone.folder}
    assert not gone.folder.exists()
    assert (new / MODEL).read_text() == "1"
    assert kept.folder.exists()


def test_the_run_that_latest_names_is_kept(runtime: Runtime) -> None:
    (old, _), (new, _) = (one_run(runtime, f"run{n}-----", str(n)) for n in range(2))
    point_latest(runtime.store, old)
    pruning.prune(runtime.store, keep_runs=0)
    assert runs(runtime.store) == [old]
    assert not new.exists()


def test_runs_without_a_model_push_no_model_out(runtime: Runtime) -> None:
    trained, _ = one_run(runtime, "aaaaaaaa", "model")
    for number in range(3):
        one_run(runtime, f"z{number}------", str(number), "a.txt")
    assert pruning.prune(runtime.store, keep_runs=1) == []
    assert (trained / MODEL).exists()


def test_nothing_under_a_lock_is_pruned(runtime: Runtime) -> None:
    (alive, made), (_, locked) = (one_run(runtime, f"run{n}-----", str(n)) for n in range(2))
    with run_lock(alive), lock_of(runtime.store, "write", locked.key):
        pruning.prune(runtime.store, keep_runs=0)
        assert alive.exists()
        assert made.folder.exists()
        assert locked.folder.exists()
    pruning.prune(runtime.store, keep_runs=0)
    assert runs(runtime.store) == []
    assert pruning.entries(runtime.store) == []


def test_partial_and_damaged_folders_of_dead_builders_are_pruned(runtime: Runtime) -> None:
    _, made = one_run(runtime, "0123456789", "x")
    for ending in ("partial", "damaged-20260101T000000-1"):
        made.folder.with_name(f"{made.key}.{ending}").mkdir()
    states = [entry.state for entry in pruning.entries(runtime.store)]
    assert states == ["finished", "damaged", "partial"]
    pruning.prune(runtime.store, keep_runs=5)
    assert [entry.state for entry in pruning.entries(runtime.store)] == ["finished"]


def test_the_record_of_an_artifact_tells_what_went_into_it(runtime: Runtime) -> None:
    _, made = one_run(runtime, "0123456789", "x")
    record = json.loads((made.folder / "artifact.json").read_text())
    assert record["ingredients"]["inputs"] == {"name": MODEL, "text": "x"}
    assert record["files"][MODEL]["sha256"] == made.files[MODEL]


def test_prune_touches_nothing_that_is_not_the_stores_and_follows_no_link(
    runtime: Runtime, tmp_path: Path
) -> None:
    _, made = one_run(runtime, "0123456789", "x")
    (tmp_path / "kept").mkdir()
    made.folder.with_name("0" * 20).symlink_to(tmp_path / "kept")
    foreign = [
        runtime.store / "photographs" / "2024",
        runtime.store / "runs" / "backup",
        runtime.store / "write" / "notes",
        runtime.store / "data" / "Monkeypox",
    ]
    for folder in foreign:
        folder.mkdir(parents=True)
        (folder / "mine.jpg").write_bytes(b"mine")
    pruning.prune(runtime.store, keep_runs=0)
    assert all((folder / "mine.jpg").exists() for folder in foreign)
    assert (tmp_path / "kept").exists()
    assert runs(runtime.store) == []


def test_latest_that_is_a_folder_is_moved_aside_not_lost(runtime: Runtime) -> None:
    (runtime.store / "latest").mkdir(parents=True)
    (runtime.store / "latest" / "mine.txt").write_text("mine")
    run, _ = one_run(runtime, "0123456789", "x")
    point_latest(runtime.store, run)
    assert (runtime.store / "latest" / MODEL).read_text() == "x"
    (aside,) = runtime.store.glob("latest.aside-*")
    assert (aside / "mine.txt").read_text() == "mine"


@stage()
def train_long(work: Work, text: str) -> None:
    """Save something to go on from, and stop; go on from there the next time."""
    if not work.scratch.exists():
        work.scratch.mkdir()
        (work.scratch / "step-000000007.pt").write_text(text)
        (work.scratch / "where.txt").write_text("epoch 3, step 7\n")
        (work.out / "half.txt").write_text("half")
        raise KeyboardInterrupt
    (work.out / MODEL).write_text((work.scratch / "step-000000007.pt").read_text())


def stopped_training(runtime: Runtime, text: str = "saved") -> Path:
    with (
        pytest.raises(KeyboardInterrupt),
        open_run(runtime.store, f"{text:->8}", {"command": "train it", "data": "pictures"}) as run,
    ):
        train_long.fn(runtime.model_copy(update={"run": run}), text)
    return runtime.store / "train-long" / f"{train_long.key(text)}.scratch"


def test_prune_keeps_the_checkpoint_of_a_training_that_can_go_on(runtime: Runtime) -> None:
    saved = stopped_training(runtime)
    pruning.prune(runtime.store, keep_runs=0)
    assert [entry.state for entry in pruning.entries(runtime.store)] == ["checkpoint", "checkpoint"]
    assert runs(runtime.store) == [], "its run is gone, and what it was is known all the same"
    (left,) = pruning.checkpoints(runtime.store)
    assert (left.folder, left.where, left.running) == (saved, "epoch 3, step 7", False)
    assert left.asked == {"command": "train it", "data": "pictures"}
    assert left.inputs == {"text": "saved"}
    assert train_long.fn(runtime, "saved").path(MODEL).read_text() == "saved"
    assert pruning.checkpoints(runtime.store) == []


def test_prune_removes_checkpoints_when_it_is_told_to(runtime: Runtime) -> None:
    saved = stopped_training(runtime)
    partial = saved.with_suffix(".partial")
    told = pruning.prune(runtime.store, keep_runs=5, checkpoints=True, dry_run=True)
    assert set(told) == {saved, partial}
    assert saved.exists()
    assert set(pruning.prune(runtime.store, keep_runs=5, checkpoints=True)) == {saved, partial}
    assert not saved.exists()


def test_the_checkpoint_of_a_training_under_way_is_never_removed(runtime: Runtime) -> None:
    saved = stopped_training(runtime)
    with lock_of(runtime.store, "train-long", train_long.key("saved")):
        assert pruning.checkpoints(runtime.store)[0].running
        pruning.prune(runtime.store, keep_runs=0, checkpoints=True)
    assert saved.exists()


def test_what_nobody_can_go_on_from_is_pruned(runtime: Runtime) -> None:
    finished = stopped_training(runtime, "finished")
    train_long.fn(runtime, "finished")
    finished.mkdir()  # as a kill right after the last file leaves it
    (finished / "step-000000007.pt").write_text("finished")
    half = stopped_training(runtime, "half")
    (half / "step-000000007.pt").rename(half / "step-000000007.new")
    (half / "where.txt").unlink()
    pruning.prune(runtime.store, keep_runs=5)
    assert not finished.exists()
    assert not half.exists()
    assert not half.with_suffix(".partial").exists()


def test_a_checkpoint_outlives_a_finished_artifact_that_was_damaged(runtime: Runtime) -> None:
    saved = stopped_training(runtime)
    made = train_long.fn(runtime, "saved")
    saved.mkdir()
    (saved / "step-000000007.pt").write_text("saved")
    made.path(MODEL).unlink()
    pruning.prune(runtime.store, keep_runs=5)
    assert saved.exists()
