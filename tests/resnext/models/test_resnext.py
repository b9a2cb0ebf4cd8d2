import copy
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from resnext.models.architectures import ARCHITECTURES
from resnext.models.resnext import Bottleneck, ResNeXt
from resnext.training.step import zero_residual_branches
from tests.benchmarks import grouped_loop

Builder = Callable[[int], nn.Module]

resnext38_32x4d = ARCHITECTURES["resnext38_32x4d"].builder
resnext50_32x4d = ARCHITECTURES["resnext50_32x4d"].builder
resnext101_32x8d = ARCHITECTURES["resnext101_32x8d"].builder


def pictures(batch: int = 2, size: int = 36) -> Tensor:
    """Give pictures of which the last blocks still see 2 x 2 places, and others odd sides."""
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def use_statistics(model: nn.Module) -> None:
    """Move batch norm away from mean 0 and variance 1, so that eval mode shows a mix-up."""
    draw = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=draw)
            module.running_var.uniform_(0.8, 1.2, generator=draw)
            nn.init.uniform_(module.weight, 0.8, 1.2, generator=draw)
            nn.init.normal_(module.bias, 0, 0.1, generator=draw)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.fixture(scope="module")
def fifty() -> tuple[nn.Module, nn.Module]:
    """The network and torchvision's with the same weights."""
    torch.manual_seed(0)
    ours = resnext50_32x4d(5)
    use_statistics(ours)
    theirs: nn.Module = torchvision.models.resnext50_32x4d(num_classes=5)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours, theirs


@pytest.fixture
def thirty_eight() -> tuple[nn.Module, nn.Module]:
    """The network and the loop over 32 convolutions with the same weights, in double precision.

    Both sum the same products, in an order that the kernels of a machine choose. Double precision
    keeps what the order does far below the bound of 1e-6, whichever kernels those are.
    """
    torch.manual_seed(0)
    ours = resnext38_32x4d(2)
    use_statistics(ours)
    loop = grouped_loop.build_loop(2)
    grouped_loop.carry_weights(ours, loop)
    return ours.double(), loop.double()


@pytest.mark.parametrize(
    ("build", "classes", "parameters"),
    [
        (resnext50_32x4d, 1000, 25_028_904),
        (resnext50_32x4d, 2, 22_984_002),
        (resnext101_32x8d, 1000, 88_791_336),
        (resnext38_32x4d, 2, 17_006_402),
    ],
)
def test_parameters_are_as_many_as_published(build: Builder, classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count(build(classes)) == parameters


def test_thirty_eight_layers_have_weights() -> None:
    with torch.device("meta"):
        modules = dict(resnext38_32x4d(2).named_modules())
    layers = [name for name, each in modules.items() if isinstance(each, nn.Conv2d | nn.Linear)]
    assert len([name for name in layers if "downsample" not in name]) == 38


@pytest.mark.parametrize("name", ["resnext50_32x4d", "resnext101_32x8d"])
def test_state_dict_has_torchvisions_keys_and_shapes_in_its_order(name: str) -> None:
    with torch.device("meta"):
        ours = ARCHITECTURES[name].builder(7).state_dict()
        theirs = getattr(torchvision.models, name)(num_classes=7).state_dict()
    assert [(k, v.shape) for k, v in ours.items()] == [(k, v.shape) for k, v in theirs.items()]


def test_one_seed_draws_torchvisions_weights_and_another_others() -> None:
    drawn = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        drawn.append(resnext50_32x4d(4).state_dict())
    torch.manual_seed(3)
    drawn.append(torchvision.models.resnext50_32x4d(num_classes=4).state_dict())
    assert all(torch.equal(drawn[0][key], drawn[2][key]) for key in drawn[2])
    assert not torch.equal(drawn[0]["conv1.weight"], drawn[1]["conv1.weight"])


def test_logits_statistics_and_gradients_are_torchvisions(
    fifty: tuple[nn.Module, nn.Module],
) -> None:
    ours, theirs = (copy.deepcopy(model).eval() for model in fifty)
    with torch.inference_mode():
        torch.testing.assert_close(ours(pictures()), theirs(pictures()), rtol=0, atol=1e-5)
    logits = [model.train()(pictures()) for model in (ours, theirs)]
    torch.testing.assert_close(*logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        dict(ours.named_buffers()), dict(theirs.named_buffers()), rtol=0, atol=1e-5
    )
    for each in logits:
        torch.autograd.backward(nn.functional.cross_entropy(each, torch.tensor([0, 3])))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=1e-5)


def test_logits_are_those_of_32_convolutions_and_one_swapped_group_is_noticed(
    thirty_eight: tuple[nn.Module, nn.Module],
) -> None:
    ours, loop = thirty_eight
    x = pictures().double()
    weight = ours.get_parameter("layer4.1.conv2.weight")
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(x), loop.eval()(x), rtol=0, atol=1e-6)
        torch.testing.assert_close(ours.train()(x), loop.train()(x), rtol=0, atol=1e-6)
        weight.copy_(weight.roll(32, dims=0))
        assert (ours.eval()(x) - loop.eval()(x)).abs().max() > 1e-4


def test_blocks_that_begin_as_their_shortcuts_pass_their_input_on() -> None:
    same = Bottleneck(64, 32, 64, stride=1, groups=32, eps=1e-5)
    halving = Bottleneck(64, 32, 128, stride=2, groups=32, eps=1e-5)
    zero_residual_branches(nn.Sequential(same, halving), "bn3")
    x = torch.rand(2, 64, 8, 8, generator=torch.Generator().manual_seed(1))  # as after a ReLU
    torch.testing.assert_close(same(x), x, rtol=0, atol=0)
    assert halving.downsample is not None
    torch.testing.assert_close(halving(x), halving.downsample(x).relu(), rtol=0, atol=0)


def test_batch_norm_epsilon_is_the_networks_own() -> None:
    with torch.device("meta"):
        epsilons = [
            {module.eps for module in build(2).modules() if isinstance(module, nn.BatchNorm2d)}
            for build in (resnext38_32x4d, resnext50_32x4d, resnext101_32x8d)
        ]
    assert epsilons == [{1.001e-5}, {1e-5}, {1e-5}]


@pytest.mark.parametrize("size", [32, 45, 96])
def test_any_size_gives_one_row_of_logits_a_picture(size: int) -> None:
    with torch.device("meta"):
        logits = ResNeXt((1, 1, 1, 1), 32, 4, 3, 1e-5)(torch.empty(2, 3, size, size))
    assert logits.shape == (2, 3)


def test_memory_format_changes_no_more_than_the_rounding(
    fifty: tuple[nn.Module, nn.Module],
) -> None:
    plain = copy.deepcopy(fifty[0]).eval()
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(last(pictures()), plain(pictures()), rtol=1e-4, atol=1e-4)
