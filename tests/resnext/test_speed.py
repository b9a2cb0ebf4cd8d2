"""A default is left only for what is clearly faster, and what is compared takes turns."""

import time
from typing import get_args

import pytest
import torch

from resnext import speed
from resnext.device import MemoryFormat, plan_compute
from resnext.speed import fastest, fewest_seconds
from resnext.training.formats import measure_formats


def test_a_default_is_left_for_a_gain_of_more_than_15_percent() -> None:
    assert fastest({"a": 100.0, "b": 114.0}, "a") == "a"
    assert fastest({"a": 100.0, "b": 116.0}, "a") == "b"
    assert fastest({"a": 100.0, "b": 90.0}, "a") == "a"
    assert fastest({"a": 100.0, "b": 116.0, "c": 130.0}, "a") == "c"


def test_steps_take_turns_and_the_fastest_turn_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    clock = [0.0]
    costs = {"a": iter([9, 3, 1, 2, 3]), "b": iter([9, 2, 2, 2, 2])}

    def step(name: str) -> None:
        order.append(name)
        clock[0] += next(costs[name])

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(speed, "SECONDS", 100.0)
    found = fewest_seconds({name: lambda name=name: step(name) for name in "ab"})  # type: ignore[misc]
    assert found == {"a": 1.0, "b": 2.0}
    assert order == ["a", "b"] * 5


def test_slow_steps_are_measured_in_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def step() -> None:
        clock[0] += 30

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    fewest_seconds({"a": step, "b": step})
    assert clock[0] == 120, "one that does not count, and one that does"


@pytest.mark.parametrize("training", [True, False])
def test_both_memory_formats_are_measured_and_nothing_random_is_used_up(
    training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    before = torch.random.get_rng_state()
    found = measure_formats("efficientnet_b0", 32, plan_compute("cpu"), training=training)
    assert set(found) == set(get_args(MemoryFormat))
    assert all(rate > 0 for rate in found.values())
    assert torch.equal(torch.random.get_rng_state(), before)
