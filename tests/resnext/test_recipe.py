import pytest
from pydantic import ValidationError

from resnext.recipe import Recipe, learning_rate


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"lr": 0.0},
        {"lr": float("inf")},
        {"image_size": 31},
        {"optimizer": "lion"},
        {"seed": -1},
        {"arch": "vgg"},
        {"label_smoothing": 1.0},
        {"unknown": 1},
        {"batch_size": 1, "image_size": 32},
    ],
)
def test_values_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 3  # type: ignore[misc]
