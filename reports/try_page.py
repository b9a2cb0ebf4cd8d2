"""Hold what the page to try a model says before there is a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.batch import limits_in_words, worth_of_probabilities
from reports.html import render, script_of
from resnext.contracts.formatting import percent
from resnext.contracts.threshold import UNLIKE


@dataclass(frozen=True)
class TryContent:
    """Hold which model answers, and what a picture must be."""

    facts: Mapping[str, str]
    """By name, what is known of the model; its score among it, if one is known."""
    classes: tuple[str, ...]
    calibration: Mapping[str, Any]
    heat_maps: bool
    most_bytes: int
    """Of a picture."""
    synthetic: bool = False
    title: str = "Try the model"

    @property
    def probabilities(self) -> str:
        """Say what the probabilities are worth, and when the positive class is answered."""
        positive, threshold = (self.calibration.get(name) for name in ("positive", "threshold"))
        worth = worth_of_probabilities(self.calibration) + limits_in_words(self.calibration)
        if positive is None or threshold is None:
            return worth
        return f"{worth} {positive} is answered from {percent(threshold)} on, likeliest or not."


def render_try_page(content: TryContent) -> str:
    """Render the page as one HTML text."""
    return render("try.html.j2", content, UNLIKE=UNLIKE, **script_of("try.js"))
