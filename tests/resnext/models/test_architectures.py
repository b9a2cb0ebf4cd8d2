import pytest
import torch
import torchvision

from resnext.contracts.errors import InputError
from resnext.models.architectures import ARCHITECTURES, build, find_architecture, on_imagenet


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_record_says_where_its_last_layers_are(name: str) -> None:
    record = find_architecture(name)
    with torch.device("meta"):
        network = build(name, 3)
    assert record.name == name
    assert {each for each in network.state_dict() if record.in_head(each)} == {
        f"{record.head}.weight", f"{record.head}.bias"
    }  # fmt: skip
    assert network.get_parameter(f"{record.head}.bias").shape == (3,)
    assert isinstance(network.get_submodule(record.heat_layer), torch.nn.Module)


def test_an_unknown_name_is_answered_with_the_names_and_the_closest() -> None:
    with pytest.raises(InputError) as caught:
        build("ResNeXt50", 2)
    assert str(caught.value) == (
        "arch must be one of resnext50_32x4d, resnext101_32x8d, resnext38_32x4d,"
        " got 'ResNeXt50'. Did you mean 'resnext50_32x4d'?"
    )


def test_a_name_like_none_is_answered_with_the_names_alone() -> None:
    with pytest.raises(InputError, match=r"got 'vgg'\. Choose one of these names\.$"):
        find_architecture("vgg")


def test_no_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^num_classes must be at least 1, got 0\.$"):
        build("resnext38_32x4d", 0)


def test_imagenets_weights_are_promised_where_torchvision_publishes_them() -> None:
    published = torchvision.models.list_models(module=torchvision.models)
    assert [name for name in ARCHITECTURES if name in published] == on_imagenet()
    for name in on_imagenet():
        theirs = torchvision.models.get_model_weights(name)
        assert ARCHITECTURES[name].imagenet == theirs.DEFAULT.url
    assert all(ARCHITECTURES[name].licence for name in on_imagenet())
