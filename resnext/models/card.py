"""What a file of weights says about itself, read without torch.

The metadata of `model.safetensors` stands in one entry, because the file format keeps several
in no fixed order and the same weights must give the same bytes.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from resnext.contracts.errors import InputError
from resnext.data.decoding.levels import Levels

METADATA_KEY = "resnext"


class ModelCard(BaseModel):
    """What a file of weights says about itself."""

    model_config = ConfigDict(frozen=True)

    classes: tuple[str, ...] = Field(min_length=1)
    architecture: str
    image_size: int = Field(ge=32, le=1024)
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    levels: Levels = Levels()
    """How deep images are scaled; files from before this was kept lack it, and get the default."""


def read_card(path: Path) -> ModelCard:
    """Read what a file of weights says about itself.

    Raises:
        InputError: it is no file of weights that this project wrote.
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
    """Say in a line what a file of weights is for."""
    named = ", ".join(card.classes[:5]) + (" ..." if len(card.classes) > 5 else "")
    return f"{card.architecture} at {card.image_size} px for {named}"
