"""Weights on disk: `model.safetensors`, which carries all that is needed to use it.

Other people's weights, to start from, are read here too; a pickle only ever as plain tensors.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from resnext import zoo
from resnext.card import METADATA_KEY, ModelCard, read_card
from resnext.errors import InputError

HEAD = "fc."  # the layer that depends on the number of classes


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
            f"--model must hold the weights that its own description names, got '{path}'. "
            "It is damaged. Name another file, or run the pipeline again."
        ) from error
    return model.eval(), card


def load_pretrained(model: nn.Module, arch: str, weights: str, file: Path | None) -> str:
    """Load weights to start from and say what was done with them.

    Args:
        model: The network, its head already as wide as there are classes.
        arch: Its architecture.
        weights: `none`, `imagenet`, or `file`.
        file: The file, in the last case.

    Raises:
        InputError: the weights can't be had, or belong to another network.
    """
    if weights == "none":
        return "weights start from random values"
    state = _from_file(file) if file else _imagenet(arch)
    own = model.state_dict()
    fitting = {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}
    missing = sorted(set(own) - set(fitting))
    surplus = sorted(name for name in set(state) - set(own) if not name.startswith(HEAD))
    if surplus or any(not name.startswith(HEAD) for name in missing):
        raise InputError(
            f"--weights must belong to {arch}, got '{file or weights}'. {len(missing)} of its "
            f"{len(own)} tensors are not in there and {len(surplus)} others are, "
            f"{(surplus or missing)[0]} among them. Name other weights, or the --arch of these."
        )
    model.load_state_dict(own | fitting)
    left_over = len(set(state) - set(fitting))
    return (
        f"weights start from {file.name if file else weights}: {len(fitting)} tensors loaded, "
        f"{len(missing)} initialised anew ({', '.join(missing) or 'none'}), {left_over} left over"
    )


def _from_file(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
            raise TypeError("no dict of tensors")
        return state
    except Exception as error:  # torch.load raises what its reader happens to raise
        raise InputError(
            f"--weights must be none, imagenet or a .safetensors or .pth file, got '{path}'. "
            f"It can't be read ({type(error).__name__}). Name another file."
        ) from error


def _imagenet(arch: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    try:
        weights = get_model_weights(arch).DEFAULT
    except ValueError as error:
        raise InputError(
            f"--weights imagenet must go with an architecture of torchvision, got {arch}. "
            "There are no such weights. Use --weights none or another --arch."
        ) from error
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
        return state
    except OSError as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise InputError(
            f"--weights imagenet must download a file, got no connection ({error}). "
            f"Fetch {weights.url} on another machine and put it into {folder}."
        ) from error
