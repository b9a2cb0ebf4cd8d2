"""Files of published weights: fetched once, and kept where torch and Hugging Face keep theirs.

Without a connection an error says which file to put where.
"""

import hashlib
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch

from resnext.contracts.errors import InputError

HUGGING_FACE = "https://huggingface.co/{}/resolve/main/model.safetensors"
FILE = "model.safetensors"
PATIENCE = 20.0  # seconds that a host may take to answer; the hub itself tries for long


def from_torchvision(url: str) -> Path:
    """Give the whole file behind a URL, from torch.hub's folder where it is there already.

    Raises:
        InputError: it can't be fetched, or its bytes are not those that its name promises.
    """
    path = Path(torch.hub.get_dir()).absolute() / "checkpoints" / Path(urlsplit(url).path).name
    by_hand = f"fetch {url} by hand and save it as {path}"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), _promised(path), progress=False)
        _require_promised(path, "weights imagenet", by_hand)
    except (OSError, HTTPException) as error:
        rule = f"find {path.name} or download it"
        remedy = f"To go on without a connection, {by_hand}."
        raise InputError("weights imagenet", rule, f"neither ({_reason(error)})", remedy) from error
    except RuntimeError as error:  # of torch.hub, which keeps nothing of such a download
        rule = f"download {path.name} whole"
        remedy = f"The download was damaged on its way and not kept. Run again, or {by_hand}."
        raise InputError("weights imagenet", rule, "other bytes", remedy) from error
    return path


def from_hugging_face(name: str) -> Path:
    """Give the file of a model on Hugging Face, from its cache where it is there already.

    Raises:
        InputError: it can't be fetched.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    url = HUGGING_FACE.format(name)
    try:
        kept = try_to_load_from_cache(name, FILE)
        if isinstance(kept, str):
            return Path(kept)
        with urlopen(Request(url, method="HEAD"), timeout=PATIENCE):
            return Path(hf_hub_download(name, FILE))
    except (OSError, ValueError, RuntimeError, HTTPException) as error:
        rule = f"find {name} in the cache of Hugging Face or download it"
        remedy = (
            f"To go on without a connection, fetch {url} by hand and name the file with `weights`. "
            "`weights` bundled needs none."
        )
        got = f"neither ({_reason(error)})"
        raise InputError(f"weights {name}", rule, got, remedy) from error


def from_package(place: str) -> Path:
    """Give a file that is installed with a package, by package and path within.

    Raises:
        InputError: it is not there, or its bytes are not those that its name promises.
    """
    package, _, inside = place.partition("/")
    found = find_spec(package)
    again = f"install the package {package.replace('_', '-')} again"
    if found is None or found.origin is None:
        rule = f"go with the package {package.replace('_', '-')}"
        raise InputError("weights bundled", rule, "none", f"To go on, {again}.")
    path = Path(found.origin).parent / inside
    _require_promised(path, "weights bundled", again)
    return path


def _promised(path: Path) -> str:
    """Give the first digits of the SHA-256 that the name of a file ends with."""
    return path.stem.rpartition("-")[2]


def _require_promised(path: Path, weights: str, by_hand: str) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    promised = _promised(path)
    if not digest.startswith(promised):
        rule = f"find a file with the SHA-256 {promised}... at {path}"
        remedy = f"It is damaged. Delete it and run again, or {by_hand}."
        raise InputError(weights, rule, f"{digest[: len(promised)]}...", remedy)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    return " ".join(str(cause).split()) or type(error).__name__
