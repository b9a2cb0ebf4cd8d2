import pytest
import torch

from resnext.training.recipe import Recipe
from resnext.training.schedule import ema_decay, learning_rate


def rates(recipe: Recipe, total: int, per_epoch: int) -> list[float]:
    return [learning_rate(step, total, per_epoch, recipe) for step in range(total)]


def test_the_rate_rises_linearly_then_falls_along_a_cosine() -> None:
    recipe = Recipe(lr=1.0, warmup_epochs=1)
    # 2 steps of warm-up, then 4 steps of cosine: (1 + cos(pi * k / 4)) / 2 for k = 0..3
    expected = [0.5, 1.0, 1.0, 0.8535533905932737, 0.5, 0.14644660940673]
    assert rates(recipe, 6, 2) == pytest.approx(expected)


def test_a_constant_rate_is_constant() -> None:
    recipe = Recipe(lr=1e-4, schedule="constant", warmup_epochs=0)
    assert rates(recipe, 5, 2) == [1e-4] * 5


def test_a_warm_up_longer_than_the_training_stays_below_the_peak() -> None:
    recipe = Recipe(lr=1.0, warmup_epochs=10)
    assert rates(recipe, 2, 1) == [0.5, 1.0]


def test_a_step_schedule_falls_every_so_many_epochs() -> None:
    recipe = Recipe(lr=1.0, schedule="step", step_epochs=2, step_factor=0.5, warmup_epochs=0)
    assert rates(recipe, 10, 2) == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("total", [10, 33, 1000])
def test_one_cycle_is_torchs(total: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=total)
    expected = []
    for _ in range(total):
        expected.append(cycle.get_last_lr()[0])
        optimizer.step()
        if len(expected) < total:
            cycle.step()
    assert rates(Recipe(lr=0.3, schedule="one-cycle"), total, 5) == pytest.approx(expected)


@pytest.mark.parametrize("total", [1, 2, 3, 4])
def test_one_cycle_is_within_bounds_in_very_short_trainings(total: int) -> None:
    assert all(0 < rate <= 1 for rate in rates(Recipe(lr=1.0, schedule="one-cycle"), total, 1))


def test_averaged_weights_forget_their_start_quickly() -> None:
    assert [ema_decay(step, 0.9) for step in (0, 8, 80, 1000)] == [0.1, 0.5, 0.9, 0.9]
