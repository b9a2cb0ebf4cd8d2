"""Batches are cut until they fit; a memory that is too small is said."""

import pytest
import torch

from resnext.contracts.errors import TrainingError
from resnext.device import Compute
from resnext.training import step as steps
from resnext.training.recipe import Recipe
from tests.resnext.samples import CPU

RECIPE = Recipe(batch_size=24, image_size=64)


def with_room_for(pictures: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    tried: list[int] = []

    def step(recipe: Recipe, classes: int, compute: Compute) -> None:  # noqa: ARG001
        tried.append(recipe.accumulate)
        if -(-recipe.batch_size // recipe.accumulate) > pictures:
            raise torch.OutOfMemoryError

    monkeypatch.setattr(steps, "_take_step", step)
    return tried


@pytest.mark.parametrize(("room", "parts"), [(24, 1), (12, 2), (11, 4), (3, 8), (1, 24)])
def test_batches_are_halved_until_they_fit(
    room: int, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = with_room_for(room, monkeypatch)
    assert steps.micro_batches_that_fit(RECIPE, 2, CPU) == parts
    assert tried == sorted(tried)
    with_room_for(0, monkeypatch)
    with pytest.raises(TrainingError, match="must hold a training step on one image of 64 px"):
        steps.micro_batches_that_fit(RECIPE, 2, CPU)


def test_a_step_is_really_taken() -> None:
    before = torch.get_rng_state()
    small = Recipe(arch="resnext38_32x4d", batch_size=2, image_size=32, accumulate=1)
    assert steps.micro_batches_that_fit(small, 2, CPU) == 1
    assert torch.equal(torch.get_rng_state(), before)
