import signal
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from resnext.contracts.errors import StoppedError
from tasks.callbacks import interrupts
from tasks.callbacks.interrupts import (
    SaveAndStop,
    never_amid_imports,
    signals_to_end,
)


def press_twice() -> None:
    with SaveAndStop() as stop:
        assert not stop.wants_to_stop()
        signal.raise_signal(signal.SIGINT)
        assert stop.wants_to_stop()
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one did not stop")


def test_the_first_ctrl_c_asks_to_stop_and_the_second_stops() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_ctrl_c_after_the_last_step_is_not_forgotten() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), SaveAndStop():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def stopped(*kinds: signal.Signals) -> None:
    """Ask a training to end; the engine saves, then raises what Ctrl-C raises."""
    with SaveAndStop() as stop:
        for kind in kinds:
            signal.raise_signal(kind)
            assert stop.wants_to_stop()
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "kinds",
    [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT, signal.SIGTERM, signal.SIGTERM]],
)
def test_a_process_that_is_asked_to_end_saves_first_and_says_so(
    kinds: list[signal.Signals],
) -> None:
    before = signal.getsignal(kinds[0])
    with pytest.raises(StoppedError, match="A checkpoint is saved"):
        stopped(*kinds)
    assert signal.getsignal(kinds[0]) is before
    with pytest.raises(KeyboardInterrupt):
        stopped(signal.SIGINT)


def test_a_closed_terminal_does_not_end_what_nohup_started() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signals_to_end() == [signal.SIGTERM]
        with SaveAndStop() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.wants_to_stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def import_interrupted() -> None:
    with never_amid_imports():
        import_module("interrupted")
        time.sleep(10)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_amid_an_import_waits_for_its_end(
    kind: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "interrupted.py").write_text(
        f"import signal, time\nsignal.raise_signal({int(kind)})\ntime.sleep(0.1)\nended = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.signal(kind, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            import_interrupted()
        assert signal.getsignal(kind) is signal.default_int_handler
        assert sys.modules.pop("interrupted").ended
    finally:
        signal.signal(kind, before)


def press_between_imports() -> None:
    with never_amid_imports():
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it waited")


def test_a_signal_at_another_time_is_handled_at_once() -> None:
    with pytest.raises(KeyboardInterrupt):
        press_between_imports()


def test_a_training_on_a_worker_is_saved_and_stopped_where_its_run_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupts, "LOOK_EVERY", 0.0)
    ended = iter([False, True])

    def train() -> None:
        with SaveAndStop(lambda: next(ended)) as stop:
            assert not stop.wants_to_stop()
            assert stop.wants_to_stop()
            raise KeyboardInterrupt

    with pytest.raises(StoppedError):
        train()
