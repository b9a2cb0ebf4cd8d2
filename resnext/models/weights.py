"""Other people's weights to start from: published ones, or those of a file.

Names of tensors are torchvision's, which timm shares for every residual network that both know,
else timm's. A pickle is only ever read as plain tensors: nothing that it asks for is run.

Source: state dicts of torchvision 0.29 and timm 1.0.31, the same names and shapes in each.
"""

import argparse
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import safe_open
from torch import Tensor, nn

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few, printable
from resnext.models.architectures import (
    ARCHITECTURES,
    Architecture,
    build,
    find_architecture,
    published_weights,
)
from resnext.models.download import from_hugging_face, from_package, from_torchvision
from resnext.models.model_file import METADATA_KEY, ModelCard, describe

# Batch norm counts batches; only one without momentum, which none is here, ever reads the count.
COUNTER = "num_batches_tracked"
# Where checkpoints keep weights, the averaged ones first, as in timm's `load_state_dict`.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
# What DataParallel, torch.compile and networks around a network put before a name.
PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.|model\.|backbone\.)+")
NAME = 80  # characters of a name in a message

State: TypeAlias = Mapping[str, Tensor]


class _NoWeightsError(ValueError):
    """Say what is wrong with a file that could be read, and what to do."""


def load_pretrained(model: nn.Module, arch: str, weights: str, file: Path | None) -> str:
    """Load weights to start from and say in a line what was done with them.

    A head of another number of classes stays as it is. The rest must fit to the last tensor, but
    for counters of batches. Numbers of any width become the network's own.

    Args:
        model: The network, its head already as wide as there are classes.
        arch: Its architecture.
        weights: `none`, `imagenet`, `bundled`, the name of a model on Hugging Face, or `file`.
        file: The file, in the last case.

    Raises:
        InputError: the weights can't be had, are damaged, or belong to another network.
    """
    if weights == "none":
        return "weights start from random values"
    architecture, own = find_architecture(arch), model.state_dict()
    tensors, name = _read(file or published(architecture, weights), arch)
    name, got = (name, f"'{file}'") if file else (f"{weights} ({name})", weights)
    if weights == "bundled":
        tensors = dict(zip(own, tensors.values(), strict=True))
    _require_fit(own, tensors, architecture, got)
    fitting = _fitting(own, tensors, architecture)
    if bad := [name for name, tensor in fitting.items() if not tensor.isfinite().all()]:
        remedy = "Name weights of a training that did not fail."
        found = f"Tensors with NaN or infinity: {len(bad)}{_listed(bad)}."
        raise InputError("weights", "be finite numbers", got, f"{found} {remedy}")
    model.load_state_dict(own | fitting)
    fresh = [name for name in own if name not in fitting and not name.endswith(COUNTER)]
    left = [name for name in tensors if name not in fitting]
    return (
        f"weights start from {name}: {len(fitting)} tensors loaded, "
        f"{len(fresh)} initialised anew{_listed(fresh)}, {len(left)} left over{_listed(left)}"
    )


def published(architecture: Architecture, weights: str) -> Path:
    """Give the file of published weights, fetched where it is not here yet.

    Raises:
        InputError: there are none of that name, or they can't be fetched.
    """
    if weights == "bundled":
        return from_package(published_weights(architecture.name, "bundled"))
    place = published_weights(architecture.name, "imagenet") if weights == "imagenet" else weights
    return from_torchvision(place) if "://" in place else from_hugging_face(place)


def _fitting(own: State, tensors: State, architecture: Architecture) -> dict[str, Tensor]:
    """Give what can be loaded, in the network's own types: the head as a whole or not at all."""
    fitting = {
        name: tensors[name].detach().to(tensor.dtype)
        for name, tensor in own.items()
        if _kind(tensors.get(name)) == _kind(tensor)
    }
    head = {name for name in own if architecture.in_head(name)}
    return fitting if head <= fitting.keys() else {n: fitting[n] for n in fitting.keys() - head}


def _require_fit(own: State, tensors: State, architecture: Architecture, got: str) -> None:
    """Raise an InputError where tensors don't fit; it names an architecture that they do fit."""
    wrong = _misfits(own, tensors, architecture)
    if not wrong:
        return
    others = ""
    for other in ARCHITECTURES.values():
        with torch.device("meta"):
            theirs = build(other.name, 1).state_dict()
        if not _misfits(theirs, tensors, other):
            others = f", or `arch` {other.name}, which they fit"
            break
    first = wrong[0]
    raise InputError(
        "weights",
        f"belong to {architecture.name}",
        got,
        f"Tensors that don't fit: {len(wrong)}, the first {printable(first[:NAME])}, "
        f"{_kind(tensors.get(first))} there and {_kind(own.get(first))} in "
        f"the network. Name other weights{others}.",
    )


def _misfits(own: State, tensors: State, architecture: Architecture) -> list[str]:
    """List tensors that differ or stand on one side only, in all parts that the network names.

    Left out are the head, counters, and what belongs to other parts, as of a loss.
    """
    body = {name.split(".")[0] for name in own if not architecture.in_head(name)}
    return [
        name
        for name in dict.fromkeys([*own, *tensors])
        if name.split(".")[0] in body
        and not architecture.in_head(name)
        and not name.endswith(COUNTER)
        and _kind(own.get(name)) != _kind(tensors.get(name))
    ]


def _kind(tensor: Tensor | None) -> str:
    """Say what must be equal for one tensor to be loaded into another: not the width of floats."""
    if tensor is None:
        return "none"
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    dtype = "" if tensor.is_floating_point() else f" {tensor.dtype}"
    layout = "" if tensor.layout == torch.strided else f" {tensor.layout}"
    return f"{shape}{dtype}{layout}".replace("torch.", "")


# ---------------------------------------------------------------- files


def _read(path: Path, arch: str) -> tuple[dict[str, Tensor], str]:
    """Read a file in torchvision's or timm's layout, or a `model.safetensors` of this project.

    Gives tensors by name, and what to call them.

    Raises:
        InputError: it holds no weights, or its own card names another architecture.
    """
    card, entry = None, None
    try:
        _require_bytes(path)
        if path.suffix.lower() == ".safetensors":
            tensors, card = _read_safetensors(path)
        else:
            tensors, entry = _read_pickle(path)
        tensors = _without_prefixes(tensors)
    except Exception as error:  # torch.load raises what its reader happens to raise
        rule = "be none, imagenet or a .safetensors or .pth file of weights"
        raise InputError("weights", rule, f"'{path}'", _fault(error)) from error
    if card and card.architecture != arch:
        remedy = f"It is a {describe(card)}. Name other weights, or `arch` {card.architecture}."
        raise InputError("weights", f"belong to {arch}", f"'{path}'", remedy)
    about = f" ({describe(card)})" if card else f" (its entry {entry})" if entry else ""
    return tensors, path.name + about


def _require_bytes(path: Path) -> None:
    """Say what is wrong with a path that holds no bytes; a pipe would be waited for."""
    faults = (
        (path.is_dir(), "It is a folder. Name a file."),
        (not path.exists(), "There is no such file. Check the path."),
        (path.exists() and not path.is_file(), "It is no regular file. Name another."),
        (path.is_file() and not path.stat().st_size, "It is empty. Fetch it again, or name "
         "another file."),
    )  # fmt: skip
    for is_so, fault in faults:
        if is_so:
            raise _NoWeightsError(fault)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], ModelCard | None]:
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get(METADATA_KEY)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors, ModelCard.model_validate_json(text) if text else None


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Give the tensors of a checkpoint and the entry they were in, None for the whole.

    Read are tensors, numbers and text; an argparse.Namespace too, which timm writes with them.
    """
    with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
        warnings.simplefilter("ignore")  # about formats that are refused anyway
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise _NoWeightsError(f"It holds a {kind}, no tensors by name. Name another file.")
    filled = (word for word in WRAPPERS if isinstance(content.get(word), dict) and content[word])
    entry = next(filled, None)
    state: dict[Any, Any] = content[entry] if entry else content
    tensors = {
        name: value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, Tensor) and not value.is_meta
    }
    if not tensors:
        names = _listed(map(str, state))
        raise _NoWeightsError(f"It holds no tensors by name{names}. Name another file.")
    return tensors, entry


def _without_prefixes(tensors: State) -> dict[str, Tensor]:
    """Take off what wrappers put before the names."""
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = PREFIXES.sub("", name)
        if short in plain:
            twice = f"It holds {printable(short[:NAME])} twice, under two prefixes."
            raise _NoWeightsError(f"{twice} Save one network alone.")
        plain[short] = tensor
    return plain


def _fault(error: Exception) -> str:
    """Say what is wrong with a file, and what to do."""
    if isinstance(error, _NoWeightsError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"It can't be opened: {error.strerror}. Name another file."
    if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"It asks for {printable(refused[1])}, and nothing but tensors is taken from a pickle. "
            "Save the network's state_dict() alone."
        )
    return (
        f"It is damaged, cut short or another kind of file ({type(error).__name__}). "
        "Fetch it again, or name another file."
    )


def _listed(names: Iterable[str]) -> str:
    """Name the first few and how many more there are, in brackets; nothing for none."""
    listed = first_few(printable(name[:NAME]) for name in names)
    return f" ({listed})" if listed else ""
