import pytest
from pydantic import ValidationError

from resnext.training.recipe import Recipe


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"lr": float("inf")}, {"image_size": 31},
        {"optimizer": "lion"}, {"seed": -1}, {"arch": "vgg"}, {"label_smoothing": 1.0},
        {"unknown": 1}, {"schedule": "linear"}, {"accumulate": 0}, {"clip_norm": -1},
        {"ema_decay": 1}, {"step_factor": 1}, {"patience": -1}, {"mixup": -0.1},
        {"batch_size": 1, "image_size": 32},
    ],
)  # fmt: skip
def test_values_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 3  # type: ignore[misc]
