import pytest
import torch
import torchvision
from torch import nn

from resnext.contracts.errors import InputError
from resnext.models import resnext as model
from resnext.models.architectures import ARCHITECTURES, ON_IMAGENET, build, check


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_name_builds_the_network_of_that_name(name: str) -> None:
    with torch.device("meta"):
        built = build(name, 3)
        expected: nn.Module = getattr(model, name)(3)
    shapes = [(key, value.shape) for key, value in built.state_dict().items()]
    assert shapes == [(key, value.shape) for key, value in expected.state_dict().items()]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_known_name_passes_as_it_is(name: str) -> None:
    assert check(name) == name


def test_an_unknown_name_is_answered_with_the_names_and_the_closest() -> None:
    with pytest.raises(InputError) as caught:
        build("ResNeXt50", 2)
    assert str(caught.value) == (
        "arch must be one of resnext50_32x4d, resnext101_32x8d, resnext38_32x4d,"
        " got 'ResNeXt50'. Did you mean 'resnext50_32x4d'?"
    )


def test_a_name_like_none_is_answered_with_the_names_alone() -> None:
    with pytest.raises(InputError, match=r"got 'vgg'\. Choose one of these names\.$"):
        check("vgg")


def test_no_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^num_classes must be at least 1, got 0\.$"):
        build("resnext38_32x4d", 0)


def test_imagenets_weights_are_promised_where_torchvision_publishes_them() -> None:
    published = torchvision.models.list_models(module=torchvision.models)
    assert [name for name in ARCHITECTURES if name in published] == list(ON_IMAGENET)
