"""Draw ROC curves: sensitivity against the false-positive rate, at every threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing.curve_panels import plot_curves
from reports.drawing.plot import Plot
from reports.drawing.ranked import Kind, Metrics, Point, as_bounds, operating_point, share_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND = Kind(
    columns=("false_positive_rate", "true_positive_rate"),
    axes=("false-positive rate (1 - specificity)", "sensitivity"),
    score="auroc",
    area="AUROC",
    short="AUROC",
    nothing="No ROC curve: the test part would have to hold pictures of a class and others.",
    diagonal=True,
)


def plot_roc(roc: pd.DataFrame, per_class: pd.DataFrame, metrics: Metrics) -> Figure:
    """Plot ROC curves, the diagonal of chance, AUROCs and the operating point, if there is one.

    Args:
        roc: class, false_positive_rate, true_positive_rate, low, high; may be empty.
        per_class: class, support, auroc, auroc_low, auroc_high.
        metrics: auroc and auroc_ci95 (of the mean), operating_point.
    """
    return plot_curves(KIND, roc, per_class, metrics, roc_point(metrics))


def roc_point(metrics: Metrics) -> Point | None:
    """Place the operating point among ROC curves; None where there is none."""
    point = operating_point(metrics)
    if point is None:
        return None
    specificity = as_bounds(point.get("specificity_ci95"))
    return Point(
        str(point["positive"]),
        1 - float(point["specificity"]),
        float(point["sensitivity"]),
        None if specificity is None else (1 - specificity[1], 1 - specificity[0]),
        as_bounds(point.get("sensitivity_ci95")),
        (share_words(point, "sensitivity"), share_words(point, "specificity")),
    )


PLOT = Plot(
    name="roc",
    title="ROC curve",
    caption="The share of a class that is found against the share of other pictures that are taken "
    "for it, at every threshold. The band is the 95 % interval; the diagonal is chance.",
    tables=("roc.csv", "per_class.csv", "metrics.json"),
    draw=plot_roc,
    position=3,
)
