"""One training step, against hand-computed values and torch's own means."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resnext.training.batches import Batch
from resnext.training.recipe import Recipe
from resnext.training.step import Step, build_mix, class_weights, shrink_head
from tests.resnext.samples import CPU


def plain(**changes: object) -> Recipe:
    """Plain gradient descent at rate 1, so that a step subtracts the gradient."""
    values = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0}
    return Recipe.model_validate(values | changes)


def network() -> nn.Module:
    """A network without batch normalisation."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(4, 3))


def batch(size: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, 8, 8, generator=generator)
    return Batch(images, torch.randint(3, (size,), generator=generator))


def stepped(recipe: Recipe, weights: Tensor | None = None, steps: int = 1) -> nn.Module:
    model = network()
    step = Step(model, recipe, CPU, weights, 3)
    for number in range(steps):
        step(batch(), 0.1, number)
    return model


def weights_of(model: nn.Module) -> list[Tensor]:
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_four_parts_of_eight_equal_one_of_thirty_two(weighted: bool, smoothing: float) -> None:
    weights = torch.tensor([0.5, 1.0, 3.0]) if weighted else None
    whole, in_parts = (
        stepped(plain(accumulate=parts, label_smoothing=smoothing), weights) for parts in (1, 4)
    )
    for one, other in zip(weights_of(whole), weights_of(in_parts), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("parts", [1, 3, 32, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_torchs_mean(parts: int, smoothing: float, weighted: bool) -> None:
    weights = torch.tensor([0.5, 1.0, 3.0]) if weighted else None
    model = network()
    images, labels = batch()
    expected = cross_entropy(model(images), labels, weight=weights, label_smoothing=smoothing)
    recipe = plain(accumulate=parts, label_smoothing=smoothing)
    loss, right = Step(model, recipe, CPU, weights, 3)(batch(), 0.0, 0)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-6, atol=1e-7)
    assert int(right) == int((network()(images).argmax(1) == labels).sum())


def test_clipping_shortens_the_gradient_to_its_norm() -> None:
    before = weights_of(network())
    free, clipped = (
        [(b - a) / 0.1 for b, a in zip(before, weights_of(stepped(made)), strict=True)]
        for made in (plain(), plain(clip_norm=0.01))
    )
    norm = torch.cat([gradient.flatten() for gradient in free]).norm()
    assert norm > 0.01, "else this says nothing"
    for one, other in zip(free, clipped, strict=True):
        torch.testing.assert_close(other, one * 0.01 / norm, rtol=1e-3, atol=1e-6)


def test_averaged_weights_by_hand() -> None:
    model = network()
    step = Step(model, plain(ema_decay=0.9), CPU, None, 3)
    name = "2.bias"
    expected = model.state_dict()[name].clone()
    for number in range(12):
        step(batch(), 0.1, number)
        decay = min(0.9, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * model.state_dict()[name]
    torch.testing.assert_close(step.averaged[name], expected, rtol=1e-5, atol=1e-7)
    assert not torch.equal(step.averaged[name], model.state_dict()[name])


def test_class_weights_by_hand() -> None:
    labels = np.array([0] * 6 + [1] * 2)
    weights = class_weights(labels, 3, plain(class_weights="balanced"))
    assert weights is not None
    assert weights.tolist() == pytest.approx([8 / 18, 8 / 6, 0.0])  # 8 / (3 * 6), 8 / (3 * 2)
    assert class_weights(labels, 3, plain()) is None


def drawn(**changes: object) -> tuple[nn.Module, dict[str, Tensor], Recipe]:
    """Give a network with a head of its own, its first weights, and a recipe."""
    torch.manual_seed(0)
    model = Headed()
    return model, {n: p.detach().clone() for n, p in model.named_parameters()}, plain(**changes)


class Headed(nn.Module):
    """A body with batch normalisation and the last layer that every network here has."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1)
        )
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.body(x).flatten(1))
        return logits


def test_only_the_last_layer_is_trained_while_the_rest_is_frozen() -> None:
    model = Headed()
    step = Step(model, plain(weight_decay=0.1, freeze_epochs=1), CPU, None, 3)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    step.freeze(0)
    step(batch(), 0.1, 0)
    changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"fc.weight", "fc.bias"}
    step.freeze(1)
    step(batch(), 0.1, 1)
    changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == set(before)


@pytest.mark.parametrize("chosen", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_pictures_have_mixed_labels(chosen: dict[str, float]) -> None:
    mix = build_mix(plain(**chosen), 3)
    assert mix is not None
    torch.manual_seed(3)
    images, targets = mix(*batch())
    assert images.shape == (32, 3, 8, 8)
    assert targets.shape == (32, 3)
    torch.testing.assert_close(targets.sum(1), torch.ones(32))
    assert build_mix(plain(), 3) is None


def test_what_is_drawn_in_a_step_follows_from_seed_and_step() -> None:
    one, same, other = (
        weights_of(stepped(plain(mixup=0.4, seed=seed), steps=3)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_last_layer_moves_by_its_share_of_the_rate() -> None:
    moved = {}
    for share in (1.0, 0.1):
        model, before, made = drawn(head_lr=share)
        Step(model, made, CPU, None, 3)(batch(), 0.1, 0)
        moved[share] = {name: p.detach() - before[name] for name, p in model.named_parameters()}
    for name, whole in moved[1.0].items():
        expected = 0.1 * whole if name.startswith("fc.") else whole
        torch.testing.assert_close(moved[0.1][name], expected, rtol=1e-4, atol=1e-8)


def test_a_quiet_last_layer_begins_smaller_and_a_loud_one_does_not_begin_larger() -> None:
    for share, factor in ((0.05, 0.05), (1.0, 1.0), (10.0, 1.0)):
        model, before, made = drawn(head_lr=share)
        shrink_head(model, made)
        for name, parameter in model.named_parameters():
            expected = before[name] * (factor if name.startswith("fc.") else 1)
            assert torch.equal(parameter, expected)


def test_a_last_layer_that_begins_at_zero_favours_no_class_and_learns_from_the_first_step_on() -> (
    None
):
    model, before, made = drawn(zero_init_head=True)
    shrink_head(model, made)
    assert not model(batch().images).any()
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters() if n[:3] != "fc.")
    Step(model, made, CPU, None, 3)(batch(), 0.1, 0)
    assert model.get_parameter("fc.weight").any()


def test_a_wide_quiet_last_layer_does_not_jump_from_step_to_step() -> None:
    """The logits of a step of Adam after one of the other class: 2,000 features of about 1."""
    jumps = {}
    for share in (1.0, 0.05):
        torch.manual_seed(0)
        model = nn.Sequential(OrderedDict(fc=nn.Linear(2000, 2)))
        made = plain(optimizer="adamw", head_lr=share)
        shrink_head(model, made)
        step = Step(model, made, CPU, None, 2)
        features = 1 + 0.1 * torch.randn(16, 2000)
        before = model(features)
        step(Batch(features, torch.zeros(16, dtype=torch.int64)), 1e-3, 0)
        jumps[share] = float((model(features) - before).detach().abs().mean())
    assert jumps[1.0] > 1
    assert jumps[0.05] < 0.15
