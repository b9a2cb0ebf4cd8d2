import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from resnext import zoo
from resnext.card import ModelCard, read_card
from resnext.checkpoint import load_model, load_pretrained, save_model
from resnext.errors import InputError
from resnext.images import MEAN, STD

ARCH = "resnext38_32x4d"
CARD = ModelCard(classes=("NA", "猴痘"), architecture=ARCH, image_size=64, mean=MEAN, std=STD)


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = zoo.build(ARCH, 2)
    save_model(tmp_path / "m.safetensors", model.state_dict(), CARD)
    loaded, card = load_model(tmp_path / "m.safetensors")
    assert card == CARD
    assert not loaded.training
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in loaded.state_dict().items())


def test_the_card_is_read_without_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    save_model(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, CARD)
    code = (
        "import sys; from pathlib import Path; from resnext.card import read_card; "
        "print(read_card(Path(sys.argv[1])).image_size); assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "m.safetensors")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "64\n"


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08" + bytes(7) + b"{}      ", b"x" * 99])
def test_what_is_no_model_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"--model must be a model.safetensors"):
        read_card(tmp_path / "x.safetensors")


def test_other_peoples_weights_are_no_model_of_this_project(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="--model must be"):
        read_card(tmp_path / "x.safetensors")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_for_other_classes_load_up_to_the_head(tmp_path: Path, ending: str) -> None:
    source, target = zoo.build(ARCH, 5), zoo.build(ARCH, 2)
    file = tmp_path / f"w.{ending}"
    state = source.state_dict()
    torch.save(state, file) if ending == "pth" else save_file(state, file)
    said = load_pretrained(target, ARCH, "file", file)
    assert torch.equal(target.state_dict()["conv1.weight"], state["conv1.weight"])
    assert "2 initialised anew (fc.bias, fc.weight), 2 left over" in said


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"--weights must belong to resnext38_32x4d"):
        load_pretrained(zoo.build(ARCH, 2), ARCH, "file", tmp_path / "w.safetensors")


def test_a_pickle_that_runs_code_is_never_run(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    (tmp_path / "w.pth").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(InputError, match="can't be read"):
        load_pretrained(zoo.build(ARCH, 2), ARCH, "file", tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_imagenet_weights_of_an_unknown_architecture_are_refused() -> None:
    with pytest.raises(InputError, match="must go with an architecture of torchvision"):
        load_pretrained(zoo.build(ARCH, 2), ARCH, "imagenet", None)


def test_offline_the_file_to_fetch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import ResNeXt50_32X4D_Weights

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(ResNeXt50_32X4D_Weights, "get_state_dict", offline)
    model = torch.nn.Linear(1, 1)
    with pytest.raises(InputError, match=r"Fetch \S+resnext50_32x4d\S+\.pth .* put it into"):
        load_pretrained(model, "resnext50_32x4d", "imagenet", None)


def test_weights_of_a_bigger_network_are_refused(tmp_path: Path) -> None:
    save_file(zoo.build("resnext50_32x4d", 2).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"0 of its \d+ tensors are not in there and \d+ others"):
        load_pretrained(zoo.build(ARCH, 2), ARCH, "file", tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [[1], {"conv1.weight": 3}, torch.zeros(2)])
def test_a_file_without_a_dict_of_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match="can't be read"):
        load_pretrained(zoo.build(ARCH, 2), ARCH, "file", tmp_path / "w.pth")


def test_weights_that_do_not_fit_their_own_card_are_refused(tmp_path: Path) -> None:
    card = CARD.model_copy(update={"classes": ("a", "b", "c")})
    save_model(tmp_path / "m.safetensors", zoo.build(ARCH, 2).state_dict(), card)
    with pytest.raises(InputError, match="weights that its own description names"):
        load_model(tmp_path / "m.safetensors")
