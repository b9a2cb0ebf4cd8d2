import pytest
import torch
import torchvision

from resnext.contracts.errors import InputError
from resnext.models.architectures import ARCHITECTURES, LISTED, build, find_architecture
from resnext.models.sizes import size_of


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
    assert record.heat_layer
    assert isinstance(network.get_submodule(record.heat_layer), torch.nn.Module)


def test_what_lies_between_two_stages_counts_with_the_one_before_it() -> None:
    names = ("", "conv1", "layer1", "layer1.0.conv", "between", "layer2", "layer3", "layer4")
    record = find_architecture("resnext50_32x4d")
    numbers = record.stage_numbers([*names, "layer4.1", "norm", "fc"])
    assert [*numbers.values()] == [0, 0, 1, 1, 1, 2, 3, 4, 4, 4, 5]
    transformer = find_architecture("vit_tiny_patch16_224").stage_numbers(["", "blocks", "head"])
    assert [*transformer.values()] == [0, 0, 1], "its body is one"


def test_an_unknown_name_is_answered_with_the_names_and_the_closest() -> None:
    with pytest.raises(InputError) as caught:
        build("ResNeXt50", 2)
    assert str(caught.value) == (
        "arch must be a network that is listed here or that timm has, got 'ResNeXt50'. Did you "
        "mean resnext50_32x4d or resnet50? `arch` list shows the first, "
        "timm.list_models() the others."
    )


def test_a_name_like_one_of_timm_is_answered_with_it_and_one_like_none_alone() -> None:
    with pytest.raises(InputError, match=r"got 'vgg'\. Did you mean vgg19 or vgg16\?"):
        find_architecture("vgg")
    with pytest.raises(InputError, match=r"got 'zzzzqq'\. `arch` list shows"):
        find_architecture("zzzzqq")


def test_no_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^num_classes must be at least 1, got 0\.$"):
        build("resnext38_32x4d", 0)


def test_weights_of_torchvision_are_those_that_it_publishes_now() -> None:
    own = [each for each in LISTED if each.imagenet and "://" in each.imagenet]
    assert len(own) == 3
    for each in own:
        theirs = torchvision.models.get_model_weights(each.name)
        assert each.imagenet == theirs.DEFAULT.url
    assert all(each.licence for each in LISTED if each.imagenet)


def test_any_network_of_timm_has_a_record_from_timms_own_configuration() -> None:
    record = find_architecture("vit_tiny_patch16_224")
    assert (record.head, record.input_size, record.fixed_size) == ("head", 224, True)
    assert (record.mean, record.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert record.heat_layer is None, "its layers give tokens, no maps"
    assert record.imagenet == "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    with torch.device("meta"):
        assert build(record.name, 3).get_parameter("head.bias").shape == (3,)


def test_a_network_with_two_last_layers_is_refused() -> None:
    with pytest.raises(InputError, match="must name a network with one last layer"):
        find_architecture("deit_tiny_distilled_patch16_224")


def test_sizes_are_those_of_the_papers() -> None:
    """ResNeXt-50 has 25.0 million parameters and 4.2 thousand million multiply-adds (table 1)."""
    assert size_of(find_architecture("resnext50_32x4d")) == (25_028_904, 4_230_479_872)
