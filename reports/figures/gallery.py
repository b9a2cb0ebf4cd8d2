"""Draw every figure of a run from its tables, in the order of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from reports.division import PARTS, validation_name
from reports.figures.calibration import plot_confidences, plot_reliability
from reports.figures.classes import plot_per_class
from reports.figures.confusion import plot_confusion
from reports.figures.curves import plot_curves
from reports.figures.discrimination import plot_precision_recall, plot_roc
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_confusion, read_table


@dataclass(frozen=True)
class Watched:
    """Hold how a training was watched."""

    name: str
    """The part that the val columns of the history were measured on."""
    best_by: str | None
    """The metric that chose the weights; None where nothing was chosen."""
    ended: str | None
    """When it ended, if that is to be said."""


@dataclass(frozen=True)
class Scores:
    """Hold the tables of an evaluation."""

    confusion: pd.DataFrame
    roc: pd.DataFrame
    precision_recall: pd.DataFrame
    reliability: pd.DataFrame
    confidences: pd.DataFrame
    per_class: pd.DataFrame
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any]


def watched(
    split: pd.DataFrame, timing: pd.DataFrame, *, metric: str, keep: str, show_time: bool
) -> Watched:
    """Say how a training was watched.

    Nothing was chosen where the last epoch's weights were kept, nor by the test part, which is
    watched where there is no validation part.

    Args:
        split: split.csv.
        timing: timing.csv; its last finished_at is when the training ended.
        metric: What makes an epoch the best: val_accuracy or val_loss.
        keep: Which weights were kept: best or last.
        show_time: Whether to say when the training ended.
    """
    name = validation_name(split)
    chosen = keep == "best" and name == PARTS["val"]
    ended = str(timing["finished_at"].iloc[-1]) if show_time and len(timing) else None
    return Watched(name.lower(), metric if chosen else None, ended)


def read_scores(find: Callable[[str], Path]) -> Scores:
    """Read the tables of an evaluation, asking where the file of each name is.

    Raises:
        OSError: one of them is not there.
        ValueError: one of them is no such table.
    """
    names = ("roc", "precision_recall", "reliability", "confidences", "per_class")
    return Scores(
        confusion=read_confusion(find("confusion.csv")),
        **{name: read_table(find(f"{name}.csv")) for name in names},
        metrics=read_json(find("metrics.json")),
        calibration=read_json(find("calibration.json")),
    )


def plot_all(
    history: pd.DataFrame, training: Watched, scores: Scores
) -> Iterator[tuple[str, Figure]]:
    """Give each figure with the stem of its files."""
    caption = f"Training ended {training.ended}" if training.ended else None
    yield (
        "curves",
        plot_curves(
            history, validation_name=training.name, best_by=training.best_by, caption=caption
        ),
    )
    yield "confusion", plot_confusion(scores.confusion)
    yield "per_class", plot_per_class(scores.per_class)
    yield "roc", plot_roc(scores.roc, scores.per_class, scores.metrics)
    yield (
        "precision_recall",
        plot_precision_recall(scores.precision_recall, scores.per_class, scores.metrics),
    )
    yield "reliability", plot_reliability(scores.reliability, scores.calibration)
    yield "confidences", plot_confidences(scores.confidences)
