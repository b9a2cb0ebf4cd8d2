import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from resnext.contracts.errors import InputError
from resnext.data.decoding.levels import Levels
from resnext.models.architectures import MEAN, STD, build
from resnext.models.model_file import METADATA_KEY, ModelCard, load_network, read_card, save_model

ARCH = "resnext38_32x4d"
CARD = ModelCard(classes=("NA", "猴痘"), architecture=ARCH, image_size=64, mean=MEAN, std=STD)


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = build(ARCH, 2)
    save_model(tmp_path / "m.safetensors", model.state_dict(), CARD)
    loaded, card = load_network(tmp_path / "m.safetensors")
    assert card == CARD
    assert not loaded.training
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in loaded.state_dict().items())


def test_the_card_is_read_without_torch(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, CARD)
    code = (
        "import sys; from pathlib import Path; from resnext.models.model_file import read_card; "
        "print(read_card(Path(sys.argv[1])).image_size); assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "m.safetensors")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "64\n"


OTHERS = save({"a": torch.zeros(1)})  # weights of another project


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x08" + bytes(7) + b"{}      ", b"x" * 99, OTHERS]
)
def test_what_is_no_model_of_this_project_is_refused_in_words(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"^model must be a model.safetensors"):
        read_card(tmp_path / "x.safetensors")


def test_weights_that_do_not_fit_their_own_card_are_refused(tmp_path: Path) -> None:
    card = CARD.model_copy(update={"classes": ("a", "b", "c")})
    save_model(tmp_path / "m.safetensors", build(ARCH, 2).state_dict(), card)
    with pytest.raises(InputError, match="weights that its own description names"):
        load_network(tmp_path / "m.safetensors")


def test_the_levels_of_deep_images_are_kept_and_older_files_have_the_default(
    tmp_path: Path,
) -> None:
    deep = CARD.model_copy(update={"levels": Levels(uint16=(0, 4095))})
    save_model(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, deep)
    assert read_card(tmp_path / "m.safetensors").levels.of("uint16") == (0, 4095)
    older = {METADATA_KEY: json.dumps(CARD.model_dump(exclude={"levels"}))}
    save_file({"a": torch.zeros(1)}, tmp_path / "old.safetensors", metadata=older)
    assert read_card(tmp_path / "old.safetensors").levels.of("uint16") == (0, 65_535)


@pytest.mark.parametrize(
    "change",
    [{"std": (0.2, 0.0, 0.2)}, {"std": (0.2, float("inf"), 0.2)}, {"mean": (0.5, float("nan"), 0)}],
)
def test_a_normalisation_that_gives_no_numbers_is_refused(
    change: dict[str, tuple[float, float, float]], tmp_path: Path
) -> None:
    card = CARD.model_copy(update=change)
    text = json.dumps(card.model_dump())
    save_file({"a": torch.zeros(1)}, tmp_path / "m.safetensors", metadata={METADATA_KEY: text})
    with pytest.raises(InputError, match=r"model must be a model\.safetensors that the pipeline"):
        read_card(tmp_path / "m.safetensors")
