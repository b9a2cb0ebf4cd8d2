"""Hold what the page of a batch is made from: new images with their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.domain import domain_of
from reports.html import render
from reports.prediction import BatchSummary, answer_of, classes_of, unlike
from reports.sections import batch
from resnext.contracts.formatting import percent


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
        """Say what the probabilities are worth, and when an image is referred."""
        return worth_of_probabilities(self.calibration) + limits_in_words(self.calibration)

    @property
    def is_medical(self) -> bool:
        """Tell whether the images are of patients, as the names of the classes say."""
        return domain_of(None, classes_of(self.rows[0]) if self.rows else ()) == "medical"

    @property
    def title(self) -> str:
        """Head the page."""
        return f"Predictions: {self.data_name}"


def worth_of_probabilities(calibration: Mapping[str, Any]) -> str:
    """Say whether probabilities are calibrated, and why they are not."""
    if calibration.get("fitted_on") is not None:
        return f"Probabilities are calibrated (temperature {calibration['temperature']:.2f})."
    reason = calibration.get("reason")
    return f"Probabilities are not calibrated{f': {reason}' if reason else ''}."


def limits_in_words(calibration: Mapping[str, Any]) -> str:
    """Say when an image is referred, and what its possible classes are; empty where neither is."""
    wrong, least = calibration.get("max_error"), calibration.get("refer_below")
    said = ""
    if wrong is not None and least is not None:
        said = (
            f" An image is referred where its answer is less probable than {percent(least)}: of "
            f"the answers that are given at most {percent(wrong)} are wrong, with 95\u00a0% "
            "confidence."
        )
    elif wrong is not None:
        said = f" No answer is referred: {calibration.get('refer_reason') or 'no reason known'}."
    if calibration.get("set_from") is not None:
        level = percent(calibration["set_level"], decimals=0)
        said += f" The possible classes hold the true one for at least {level} of images."
    return f"{said} That holds for images like the model's own." if said else ""


def render_batch(content: BatchContent) -> str:
    """Render the page as one HTML text."""
    return render("batch.html.j2", content, answer_of=answer_of, batch=batch, unlike=unlike)
