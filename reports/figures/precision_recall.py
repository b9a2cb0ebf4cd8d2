"""Draw precision against recall, at every threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing.curve_panels import plot_curves
from reports.drawing.plot import Plot
from reports.drawing.ranked import (
    Kind,
    Metrics,
    Point,
    area_of,
    as_bounds,
    operating_point,
    share_words,
)
from resnext.contracts.formatting import percent_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND = Kind(
    columns=("recall", "precision"),
    axes=("recall (sensitivity)", "precision"),
    score="average_precision",
    area="average precision",
    short="AP",
    nothing="No precision-recall curve: the test part holds no picture of a class to be found.",
)


def plot_precision_recall(
    precision_recall: pd.DataFrame, per_class: pd.DataFrame, metrics: Metrics
) -> Figure:
    """Plot precision-recall curves, the prevalence and the operating point, if there is one.

    Args:
        precision_recall: class, recall, precision, low, high; may be empty.
        per_class: class, support, average_precision, ..._low, ..._high.
        metrics: operating_point.
    """
    point = recall_point(metrics, per_class)
    return plot_curves(KIND, precision_recall, per_class, metrics, point)


def recall_point(metrics: Metrics, per_class: pd.DataFrame) -> Point | None:
    """Place the operating point among precision-recall curves; None where it is undefined."""
    point = operating_point(metrics)
    if point is None:
        return None
    name = str(point["positive"])
    prevalence = area_of(KIND, name, per_class).prevalence
    found = float(point["sensitivity"]) * prevalence
    flagged = found + (1 - float(point["specificity"])) * (1 - prevalence)
    if not flagged > 0:
        return None
    precision = found / flagged
    words = (share_words(point, "sensitivity"), f"precision {percent_interval(precision, None)}")
    bounds = as_bounds(point.get("sensitivity_ci95"))
    return Point(name, float(point["sensitivity"]), precision, bounds, None, words)


PLOT = Plot(
    name="precision_recall",
    title="Precision and recall",
    caption="How many of the pictures given a class are of it, against the share of the class that "
    "is found. Chance is the share of the class.",
    tables=("precision_recall.csv", "per_class.csv", "metrics.json"),
    draw=plot_precision_recall,
    position=4,
)
