"""JSON on disk: null for what is undefined, names as they are, errors in words."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from resnext.contracts.json_files import read_json, write_json


def test_json_writes_null_for_nan_and_keeps_order_and_names(tmp_path: Path) -> None:
    content = {
        "n": np.int64(3),
        "猴痘": math.nan,
        "pair": (np.float64(0.5), math.inf),
        "in": {1: "x"},
    }
    write_json(content, tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"n": 3, "猴痘": None, "pair": [0.5, None], "in": {"1": "x"}}
    assert read_json(tmp_path / "m.json")["猴痘"] is None
    assert text.index('"n"') < text.index("猴痘")


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ValueError, match="must hold a JSON object, got a list"):
        read_json(tmp_path / "m.json")
