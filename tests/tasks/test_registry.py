"""A registry that is whole at any moment, and a champion that can be gone back to."""

import os
from pathlib import Path
from typing import Any

import pytest

from resnext.errors import InputError
from tasks import registry
from tasks.registry import About
from tasks.stage import prune as pruning
from tasks.stage.artifact import Runtime, Work
from tasks.stage.decorator import stage
from tasks.stage.run import MODEL, open_run

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
        registry.register(runtime.store, a_run(runtime, f"w{number}"), ABOUT)
    return runtime.store


def champions(store: Path) -> list[int]:
    return [change.version for change in registry.pointer(store).changes]


def test_versions_are_numbered_and_nobody_is_champion_at_first(runtime: Runtime) -> None:
    assert registry.versions(runtime.store) == []
    assert registry.champion(runtime.store) is None
    store = registered(runtime, 2)
    assert [version.number for version in registry.versions(store)] == [1, 2]
    assert registry.champion(store) is None
    version = registry.find(store, 2)
    assert registry.file_of(store, version, MODEL).read_text() == "w1"
    assert version.classes == ("a", "b")


def test_a_promotion_says_since_when_and_why(runtime: Runtime) -> None:
    store = registered(runtime, 2)
    registry.promote(store, 1, "the first model")
    registry.promote(store, 2, "better")
    champion = registry.champion(store)
    assert champion is not None
    assert champion.number == 2
    last = registry.pointer(store).changes[-1]
    assert (last.kind, last.version, last.previous, last.why) == ("promotion", 2, 1, "better")


def test_a_rollback_taken_twice_goes_back_twice_and_then_is_refused(runtime: Runtime) -> None:
    store = registered(runtime, 3)
    for number in (1, 2, 3):
        registry.promote(store, number, "")
    assert registry.rollback(store, "").champion == 2
    assert registry.rollback(store, "").champion == 1
    with pytest.raises(InputError, match="rollback must have an earlier champion"):
        registry.rollback(store, "")
    assert champions(store) == [1, 2, 3, 2, 1]


def test_a_rollback_undoes_a_promotion_of_an_older_version_too(runtime: Runtime) -> None:
    store = registered(runtime, 3)
    for number in (1, 3, 1):
        registry.promote(store, number, "")
    assert registry.rollback(store, "").champion == 3


def test_a_model_after_a_rollback_is_promoted_over_the_one_gone_back_to(runtime: Runtime) -> None:
    store = registered(runtime, 3)
    registry.promote(store, 1, "")
    registry.promote(store, 2, "")
    registry.rollback(store, "")
    registry.promote(store, 3, "")
    assert registry.rollback(store, "").champion == 1


@pytest.mark.parametrize(
    ("number", "words"),
    [(2, "must be another model than the champion"), (7, r"registered model \(1 to 2\), got 7")],
)
def test_what_cannot_be_promoted_is_refused_and_changes_nothing(
    runtime: Runtime, number: int, words: str
) -> None:
    store = registered(runtime, 2)
    registry.promote(store, 2, "")
    before = registry.pointer(store)
    with pytest.raises(InputError, match=words):
        registry.promote(store, number, "")
    assert registry.pointer(store) == before


@pytest.mark.parametrize(("damage", "words"), [("alter", "altered since"), ("remove", "are gone")])
def test_weights_that_are_not_as_they_were_do_not_become_champion(
    runtime: Runtime, damage: str, words: str
) -> None:
    store = registered(runtime, 1)
    weights = registry.file_of(store, registry.find(store, 1), MODEL).resolve()
    weights.chmod(0o644)
    if damage == "alter":
        weights.write_text("other")
    else:
        weights.unlink()
    with pytest.raises(InputError, match=words):
        registry.promote(store, 1, "")
    assert registry.champion(store) is None


def test_what_a_version_uses_is_kept_when_its_run_is_pruned(runtime: Runtime) -> None:
    run, other = a_run(runtime, "kept"), a_run(runtime, "gone")
    version = registry.register(runtime.store, run, ABOUT)
    removed = pruning.prune(runtime.store, keep_runs=0)
    assert {run, other} <= set(removed)
    assert registry.file_of(runtime.store, version, MODEL).read_text() == "kept"
    assert [entry.used_by for entry in pruning.entries(runtime.store)] == [("0001",)]


@pytest.mark.parametrize("name", ["champion.json", "0001/version.json"])
@pytest.mark.parametrize("content", [b"", b"{", b'{"champion": "two"}', b"\xff"])
def test_a_registry_that_somebody_damaged_is_said_in_words(
    runtime: Runtime, name: str, content: bytes
) -> None:
    store = registered(runtime, 1)
    registry.promote(store, 1, "")
    (store / "registry" / name).write_bytes(content)
    with pytest.raises(InputError, match="The registry must hold what was written to it, got"):
        registry.champion(store)


class Killed(BaseException):
    """Stands for a SIGKILL: nothing after it runs that handles errors."""


@pytest.mark.parametrize("step", range(12))
def test_a_kill_at_any_step_leaves_the_old_champion_or_the_new_one(
    runtime: Runtime, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = registered(runtime, 1)
    registry.promote(store, 1, "")
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
            registry.promote(store, registry.register(store, run, ABOUT).number, "")
        except Killed:
            pass
        else:
            assert step >= 6, "a registration and a promotion have at least six steps"
    found = registry.champion(store)
    assert found is not None
    assert found.number in (1, 2)
    assert registry.file_of(store, found, MODEL).read_text() == ("w0", "next")[found.number - 1]
    again = registry.register(store, run, ABOUT)  # what was left behind is in nobody's way
    assert again.number == len(registry.versions(store))
