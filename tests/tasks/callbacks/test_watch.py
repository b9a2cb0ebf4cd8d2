import logging
import signal

import pytest
import torch

from resnext.training.checkpoints import EpochRow
from tasks.callbacks import watch
from tasks.callbacks.history import Line


def row(**changes: object) -> EpochRow:
    values: dict[str, object] = {
        "epoch": 1,
        "lr": 1e-4,
        "train_loss": 0.70213,
        "train_accuracy": 0.5441,
        "val_loss": 0.68177,
        "val_accuracy": 0.56205,
        "seconds": 1.0,
        "images_per_second": 10.0,
        "finished_at": "2026-01-01T00:00:00+00:00",
    }
    return EpochRow(**(values | changes))  # type: ignore[arg-type]


def watcher(*, epochs: int = 1, on_test: bool = False) -> watch.TrainingWatcher:
    return watch.TrainingWatcher(
        epochs, log_interval=5, progress_bar=False, validates_on_test=on_test
    )


def test_the_scripts_line_is_printed_exactly(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        watcher(on_test=True).on_epoch(row())
    assert caplog.messages == [
        "Epoch: 1, Train_acc:54.4%, Train_loss:0.702, Test_acc:56.2%，Test_loss:0.682",  # noqa: RUF001
        "Done",
    ]
    assert all(record.plain for record in caplog.records)  # type: ignore[attr-defined]


def test_the_epoch_takes_two_columns() -> None:
    assert watch.in_the_scripts_words(row(epoch=20)).startswith("Epoch:20, Train_acc")


def test_an_epoch_is_told_with_and_without_a_validation_part() -> None:
    assert watch.in_words(row(), 3) == (
        "epoch 1/3: train loss 0.702, accuracy 54.4%; validation loss 0.682, accuracy 56.2%"
    )
    bare = row(val_loss=None, val_accuracy=None)
    assert watch.in_words(bare, 3) == "epoch 1/3: train loss 0.702, accuracy 54.4%"


def test_a_run_that_is_not_the_scripts_names_the_test_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    following = watch.TrainingWatcher(
        1, log_interval=5, progress_bar=False, validates_on_test=False, watched="test"
    )
    with caplog.at_level(logging.INFO):
        following.on_epoch(row())
    assert caplog.messages == [
        "epoch 1/1: train loss 0.702, accuracy 54.4%; test loss 0.682, accuracy 56.2%"
    ]


def test_how_a_training_ended_is_what_stays_on_the_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []
    following = watcher()
    monkeypatch.setattr(following, "_update_ui", shown.append)
    with caplog.at_level(logging.INFO):
        following.on_epoch(row())
        following.conclude("kept the weights of epoch 1")
    assert shown[-1] == caplog.messages[-1] == "kept the weights of epoch 1"


def test_the_time_left_is_estimated_after_twenty_steps(caplog: pytest.LogCaptureFixture) -> None:
    following = watcher()
    following.on_start(100, 100, 0)
    with caplog.at_level(logging.INFO):
        for step in range(1, 20):
            following.on_step(step, 8, torch.tensor(0.5))
        assert caplog.messages == []
        following.on_step(20, 8, torch.tensor(0.5))
    (line,) = caplog.messages
    assert "images/s; the training takes about 0:00:0" in line


def test_the_loss_is_looked_at_only_now_and_then() -> None:
    class Loss:
        looks = 0

        def __float__(self) -> float:
            Loss.looks += 1
            return 0.5

    following = watcher()
    following.on_start(20, 20, 0)
    for step in range(1, 21):
        following.on_step(step, 8, Loss())  # type: ignore[arg-type]
    assert Loss.looks == 4


def test_a_training_outside_prefect_publishes_nothing() -> None:
    following = watcher()
    following.on_start(10, 10, 0)
    assert following.artifact is None


def test_a_server_that_fails_does_not_stop_the_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(**_: object) -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(watch, "create_progress_artifact", gone)
    monkeypatch.setattr(watch, "tell", Line().tell)  # the tests after this one have a server
    monkeypatch.setattr("tasks.orchestrator.TaskRunContext.get", object)
    following = watcher()
    following.on_start(10, 10, 0)
    assert following.artifact is None
    assert "the run goes on without it" in caplog.text


def press_twice(following: watch.TrainingWatcher) -> None:
    with following:
        assert not following.wants_to_stop()
        signal.raise_signal(signal.SIGINT)
        assert following.wants_to_stop()
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one did not stop")


def test_the_first_ctrl_c_asks_to_stop_and_the_second_stops() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        press_twice(watcher())
    assert signal.getsignal(signal.SIGINT) is before


def test_a_ctrl_c_after_the_last_step_is_not_forgotten() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), watcher():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def stopped(*kinds: signal.Signals) -> None:
    """Ask a training to end; the engine saves, then raises what Ctrl-C raises."""
    following = watcher()
    with following:
        for kind in kinds:
            signal.raise_signal(kind)
            assert following.wants_to_stop()
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_asked_to_end_saves_first_and_says_so(kind: signal.Signals) -> None:
    before = signal.getsignal(kind)
    with pytest.raises(watch.StoppedError, match="A checkpoint is saved"):
        stopped(kind)
    assert signal.getsignal(kind) is before
    with pytest.raises(KeyboardInterrupt):
        stopped(signal.SIGINT)


def test_asked_by_the_terminal_and_by_its_worker_a_training_saves_all_the_same() -> None:
    with pytest.raises(watch.StoppedError):
        stopped(signal.SIGINT, signal.SIGTERM, signal.SIGTERM)


def test_a_closed_terminal_does_not_end_what_nohup_started() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert watch.signals_to_end() == [signal.SIGTERM]
        with watcher() as following:
            signal.raise_signal(signal.SIGHUP)
            assert not following.wants_to_stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_training_that_goes_on_counts_from_where_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    following = watcher()
    following.on_start(100, 10, 60)
    with caplog.at_level(logging.INFO):
        for step in range(61, 81):
            following.on_step(step, 8, torch.tensor(0.5))
    assert len(caplog.messages) == 1
    assert "the training takes about 0:00:0" in caplog.messages[0]
