"""Say how the folds of a cross-validation came out, and what its report is about.

The numbers come from `folds` in metrics.json; none is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.evaluation.metrics import OF_FOLDS
from resnext.contracts.formatting import decimal, percent, undefined

Metrics = Mapping[str, Any]


def asked(metrics: Metrics, data_name: str) -> str:
    """Say on what the networks were trained and tested."""
    found = metrics.get("folds")
    if not found:
        return (
            f"A network was trained on one part of the images ({data_name}) and asked about "
            "another part that it had not been trained on."
        )
    again = f" That was done {found['repeats']} times, each time with other folds."
    return (
        f"The images ({data_name}) were divided into {found['folds']} folds. For each fold a "
        "network was trained on all the others and asked about this one, which holds no group "
        f"that it had seen.{again if found['repeats'] > 1 else ''}"
    )


def columns() -> list[str]:
    """Name the scores in the table of folds."""
    return [metric.title for metric in OF_FOLDS]


def rows(metrics: Metrics) -> list[dict[str, Any]]:
    """Give the rows of the table: each fold, then their mean and standard deviation."""
    found = metrics["folds"]
    several = found["repeats"] > 1
    each = [
        {
            "name": f"{row['repeat']}, {row['fold']}" if several else f"{row['fold']}",
            "images": str(row["n"]),
            "groups": str(row["groups"]),
            "cells": _cells(row),
            "total": False,
        }
        for row in found["each"]
    ]
    summary = {"Mean": found["mean"], "Standard deviation": found["deviation"]}
    return each + [
        {"name": name, "images": "", "groups": "", "cells": _cells(row), "total": True}
        for name, row in summary.items()
    ]


def repeat_rows(metrics: Metrics) -> list[dict[str, Any]]:
    """Give the rows of the table of repeats, each pooled over its folds; none for a single one."""
    found = metrics["folds"]
    if found["repeats"] < 2:
        return []
    each = [
        {"name": str(row["repeat"]), "cells": _cells(row), "total": False}
        for row in found["each_repeat"]
    ]
    deviation = _cells(found["deviation_of_repeats"])
    return [*each, {"name": "Standard deviation", "cells": deviation, "total": True}]


def both_aurocs(metrics: Metrics) -> str:
    """Name the AUROC over all answers, and the mean of those of the folds."""
    mean = metrics["folds"]["mean"]["auroc"]
    if undefined(mean) or undefined(metrics.get("auroc")):
        return ""
    return (
        f"AUROC: {decimal(metrics['auroc'])} pooled over all answers, {decimal(mean)} as the mean "
        "over the folds. The pooled one compares probabilities of networks that were trained "
        "apart; the mean over folds does not, but has fewer pairs of images in each."
    )


def in_a_line(metrics: Metrics) -> str:
    """Say in a line how much the folds differ; empty where there are none."""
    found = metrics.get("folds")
    if not found:
        return ""
    spread = 100 * found["deviation"]["balanced_accuracy"]
    text = (
        f"{found['folds']} folds{_times(found)}: balanced accuracy "
        f"{percent(found['mean']['balanced_accuracy'], ' ')} in the mean, standard deviation "
        f"{spread:.1f} points"
    )
    if found["repeats"] > 1:
        text += f" ({100 * found['deviation_of_repeats']['balanced_accuracy']:.1f} of the repeats)"
        text += ". Counts of images are sums over the repeats"
    return text


def _times(found: Mapping[str, Any]) -> str:
    return f", {found['repeats']} times" if found["repeats"] > 1 else ""


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [metric.write(row[metric.name]) for metric in OF_FOLDS]
