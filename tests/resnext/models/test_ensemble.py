from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resnext.models.architectures import MEAN, STD, build, find_architecture
from resnext.models.model_file import ModelCard, join_models, load_network, save_model
from resnext.models.probe import Probe
from resnext.models.views import ProbeShape

ARCH = "resnext38_32x4d"
CARD = ModelCard(classes=("a", "b", "c"), architecture=ARCH, image_size=32, mean=MEAN, std=STD)


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return build(ARCH, 3)


def probe(seed: int) -> nn.Module:
    """A probe on one network, with heads and a standardisation of its own."""
    backbone = network(99)
    torch.manual_seed(seed)
    made = Probe(find_architecture(ARCH), ProbeShape(heads=2, hidden=4), 3, backbone)
    made.mean.normal_()
    made.std.uniform_(0.5, 2)
    return made


@pytest.mark.parametrize("kind", ["networks", "probes"])
def test_an_ensemble_answers_with_the_mean_probability_of_its_members(
    kind: str, tmp_path: Path
) -> None:
    make = network if kind == "networks" else probe
    card = CARD
    if kind == "probes":
        card = CARD.model_copy(update={"probe": ProbeShape(heads=2, hidden=4)})
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for number, file in enumerate(files):
        save_model(file, make(number).state_dict(), card)
    join_models(files, tmp_path / "all.safetensors")
    together, found = load_network(tmp_path / "all.safetensors")
    images = torch.randn(4, 3, 32, 32)

    def answer(model: nn.Module) -> Tensor:
        with torch.inference_mode():
            shares: Tensor = model(images).softmax(dim=1)
        return shares

    expected = torch.stack([answer(load_network(file)[0]) for file in files]).mean(dim=0)
    torch.testing.assert_close(answer(together), expected, rtol=1e-4, atol=1e-5)
    assert found.classes == card.classes
    if kind == "probes":
        assert found.probe == ProbeShape(heads=6, hidden=4), "one network, with all heads"
    else:
        assert found.members == 3
