"""Weights on disk: `model.safetensors`, which carries all that is needed to use it."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from resnext.contracts.errors import InputError
from resnext.models import architectures as zoo
from resnext.models.card import METADATA_KEY, ModelCard, read_card


def save_model(path: Path, weights: dict[str, Tensor], card: ModelCard) -> None:
    """Write weights and card.

    Raises:
        OSError: the file can't be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    path.write_bytes(save(plain, metadata={METADATA_KEY: card.model_dump_json()}))


def load_model(path: Path) -> tuple[nn.Module, ModelCard]:
    """Build the network that a file describes, with its weights, in eval mode.

    Raises:
        InputError: it is no file of weights that this project wrote.
    """
    card = read_card(path)
    model = zoo.build(card.architecture, len(card.classes))
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise InputError(
            "model",
            "hold the weights that its own description names",
            f"'{path}'",
            "It is damaged. Name another file, or run the pipeline again.",
        ) from error
    return model.eval(), card
