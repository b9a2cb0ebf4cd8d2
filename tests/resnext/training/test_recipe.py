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
        {"batch_size": 1, "image_size": 32}, {"layer_decay": 0}, {"layer_decay": 1.1},
        {"freeze_stages": -1},
    ],
)  # fmt: skip
def test_values_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


@pytest.mark.parametrize(
    ("arch", "stages"),
    [("resnext50_32x4d", 4), ("tf_efficientnet_lite2", 7), ("vit_tiny_patch16_224", 0)],
)
def test_no_more_stages_can_be_frozen_than_the_network_has(arch: str, stages: int) -> None:
    assert Recipe(arch=arch, freeze_stages=stages).first_trained(0) == (stages + 1 if stages else 0)
    with pytest.raises(
        ValidationError, match=f"freeze_stages must be at most {stages}, the stages of"
    ):
        Recipe(arch=arch, freeze_stages=stages + 1)


def test_the_last_layer_is_trained_alone_at_first_then_what_is_not_frozen() -> None:
    made = Recipe(freeze_epochs=2, freeze_stages=3)
    assert [made.first_trained(epoch) for epoch in range(4)] == [5, 5, 4, 4]
    assert [Recipe(freeze_epochs=1).first_trained(epoch) for epoch in range(3)] == [5, 0, 0]


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 3  # type: ignore[misc]
