"""A registry that is whole at any moment, and a champion that can be gone back to."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resnext.contracts.errors import InputError
from tasks.registry.aliases import Alias, choose_alias
from tasks.registry.promotion import (
    champion_of,
    finish_promotion,
    promote,
    register,
    require_champions_file,
    retire,
    rollback,
)
from tasks.registry.versions import (
    TABLES,
    About,
    Version,
    all_versions,
    find_version,
    require_tables,
    version_file,
    version_folder,
)
from tasks.stage import prune as pruning
from tasks.stage.artifact import Runtime, Work
from tasks.stage.decorator import all_stages, stage
from tasks.stage.runs import MODEL, open_run

ABOUT = About(
    data="pictures",
    architecture="resnext38_32x4d",
    classes=("a", "b"),
    score="61 %",
    decision="-",
    basis="",
)


@stage()
def train(work: Work, text: str) -> None:
    """Write weights that are no weights."""
    (work.out / MODEL).write_text(text)


def a_run(runtime: Runtime, text: str) -> Path:
    with open_run(runtime.store, f"{text}-------", {}) as run:
        train.fn(runtime.model_copy(update={"run": run}), text)
    return run


def registered(runtime: Runtime, count: int) -> Path:
    for number in range(count):
        register(runtime.store, a_run(runtime, f"w{number}"), ABOUT)
    return runtime.store


BETTER = ABOUT.model_copy(update={"verdict": "better", "decision": "better than it was"})


def judged(against: int | None, verdict: str = "better", basis: str = "") -> About:
    return BETTER.model_copy(update={"against": against, "verdict": verdict, "basis": basis})


def admitted(runtime: Runtime, about: About) -> Version:
    number = len(all_versions(runtime.store))
    return register(runtime.store, a_run(runtime, f"w{number}"), about)


def champions(store: Path) -> list[int]:
    return [change.version for change in choose_alias(store).changes]


def test_versions_are_numbered_and_a_promotion_says_since_when_and_why(runtime: Runtime) -> None:
    assert all_versions(runtime.store) == []
    store = registered(runtime, 2)
    assert [version.number for version in all_versions(store)] == [1, 2]
    assert champion_of(store, choose_alias(store)) is None
    version = find_version(store, 2)
    assert version_file(store, version, MODEL).read_text() == "w1"
    assert version.classes == ("a", "b")
    promote(store, 1, "the first model")
    promote(store, 2, "better")
    assert champion_of(store, choose_alias(store)) == version
    last = choose_alias(store).changes[-1]
    assert (last.kind, last.version, last.previous, last.why) == ("promotion", 2, 1, "better")
    last = retire(store, "by hand").changes[-1]
    assert (last.kind, last.version, last.previous, last.why) == ("retirement", 2, 2, "by hand")


@pytest.mark.parametrize(
    ("changes", "champion"),
    [
        ("123<", 2), ("123<<", 1), ("123<<<", None), ("131<", 3), ("12<3<", 1),
        ("12x", None), ("12x<", 2), ("12x<<", 1), ("1x23<", 2), ("1x23<<", 1), ("1x23<<<", None),
        ("<", None),
    ],
)  # fmt: skip
def test_a_rollback_goes_back_to_the_champion_before_also_past_a_retirement(
    runtime: Runtime, changes: str, champion: int | None
) -> None:
    """A digit promotes, x retires, < goes back; too many of these are refused."""
    store = registered(runtime, 3)
    for change in changes[:-1]:
        change_champion(store, change)
    before = choose_alias(store).champion
    if champion is None and changes[-1] == "<":
        with pytest.raises(InputError, match="rollback must have an earlier champion"):
            rollback(store, "")
        assert choose_alias(store).champion == before
    else:
        assert change_champion(store, changes[-1]).champion == champion


def change_champion(store: Path, change: str) -> Alias:
    if change in "<x":
        return (rollback if change == "<" else retire)(store, "")
    return promote(store, int(change), "")


@pytest.mark.parametrize(
    ("number", "words"),
    [(2, "must be another model than the champion"), (7, r"registered model \(1 to 2\), got 7")],
)
def test_what_cannot_be_promoted_is_refused_and_changes_nothing(
    runtime: Runtime, number: int, words: str
) -> None:
    store = registered(runtime, 2)
    promote(store, 2, "")
    before = choose_alias(store)
    with pytest.raises(InputError, match=words):
        promote(store, number, "")
    assert choose_alias(store) == before


@pytest.mark.parametrize(("damage", "words"), [("alter", "altered since"), ("remove", "is gone")])
def test_weights_that_are_not_as_they_were_do_not_become_champion(
    runtime: Runtime, damage: str, words: str
) -> None:
    store = registered(runtime, 1)
    weights = version_file(store, find_version(store, 1), MODEL).resolve()
    weights.chmod(0o644)
    if damage == "alter":
        weights.write_text("other")
    else:
        weights.unlink()
    with pytest.raises(InputError, match=words):
        promote(store, 1, "")
    assert champion_of(store, choose_alias(store)) is None


def test_what_a_version_uses_is_kept_when_its_run_is_pruned(runtime: Runtime) -> None:
    run, other = a_run(runtime, "kept"), a_run(runtime, "gone")
    version = register(runtime.store, run, ABOUT)
    removed = pruning.prune(runtime.store, keep_runs=0)
    assert {run, other} <= set(removed)
    assert version_file(runtime.store, version, MODEL).read_text() == "kept"
    assert [entry.used_by for entry in pruning.entries(runtime.store)] == [("0001",)]


@pytest.mark.parametrize("name", ["champion.json", "0001/version.json"])
@pytest.mark.parametrize("content", [b"", b"{", b'{"champion": "two"}', b"\xff"])
def test_a_registry_that_somebody_damaged_is_said_in_words(
    runtime: Runtime, name: str, content: bytes
) -> None:
    store = registered(runtime, 1)
    promote(store, 1, "")
    (store / "registry" / name).write_bytes(content)
    with pytest.raises(InputError, match="The registry must hold what was written to it, got"):
        champion_of(store, choose_alias(store))


class Killed(BaseException):
    """Stands for a SIGKILL: nothing after it runs that handles errors."""


def killed(*_: Any) -> None:
    raise Killed


@pytest.mark.parametrize("step", range(12))
def test_a_kill_at_any_step_leaves_the_old_champion_or_the_new_one(
    runtime: Runtime, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = registered(runtime, 1)
    promote(store, 1, "")
    run = a_run(runtime, "next")
    left = step

    def dying(real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("rename", "replace", "symlink_to", "mkdir"):
            patched.setattr(Path, name, dying(getattr(Path, name)))
        patched.setattr(os, "replace", dying(os.replace))
        patched.setattr(os, "fsync", dying(os.fsync))
        try:
            register(store, run, judged(1))
        except Killed:
            pass
        else:
            assert step >= 6, "a registration and a promotion have at least six steps"
    found = champion_of(store, choose_alias(store))
    assert found is not None
    assert found.number in (1, 2)
    assert version_file(store, found, MODEL).read_text() == ("w0", "next")[found.number - 1]
    known = len(all_versions(store))
    if known == 2 and found.number == 1:
        finished = finish_promotion(store)
        assert finished is not None
        assert finished.number == 2
    last = champion_of(store, choose_alias(store))
    assert last is not None
    assert last.number == known, "what was registered as better is champion in the end"
    again = register(store, run, ABOUT)  # what was left behind is in nobody's way
    assert again.number == known + 1 == len(all_versions(store))
    assert not list((store / "registry").glob("champion.json.*.new"))


def test_a_version_from_before_there_were_verdicts_can_be_read(runtime: Runtime) -> None:
    store = registered(runtime, 1)
    path = version_folder(store, 1) / "version.json"
    facts = json.loads(path.read_text())
    path.write_text(
        json.dumps({k: facts[k] for k in facts.keys() - {"verdict", "against", "tables"}})
    )
    version = find_version(store, 1)
    assert (version.verdict, version.against, version.tables) == ("", None, {})
    assert finish_promotion(store) is None
    promote(store, 1, "")


def test_a_better_model_is_champion_in_its_own_words_and_another_one_is_not(
    runtime: Runtime,
) -> None:
    store = runtime.store
    assert admitted(runtime, judged(None)).number == 1
    admitted(runtime, judged(1, "undecided"))
    admitted(runtime, judged(1, "worse"))
    admitted(runtime, judged(1))
    assert champions(store) == [1, 4]
    assert choose_alias(store).changes[-1].why == "better than it was"
    assert finish_promotion(store) is None


@pytest.mark.parametrize("verdict", ["better", "worse", "classes changed"])
def test_a_model_is_never_promoted_over_a_champion_that_it_was_not_compared_with(
    runtime: Runtime, verdict: str
) -> None:
    store = registered(runtime, 2)
    promote(store, 2, "by hand, while another one was trained against none or 1")
    version = admitted(runtime, judged(1, verdict, basis="pictures"))
    assert choose_alias(store).champion == 2
    assert version.decision == (
        "not compared with version 2, which became champion meanwhile; better than it was"
    )
    assert version.basis == "", "it counts as judged by nobody"
    first = admitted(runtime, judged(None, basis="pictures"))
    assert first.decision == "not compared with version 2, which became champion meanwhile"
    assert finish_promotion(store) is None
    assert choose_alias(store).champion == 2


def test_a_model_whose_champion_was_retired_meanwhile_is_not_promoted(runtime: Runtime) -> None:
    store = registered(runtime, 1)
    promote(store, 1, "")
    retire(store, "")
    version = admitted(runtime, judged(1, basis="pictures"))
    assert champion_of(store, choose_alias(store)) is None
    assert version.decision.startswith(
        "not compared with a champion, since version 1 was retired meanwhile"
    )
    assert version.basis == ""


@pytest.mark.parametrize("before", [None, 1])
def test_a_promotion_that_a_kill_prevented_is_finished_once(
    runtime: Runtime, before: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before:
        admitted(runtime, judged(None))
    with monkeypatch.context() as patched:
        patched.setattr("tasks.registry.promotion._make_champion", killed)
        with pytest.raises(Killed):
            admitted(runtime, judged(before))
    number = len(all_versions(runtime.store))
    assert choose_alias(runtime.store).champion == before
    finished = finish_promotion(runtime.store)
    assert finished is not None
    assert finished.number == number
    last = choose_alias(runtime.store).changes[-1]
    assert (last.kind, last.version, last.why) == ("promotion", number, "better than it was")
    assert finish_promotion(runtime.store) is None


def test_a_model_that_was_rolled_back_replaced_or_retired_is_not_promoted_by_itself(
    runtime: Runtime,
) -> None:
    store = runtime.store
    admitted(runtime, judged(None))
    admitted(runtime, judged(1))
    rollback(store, "")
    assert finish_promotion(store) is None, "version 2 was rolled back"
    retire(store, "")
    assert finish_promotion(store) is None, "version 1 was retired"
    promote(store, 2, "")
    promote(store, 1, "")
    assert finish_promotion(store) is None, "version 2 was replaced"
    assert champions(store) == [1, 2, 1, 1, 2, 1]


def test_a_model_that_was_better_than_an_earlier_champion_is_not_promoted_by_itself(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted(runtime, judged(None))
    admitted(runtime, judged(1))
    with monkeypatch.context() as patched:
        patched.setattr("tasks.registry.promotion._make_champion", killed)
        with pytest.raises(Killed):
            admitted(runtime, judged(2))
    rollback(runtime.store, "")
    assert finish_promotion(runtime.store) is None
    assert choose_alias(runtime.store).champion == 1


def test_models_without_a_pointer_are_said_and_none_is_promoted_by_itself(
    runtime: Runtime,
) -> None:
    store = runtime.store
    require_champions_file(store)  # nothing is registered: nothing is wrong
    admitted(runtime, judged(None))
    admitted(runtime, judged(1, "worse"))
    require_champions_file(store)
    (store / "registry" / "champion.json").unlink()
    assert finish_promotion(store) is None
    with pytest.raises(InputError, match=r"got 2 models and no .*models\.py promote N"):
        require_champions_file(store)
    promote(store, 1, "")
    retire(store, "")
    require_champions_file(store)  # that nobody is champion is written down


def test_nobody_can_not_be_retired(runtime: Runtime) -> None:
    with pytest.raises(InputError, match="retire must have a champion to retire"):
        retire(registered(runtime, 1), "")


def test_a_champion_whose_folder_is_gone_can_be_retired_or_replaced(runtime: Runtime) -> None:
    store = registered(runtime, 2)
    promote(store, 1, "")
    shutil.rmtree(version_folder(store, 1))
    with pytest.raises(InputError, match=r"folder .* is gone\. .*promote N.*models\.py retire"):
        champion_of(store, choose_alias(store))
    assert retire(store, "").champion is None
    assert promote(store, 2, "").champion == 2


@pytest.mark.parametrize("name", ["split.csv", "manifest.csv", "joined_groups.json"])
@pytest.mark.parametrize("damage", ["alter the file", "put another in its place", "remove"])
def test_a_version_without_its_tables_as_they_were_is_told(
    runtime: Runtime, name: str, damage: str
) -> None:
    run = a_run(runtime, "w")
    for table in ("split.csv", "manifest.csv", "joined_groups.json"):
        (run / table).write_text("path\n")
    version = register(runtime.store, run, ABOUT)
    require_tables(runtime.store, version)
    file = version_file(runtime.store, version, name)
    if damage == "alter the file":
        file.resolve().write_text("other\n")
    else:
        file.unlink()
    if damage == "put another in its place":
        file.write_text("other\n")
    with pytest.raises(InputError, match=rf"Version 1 must hold {name} .*models\.py retire"):
        require_tables(runtime.store, version)


def test_a_version_from_before_joined_groups_were_listed_holds_what_is_needed(
    runtime: Runtime,
) -> None:
    run = a_run(runtime, "w")
    for table in ("split.csv", "manifest.csv"):
        (run / table).write_text("path\n")
    require_tables(runtime.store, register(runtime.store, run, ABOUT))


def test_one_unreadable_version_stops_nobody_and_its_number_is_not_given_again(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    store = registered(runtime, 3)
    promote(store, 1, "")
    broken = version_folder(store, 3) / "version.json"
    broken.write_text('{"data": ')
    champion = champion_of(store, choose_alias(store))
    assert champion is not None
    assert champion.number == 1
    assert "WARNING" not in caplog.text, "nobody asked for that version"
    assert [version.number for version in all_versions(store)] == [1, 2]
    assert str(broken) in caplog.text
    promote(store, 2, "")
    rollback(store, "")
    assert register(store, a_run(runtime, "w4"), ABOUT).number == 4
    with pytest.raises(InputError, match="move its folder away"):
        promote(store, 3, "")


def test_a_version_that_was_moved_aside_is_no_version_and_keeps_its_number(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    store = registered(runtime, 2)
    folder = version_folder(store, 2)
    folder.rename(folder.with_name("0002.bad"))
    (store / "registry" / "notes").mkdir()
    assert [version.number for version in all_versions(store)] == [1]
    assert "WARNING" not in caplog.text
    with pytest.raises(InputError, match="must be the number of a registered model"):
        find_version(store, 2)
    assert register(store, a_run(runtime, "w3"), ABOUT).number == 3


def test_a_new_model_never_gets_the_number_of_a_champion_whose_folder_is_gone(
    runtime: Runtime,
) -> None:
    store = registered(runtime, 2)
    promote(store, 2, "")
    shutil.rmtree(version_folder(store, 2))
    assert register(store, a_run(runtime, "w3"), ABOUT).number == 3


def test_a_history_that_begins_with_a_rollback_is_said_in_words_and_goes_on(
    runtime: Runtime,
) -> None:
    store = registered(runtime, 2)
    change = {"at": "", "kind": "rollback", "version": 1, "previous": 2, "why": ""}
    path = store / "registry" / "champion.json"
    path.write_text(json.dumps({"champion": 1, "changes": [change]}))
    with pytest.raises(InputError, match="rollback must have an earlier champion"):
        rollback(store, "")
    promote(store, 2, "")
    assert rollback(store, "").champion == 1


def test_what_a_killed_writer_left_is_cleared_away_by_the_next_one(runtime: Runtime) -> None:
    store = registered(runtime, 1)
    code = (
        "import os, signal; from pathlib import Path; "
        "from tasks.registry.promotion import promote; "
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL); "
        f"promote(Path({str(store)!r}), 1, '')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    left = list((store / "registry").glob("champion.json.*.new"))
    assert len(left) == 1
    assert champion_of(store, choose_alias(store)) is None
    promote(store, 1, "")
    assert not left[0].exists()
    assert champions(store) == [1]


def test_a_version_keeps_what_the_stages_say() -> None:
    kept = {name for each in all_stages() for name in each.record.registered}
    tables = {"manifest.csv", "split.csv", "predictions.csv", "joined_groups.json", "hashes.npy"}
    scores = {"calibration.json", "metrics.json"}
    reference = {"reference.safetensors"}
    written = {"model.onnx", "report.html", "MODEL_CARD.md"}
    assert kept == {MODEL} | written | tables | scores | reference
    assert {*TABLES} <= kept
