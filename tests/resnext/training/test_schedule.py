import pytest
import torch

from resnext.training.recipe import Recipe
from resnext.training.schedule import ema_decay, learning_rate


def rates(recipe: Recipe, total: int, per_epoch: int) -> list[float]:
    return [learning_rate(step, total, per_epoch, recipe) for step in range(total)]


@pytest.mark.parametrize(
    ("recipe", "per_epoch", "expected"),
    [
        # 2 steps of warm-up, then 4 steps of cosine: (1 + cos(pi * k / 4)) / 2 for k = 0..3
        (Recipe(lr=1, warmup_epochs=1), 2, [0.5, 1, 1, 0.8535533905932737, 0.5, 0.14644660940673]),
        (Recipe(lr=1e-4, schedule="constant", warmup_epochs=0), 2, [1e-4] * 5),
        (Recipe(lr=1, warmup_epochs=10), 1, [0.5, 1]),  # longer than the training
        (Recipe(lr=1, schedule="step", step_epochs=2, step_factor=0.5, warmup_epochs=0), 2,
         [1] * 4 + [0.5] * 4 + [0.25] * 2),
    ],
    ids=["cosine", "constant", "warm-up", "step"],
)  # fmt: skip
def test_the_rate_follows_the_schedule(
    recipe: Recipe, per_epoch: int, expected: list[float]
) -> None:
    assert rates(recipe, len(expected), per_epoch) == pytest.approx(expected)


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
