"""Compare a model's score on images from elsewhere with that on its own test part.

The two are of other images and other groups. The interval of a difference of two independent
scores is made from their own intervals: the squared distances of the bounds from the scores add
up. So it is as asymmetric as they are, and needs no more of the model's test part than its
metrics.json. In 400 simulations each of 20 to 60 groups a side it held the true difference of
accuracy, balanced accuracy or AUROC in 96 to 98 %, one from draws of groups on both sides in 90 to
96 %.

A score that is a mean over the classes has another meaning where a class is missing: the balanced
accuracy of images of one class is the recall of that class. Such scores are not compared.

Images that the model's own test part holds too are no evidence from elsewhere. They are counted,
and their answers of then and now are compared in pairs.
Source: Zou & Donner 2008, https://doi.org/10.1002/sim.3095
Source: Newcombe 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from reports.arrays import UNDEFINED, Interval
from reports.evaluation.metrics import select
from reports.evaluation.paired import difference, on_common_images, read_pair
from reports.evaluation.sample import evaluated
from resnext.contracts.formatting import Bounds, defined

COMPARED = select(
    ["accuracy", "balanced_accuracy", "auroc", "macro_f1", "mcc", "log_loss", "brier", "ece"]
)
"""What is compared, in the order of the rows."""
(MAIN,) = select(["balanced_accuracy"])
OVER_CLASSES = ("balanced_accuracy", "auroc", "macro_f1", "mcc")
"""What is compared only where both sides hold the same classes."""

Metrics = Mapping[str, Any]


def compare(
    internal: Metrics, external: Metrics, *, same_classes: bool = True
) -> list[dict[str, Any]]:
    """Give a row for each score: `internal`, `external` and `difference` (external less internal).

    Each has its interval as `<name>_ci95`. `internal` and `external` are what metrics.json holds; a
    score that one of them lacks is NaN. So is a difference over classes that are not the same.
    """
    rows = [_row(metric.name, internal, external) for metric in COMPARED]
    for row in rows:
        if not same_classes and row["name"] in OVER_CLASSES:
            row |= {"difference": math.nan, "difference_ci95": UNDEFINED}
    return rows


def lacking(internal: Iterable[str], external: Iterable[str]) -> dict[str, list[str]]:
    """Name the classes that one side's images lack and the other's show, by side."""
    own, here = {*internal}, {*external}
    return {"external": sorted(own - here), "internal": sorted(here - own)}


def difference_interval(one: float, its: Bounds, other: float, others: Bounds) -> Interval:
    """Give the interval of other less one, of two independent scores with their intervals.

    NaN where one of them has none.
    """
    first, second = defined(its), defined(others)
    if first is None or second is None:
        return UNDEFINED
    value = other - one
    return (
        value - math.hypot(other - second[0], first[1] - one),
        value + math.hypot(second[1] - other, one - first[0]),
    )


def in_both(
    internal: pd.DataFrame, external: pd.DataFrame, then: pd.DataFrame, now: pd.DataFrame
) -> dict[str, Any] | None:
    """Compare the answers to images that were tested then and now; None where there is none.

    The tables are two predictions.csv and the manifests of their images. Gives how many there are,
    the balanced accuracy of the answers of then, the difference of those of now (see
    `paired.difference`), and how far any probability differs at most.
    """
    # of identical files one counts
    tested = (
        manifest[manifest["path"].isin(evaluated(table)["path"])].drop_duplicates("sha256")
        for table, manifest in ((internal, then), (external, now))
    )
    old, new = on_common_images(internal, external, *tested)
    if not len(old):
        return None
    first, other = read_pair(old, new)
    names = [f"p_{name}" for name in first.classes]
    shares = [evaluated(each).sort_values("path", kind="stable")[names] for each in (old, new)]
    apart = np.abs(shares[0].to_numpy() - shares[1].to_numpy())
    return {
        "n": len(first),
        "accuracy": [float(each.right.mean()) for each in (first, other)],
        "difference": difference(first, other, MAIN)._asdict(),
        "most_apart": float(apart.max()),
    }


def _row(name: str, internal: Metrics, external: Metrics) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name}
    for side, metrics in (("internal", internal), ("external", external)):
        value = metrics.get(name)
        row[side] = math.nan if value is None else float(value)
        row[f"{side}_ci95"] = metrics.get(f"{name}_ci95")
    row["difference"] = row["external"] - row["internal"]
    row["difference_ci95"] = difference_interval(
        row["internal"], row["internal_ci95"], row["external"], row["external_ci95"]
    )
    return row
