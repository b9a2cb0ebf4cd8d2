"""Draw ROC curves: sensitivity against the false-positive rate, at every threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing.curve_panels import Kind, Metrics, Point, operating_point, plot_curves
from reports.drawing.plot import Plot
from resnext.contracts.formatting import defined, percent_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND = Kind(
    columns=("false_positive_rate", "true_positive_rate"),
    axes=("false-positive rate (1 - specificity)", "sensitivity"),
    score="auroc",
    area="AUROC",
    short="AUROC",
    nothing="No ROC curve: the test part would have to hold images of a class and others.",
    diagonal=True,
)


def plot_roc(
    roc: pd.DataFrame, per_class: pd.DataFrame, metrics: Metrics, *, stacked: bool = False
) -> Figure:
    """Plot ROC curves, the diagonal of chance, AUROCs and the operating point, if there is one.

    Args:
        roc: class, false_positive_rate, true_positive_rate, low, high; may be empty.
        per_class: class, support, auroc, auroc_low, auroc_high.
        metrics: auroc and auroc_ci95 (of the mean), operating_point.
        stacked: Whether it is drawn for a phone.
    """
    return plot_curves(KIND, roc, per_class, metrics, _point(metrics), stacked=stacked)


def _point(metrics: Metrics) -> Point | None:
    """Place the operating point among ROC curves; None where there is none."""
    point = operating_point(metrics)
    if point is None:
        return None
    of_specificity = defined(point.get("specificity_ci95"))
    return Point(
        str(point["positive"]),
        1 - float(point["specificity"]),
        float(point["sensitivity"]),
        of_specificity and (1 - of_specificity[1], 1 - of_specificity[0]),
        point.get("sensitivity_ci95"),
        [
            f"{name} {percent_interval(point[name], point.get(f'{name}_ci95'))}"
            for name in ("sensitivity", "specificity")
        ],
    )


PLOT = Plot(
    name="roc",
    title="ROC curve",
    caption="The share of a class that is found against the share of other images that are taken "
    "for it, at every threshold. The band is the 95 % interval; the diagonal is chance.",
    tables=("roc.csv", "per_class.csv", "metrics.json"),
    draw=plot_roc,
    stacks=True,
    position=3,
)
