"""The model file: `model.safetensors`, weights with all that is needed to use them.

What a file says of itself stands in one entry of its metadata, because the format keeps several in
no fixed order and the same weights must give the same bytes. It is read without torch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError, safe_open

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.data.decoding.levels import Levels
from resnext.data.fit import Fit
from resnext.models.architectures import Scale, build, find_architecture
from resnext.models.views import ProbeShape

if TYPE_CHECKING:
    from torch import Tensor, nn

METADATA_KEY = "resnext"
Deviation = Annotated[FiniteFloat, Field(gt=0)]


class ModelCard(BaseModel):
    """What a model file says of itself."""

    model_config = ConfigDict(frozen=True)

    classes: tuple[str, ...] = Field(min_length=1)
    architecture: str
    image_size: int = Field(ge=32, le=1024)
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[Deviation, Deviation, Deviation]
    levels: Levels = Levels()
    """How deep images are scaled; files from before this was kept lack it, and get the default."""
    fit: Fit = "stretch"
    trained_on: tuple[Literal["train", "val"], ...] = ("train",)
    """The parts of the split that the network was trained on."""
    probe: ProbeShape | None = None
    """What stands on the frozen network, where no more than that was trained."""
    members: int = Field(1, ge=1)
    """How many networks answer together; the heads of several probes are those of one."""

    @property
    def scale(self) -> Scale:
        """Give what images are normalised by."""
        return self.mean, self.std


def read_card(path: Path) -> ModelCard:
    """Read what a model file says of itself.

    Raises:
        InputError: it is no model file that this project wrote.
    """
    try:
        with safe_open(path, framework="np") as file:
            return ModelCard.model_validate_json((file.metadata() or {})[METADATA_KEY])
    except (OSError, SafetensorError, KeyError, ValidationError) as error:
        raise InputError(
            "model",
            "be a model.safetensors that the pipeline wrote",
            f"'{path}'",
            f"It can't be read as one ({type(error).__name__}). Name another file.",
        ) from error


def describe(card: ModelCard) -> str:
    """Say in a line what a model is for."""
    kind = "a probe on " if card.probe else f"{card.members} x " if card.members > 1 else ""
    return f"{kind}{card.architecture} at {card.image_size} px for {first_few(card.classes)}"


def save_model(path: Path, weights: "dict[str, Tensor]", card: ModelCard) -> None:
    """Write weights and card.

    Raises:
        OSError: the file can't be written.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    path.write_bytes(save(plain, metadata={METADATA_KEY: card.model_dump_json()}))


def load_network(path: Path) -> "tuple[nn.Module, ModelCard]":
    """Build the network that a model file describes, with its weights, in eval mode.

    Raises:
        InputError: it is no model file that this project wrote.
    """
    from safetensors.torch import load_file

    card = read_card(path)
    network = _build(card)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise InputError(
            "model",
            "hold the weights that its own description names",
            f"'{path}'",
            "It is damaged. Name another file, or run the pipeline again.",
        ) from error
    return network.eval(), card


def join_models(models: Sequence[Path], path: Path) -> None:
    """Write the model file of an ensemble of models that differ in nothing but their weights.

    Raises:
        InputError: a model file can't be read.
        OSError: the file can't be written.
    """
    from resnext.models.ensemble import Ensemble, joined_probes
    from resnext.models.probe import Probe

    networks, cards = zip(*map(load_network, models), strict=True)
    card = cards[0]
    probes = [network for network in networks if isinstance(network, Probe)]
    if probes:
        weights = joined_probes(probes)
        shape = card.probe.model_copy(update={"heads": len(weights["heads.out"])})
        return save_model(path, weights, card.model_copy(update={"probe": shape}))
    weights = Ensemble(networks).state_dict()
    return save_model(path, weights, card.model_copy(update={"members": len(networks)}))


def _build(card: ModelCard) -> "nn.Module":
    """Build what a model file describes, with fresh weights."""
    if card.probe is None:
        networks = [build(card.architecture, len(card.classes)) for _ in range(card.members)]
        if card.members == 1:
            return networks[0]
        from resnext.models.ensemble import Ensemble

        return Ensemble(networks)
    from resnext.models.probe import Probe

    return Probe(find_architecture(card.architecture), card.probe, len(card.classes))
