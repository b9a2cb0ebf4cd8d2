"""Draw precision against recall, at every threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing.curve_panels import (
    Kind,
    Metrics,
    Point,
    class_areas,
    operating_point,
    plot_curves,
)
from reports.drawing.plot import Plot
from resnext.contracts.formatting import percent_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND = Kind(
    columns=("recall", "precision"),
    axes=("recall (sensitivity)", "precision"),
    score="average_precision",
    area="average precision",
    short="AP",
    nothing="No precision-recall curve: the test part holds no image of a class to be found.",
)


def plot_precision_recall(
    precision_recall: pd.DataFrame,
    per_class: pd.DataFrame,
    metrics: Metrics,
    *,
    stacked: bool = False,
) -> Figure:
    """Plot precision-recall curves, the prevalence and the operating point, if there is one.

    Args:
        precision_recall: class, recall, precision, low, high; may be empty.
        per_class: class, support, average_precision, ..._low, ..._high.
        metrics: operating_point.
        stacked: Whether it is drawn for a phone.
    """
    point = _point(metrics, per_class)
    return plot_curves(KIND, precision_recall, per_class, metrics, point, stacked=stacked)


def _point(metrics: Metrics, per_class: pd.DataFrame) -> Point | None:
    """Place the operating point among precision-recall curves; None where it is undefined.

    Its precision follows by Bayes' theorem from sensitivity, specificity and prevalence.
    """
    point = operating_point(metrics)
    areas = class_areas(KIND, per_class)
    if point is None or point["positive"] not in areas:
        return None
    name, recall = str(point["positive"]), float(point["sensitivity"])
    prevalence = areas[name].prevalence
    found = recall * prevalence
    flagged = found + (1 - float(point["specificity"])) * (1 - prevalence)
    if not flagged > 0:
        return None
    bounds, precision = point.get("sensitivity_ci95"), found / flagged
    words = [
        f"sensitivity {percent_interval(recall, bounds)}",
        f"precision {percent_interval(precision, None)}",
    ]
    return Point(name, recall, precision, bounds, None, words)


PLOT = Plot(
    name="precision_recall",
    title="Precision and recall",
    caption="How many of the images given a class are of it, against the share of the class that "
    "is found. Chance is the share of the class.",
    tables=("precision_recall.csv", "per_class.csv", "metrics.json"),
    draw=plot_precision_recall,
    stacks=True,
    position=4,
)
