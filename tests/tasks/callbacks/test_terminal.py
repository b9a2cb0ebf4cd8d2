import logging
import time
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
import torch

from tasks.callbacks import prefect_ui, seed_script, terminal
from tasks.callbacks.history import Connection
from tests.tasks.callbacks.samples import row, training


def test_the_scripts_lines_are_printed_exactly_and_no_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seed = training(validates=False, as_script=True)
    followers = [seed_script.follow(seed), terminal.follow(seed)]
    with caplog.at_level(logging.INFO):
        for follower in followers:
            assert follower is not None
            follower.on_epoch(row())
            follower.on_epoch(row(epoch=20))
        followers[0].on_end("kept")  # type: ignore[union-attr]
    first = "Epoch: 1, Train_acc:54.4%, Train_loss:0.702, Test_acc:56.2%，Test_loss:0.682"  # noqa: RUF001
    assert caplog.messages == [first, first.replace("Epoch: 1", "Epoch:20"), "Done"]
    assert all(record.plain for record in caplog.records)  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", [{}, {"validates": False}, {"as_script": True}])
def test_the_script_is_silent_in_runs_that_are_not_its_own(how: dict[str, bool]) -> None:
    assert seed_script.follow(training(**how)) is None


def test_an_epoch_is_told_with_and_without_a_validation_part() -> None:
    assert terminal.describe_epoch(row(), training(epochs=3)) == (
        "epoch 1/3: train loss 0.702, accuracy 54.4 %; validation loss 0.682, accuracy 56.2 %"
    )
    bare = row(val_loss=None, val_accuracy=None)
    said = terminal.describe_epoch(bare, training(epochs=3))
    assert said == "epoch 1/3: train loss 0.702, accuracy 54.4 %"


def test_a_run_that_is_not_the_scripts_names_the_test_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        terminal.follow(training(validates=False)).on_epoch(row())
    assert caplog.messages == [
        "epoch 1/1: train loss 0.702, accuracy 54.4 %; test loss 0.682, accuracy 56.2 %"
    ]


def test_how_a_training_ended_is_said_last_and_stays_on_the_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []
    page = prefect_ui.PrefectUI(training())
    monkeypatch.setattr(page, "_update", shown.append)
    with caplog.at_level(logging.INFO):
        for follower in (page, terminal.follow(training())):
            follower.on_epoch(row())
            follower.on_end("kept the weights of epoch 1")
            follower.on_end(None)  # cut short: nothing is said
    assert shown[-1] == caplog.messages[-1] == "kept the weights of epoch 1"


@pytest.mark.parametrize(("steps", "weights", "warned"), [
    (16, "none", True), (16, "file", False), (100, "none", False),
])  # fmt: skip
def test_a_training_of_few_steps_from_random_weights_is_warned_of_before_it_begins(
    steps: int, weights: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    setup = training(epochs=8)
    setup = replace(setup, recipe=setup.recipe.model_copy(update={"weights": weights}))
    terminal.follow(setup).on_start(steps, 2, 0)
    said = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert said == ["only 16 steps, few for random weights: use more --epochs"] * warned


@pytest.mark.parametrize(("bar", "done", "line"), [
    (False, 0, ["epoch 1/8 is under way"]),
    (False, 250, ["epoch 3/8 is under way"]),
    (False, 800, []),
    (True, 0, []),
])  # fmt: skip
def test_without_a_bar_the_epoch_that_begins_is_said(
    bar: bool, done: int, line: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    setup = training(epochs=8)
    setup = replace(setup, work=setup.work.model_copy(update={"progress_bar": bar}))
    with caplog.at_level(logging.INFO):
        following = terminal.follow(setup)
        following.on_start(800, 100, done)
        following.on_end(None)
    assert caplog.messages == line


@pytest.mark.parametrize("done", [0, 60])
def test_the_time_left_is_estimated_after_twenty_steps_of_this_run(
    done: int, caplog: pytest.LogCaptureFixture
) -> None:
    following = terminal.follow(training())
    following.on_start(100, 100, done)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for step in range(done + 1, done + 20):
            following.on_step(step, 8, torch.tensor(0.5))
        assert caplog.messages == []
        following.on_step(done + 20, 8, torch.tensor(0.5))
    (line,) = caplog.messages
    assert "images/s; the training takes about 0:00:0" in line


@pytest.mark.parametrize("kind", [terminal.Terminal, prefect_ui.PrefectUI])
def test_the_loss_is_looked_at_only_now_and_then(
    kind: type[terminal.Terminal] | type[prefect_ui.PrefectUI], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loss:
        looks = 0

        def __float__(self) -> float:
            Loss.looks += 1
            return 0.5

    monkeypatch.setattr(prefect_ui, "call_server", lambda _: None)
    following = kind(training())
    following.on_start(20, 20, 0)
    for step in range(1, 21):
        following.on_step(step, 8, Loss())  # type: ignore[arg-type]
    assert Loss.looks == 4


def test_curves_are_drawn_as_epochs_end_and_once_more_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[str, str]] = []
    changed: list[tuple[UUID, str, str]] = []

    def create(*given: str) -> UUID:
        made.append(given)  # type: ignore[arg-type]
        return uuid4()

    monkeypatch.setattr(prefect_ui, "call_server", lambda call: call())
    monkeypatch.setattr(prefect_ui.PrefectUI, "_update", lambda *_: None)
    monkeypatch.setattr(prefect_ui, "_create", create)
    monkeypatch.setattr(prefect_ui, "_replace", lambda *given: changed.append(given))
    monkeypatch.setattr(prefect_ui.PrefectUI, "seconds_left", lambda _: 60.0)
    page = prefect_ui.PrefectUI(training(epochs=4))
    for epoch in (1, 2, 3):
        page.on_epoch(row(epoch=epoch))
        page.drawn_next = time.monotonic() + (60.0 if epoch == 2 else 0.0)
    page.on_end("kept the weights of epoch 2")
    ((first, said),) = made
    assert said.startswith("epoch 1/4: train loss")
    assert first.startswith("![Curves so far](data:image/png;base64,")
    assert [text for _, _, text in changed] == [
        terminal.describe_epoch(row(epoch=2), training(epochs=4)),
        "kept the weights of epoch 2",
    ], "epoch 3 ended too soon after the last drawing"
    assert len({first, *(image for _, image, _ in changed)}) == 3, "they moved"
    assert {artifact for artifact, _, _ in changed} == {page.curves}


def test_curves_that_cannot_be_drawn_do_not_stop_the_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> str:
        raise ValueError("Axis limits cannot be NaN or Inf")

    monkeypatch.setattr(prefect_ui, "draw_curves", broken)
    monkeypatch.setattr(prefect_ui.PrefectUI, "seconds_left", lambda _: 60.0)
    page = prefect_ui.PrefectUI(training())
    for epoch in (1, 2):
        page.on_epoch(row(epoch=epoch))
    said = "The curves of this training can't be drawn as it goes on: Axis limits cannot be"
    assert [each.startswith(said) for each in caplog.messages] == [True], "it tries once"


def test_a_training_that_is_over_in_seconds_has_no_curves_before_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefect_ui, "_create", pytest.fail)
    page = prefect_ui.PrefectUI(training())
    page.on_epoch(row())
    page.on_end("kept the weights of epoch 1")


def test_a_training_outside_prefect_publishes_nothing() -> None:
    assert prefect_ui.follow(training()) is None


def test_a_server_that_fails_does_not_stop_the_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(**_: object) -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr("prefect.artifacts.create_progress_artifact", gone)
    monkeypatch.setattr(
        prefect_ui, "call_server", Connection().call
    )  # the tests after this one have a server
    monkeypatch.setattr("prefect.context.TaskRunContext.get", object)
    following = prefect_ui.follow(training())
    assert following is not None
    following.on_start(10, 10, 0)
    assert following.artifact is None
    assert "the run goes on without it" in caplog.text
