"""Write and read JSON for people and programs: indented, UTF-8, the same bytes each time.

An undefined number is NaN in memory and null on disk.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from resnext.contracts.errors import InputError


def write_json(content: object, path: Path) -> None:
    """Write a value in the order given; NaN and infinite numbers become null."""
    path.write_text(json_text(content), encoding="utf-8")


def json_text(content: object) -> str:
    """Write a value as JSON, with a line end."""
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; null stays None.

    Raises:
        InputError: the file is missing or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}'", "be a JSON file", str(error)) from error
    if not isinstance(content, dict):
        raise InputError(f"'{path}'", "hold a JSON object", f"a {type(content).__name__}")
    return content


def _plain(value: Any) -> Any:
    """Turn numpy's numbers, tuples and mappings into what JSON knows."""
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
