"""Hold what the page of a batch is made from: new images with their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.html import render
from reports.prediction import BatchSummary, answer_of
from reports.sections import batch


@dataclass(frozen=True)
class BatchContent:
    """Hold the rows of a batch, and what is said of it."""

    data_name: str
    rows: Sequence[Mapping[str, str]]
    """Those of batch_predictions.csv, each with its `thumbnail`."""
    calibration: Mapping[str, Any]
    summary: BatchSummary
    facts: Mapping[str, str]
    """Which model answered, and how."""
    command: str
    """What to type to get this page again."""
    synthetic: bool = False
    pictures: bool = True
    """Whether the images may be shown."""

    @property
    def probabilities(self) -> str:
        """Say what the probabilities are worth."""
        return worth_of_probabilities(self.calibration)

    @property
    def title(self) -> str:
        """Head the page."""
        return f"Predictions: {self.data_name}"


def worth_of_probabilities(calibration: Mapping[str, Any]) -> str:
    """Say whether probabilities are calibrated."""
    if "temperature" in calibration:
        return f"Probabilities are calibrated (temperature {calibration['temperature']:.2f})."
    return "Probabilities are not calibrated."


def render_batch(content: BatchContent) -> str:
    """Render the page as one HTML text."""
    return render("batch.html.j2", content, answer_of=answer_of, batch=batch)
