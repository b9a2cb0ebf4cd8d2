"""Calibration of new answers: calibration.json read, and probabilities at its temperature."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from pydantic import BaseModel, ConfigDict

from resnext.contracts.errors import InputError
from resnext.contracts.json_files import read_json
from resnext.inference.execution import FloatArray

COLDEST, HOTTEST = 0.1, 10.0  # temperatures that a calibration can have


class AnswerRule(BaseModel):
    """Say when an answer is given, and which classes are possible; see `contracts.threshold`."""

    model_config = ConfigDict(frozen=True)

    positive: str | None = None
    threshold: float | None = None
    refer_below: float | None = None
    set_from: float | None = None


def rule_of(calibration: Mapping[str, Any]) -> AnswerRule:
    """Take the rule out of what calibration.json holds; files of before it have less of it."""
    return AnswerRule(**{name: calibration.get(name) for name in AnswerRule.model_fields})


def softmax(logs: FloatArray, temperature: float) -> FloatArray:
    """Give the probabilities (N, C) of log-probabilities at a temperature."""
    scaled = (logs - logs.max(axis=1, keepdims=True, initial=-np.inf)) / temperature
    shares = np.exp(scaled)
    found: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return found


def read_calibration(path: Path) -> dict[str, Any]:
    """Read a calibration.json: its temperature, and what else stands there.

    Raises:
        InputError: it holds no temperature that a fit can give, or no rule that can be followed.
    """
    try:
        content = read_json(path)
    except InputError:
        content = {}
    names = ("temperature", "positive", "threshold")
    temperature, positive, threshold = (content.get(name) for name in names)
    rules = (
        (
            _is_number(temperature) and COLDEST <= temperature <= HOTTEST,
            f"hold a temperature from {COLDEST:g} to {HOTTEST:g}", temperature,
        ),
        (positive is None or isinstance(positive, str), "name a positive class or none", positive),
        (threshold is None or _is_number(threshold), "hold a threshold or none", threshold),
        *(
            (level is None or _is_number(level), f"hold {name} as a number or none", level)
            for name, level in ((name, content.get(name)) for name in ("refer_below", "set_from"))
        ),
    )  # fmt: skip
    for kept, rule, got in rules:
        if not kept:
            remedy = "Run flows/full_pipeline.py again, or move the file away."
            where = f"File {str(path)!r}. {remedy}"
            raise InputError("calibration.json", rule, f"{got!r}", where)
    return content


def _is_number(value: object) -> TypeGuard[float]:
    """Tell a finite number of a JSON file from anything else; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
