import hashlib

import numpy as np
import pytest
import torch

from resnext.training.augmentation import draws, met_again
from resnext.training.batches import Batches, Subset, count_batches, epoch_order, times_before
from resnext.training.recipe import Recipe
from tests.resnext.samples import CPU


class Alike:
    """A source whose pictures are all the same noise."""

    size = 16

    def take(self, rows: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        return np.broadcast_to(noise, (len(rows), 16, 16, 3))


def batches(count: int) -> Batches:
    numbers = np.arange(count)
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in numbers]
    subset = Subset(numbers, np.zeros(count, dtype=np.int64), digests, digests)
    return Batches(Alike(), subset, CPU, Recipe(seed=3))


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({"image_size": 32, "batch_size": 8} | changes)


def test_every_epoch_meets_every_picture_once_in_an_order_of_its_own() -> None:
    labels = np.zeros(10, dtype=np.int64)
    epochs = []
    for epoch in range(3):
        batches = epoch_order(labels, recipe(batch_size=4), epoch)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        epochs.append(np.concatenate(batches).tolist())
        assert sorted(epochs[-1]) == list(range(10))
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [(9, 4, [4, 5]), (1, 4, [1]), (8, 4, [4, 4]), (3, 4, [3]), (3, 1, [1, 1, 1])],
)
def test_a_last_batch_of_one_picture_joins_the_one_before(
    count: int, batch: int, sizes: list[int]
) -> None:
    made = recipe(batch_size=batch, image_size=64)
    order = epoch_order(np.zeros(count, dtype=np.int64), made, 0)
    assert [len(batch) for batch in order] == sizes
    assert count_batches(count, made) == len(sizes)


def test_a_balanced_epoch_meets_rare_classes_as_often() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    drawn = np.concatenate(epoch_order(labels, recipe(sampler="balanced", batch_size=50), 0))
    assert len(drawn) == 1000
    assert 440 < (labels[drawn] == 1).sum() < 560  # 500 are due, 4 deviations are 63


def test_times_before_are_counted_over_the_whole_epoch() -> None:
    order = [np.array([4, 1, 4]), np.array([4, 0]), np.array([1, 1])]
    assert [times.tolist() for times in times_before(order)] == [[0, 0, 1], [2, 0], [1, 2]]
    assert times_before([]) == []


def test_a_picture_that_is_met_again_in_an_epoch_is_changed_otherwise() -> None:
    (images, _), *_ = batches(3).run([np.array([1, 1, 2, 1])])
    assert len({image.numpy().tobytes() for image in images}) == 4


def test_a_picture_that_is_met_once_draws_as_if_there_were_no_again() -> None:
    keys = np.arange(5, dtype=np.uint64)
    same = met_again(keys, np.zeros(5, dtype=np.int64))
    assert torch.equal(draws(same, 1, 2, 3), draws(keys, 1, 2, 3))
    others = met_again(keys, np.array([0, 1, 0, 2, 0]))
    assert (others != keys).tolist() == [False, True, False, True, False]


def test_batches_from_the_middle_are_those_of_the_whole_epoch() -> None:
    order = [np.array([0, 1]), np.array([1, 2]), np.array([0, 1])]
    whole = [batch.images for batch in batches(3).run(order, epoch=4)]
    rest = [batch.images for batch in batches(3).run(order, epoch=4, start=1)]
    assert len(rest) == 2
    assert all(torch.equal(one, other) for one, other in zip(whole[1:], rest, strict=True))
    assert list(batches(3).run(order, start=3)) == []
