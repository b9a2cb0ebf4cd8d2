"""Compare recipes that were each trained and tested on the same folds.

The held-out predictions of all folds are put together, so that every image counts once. A
difference is that of two recipes on the same draws of groups (see `paired`). Only scores of single
answers are compared: probabilities of networks that were trained apart have no common scale, so
that an AUROC over folds would say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import pandas as pd

from reports.evaluation.bootstrap import UNDEFINED
from reports.evaluation.evaluate import summarise
from reports.evaluation.metrics import select
from reports.evaluation.paired import Difference, difference, read_pair
from reports.evaluation.sample import classes_of, read_sample
from reports.evaluation.settings import ComparedBy
from resnext.contracts.formatting import percent

COMPARED = select(get_args(ComparedBy))
(DIFFERENCE,) = select(["balanced_accuracy"])
"""What recipes are compared by."""


def compare(pooled: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Give the scores of each recipe, and how much better each is than the first.

    Columns: recipe, n, groups, then accuracy, balanced_accuracy and macro_f1, each with `_low`
    and `_high`, then `difference` of the balanced accuracy, `difference_low`, `difference_high`,
    and `not_better`, the share of the draws in which it is not better. The last four are NaN for
    the first recipe, and wherever they are undefined.

    Raises:
        InputError: the recipes were not tested on the same images.
    """
    first = next(iter(pooled.values()))
    return pd.DataFrame([_row(name, table, first) for name, table in pooled.items()])


def verdict(table: pd.DataFrame) -> list[str]:
    """Say in a line for each further recipe whether it is better than the first."""
    first, *others = table.to_dict("records")
    return [_sentence(row, first["recipe"]) for row in others]


def _row(name: str, predictions: pd.DataFrame, first: pd.DataFrame) -> dict[str, Any]:
    sample = read_sample(predictions, classes_of(predictions))
    found = summarise(sample, COMPARED, {})
    row: dict[str, Any] = {"recipe": name, "n": len(sample), "groups": sample.group_count}
    for metric in (each.name for each in COMPARED):
        low, high = found[f"{metric}_ci95"] or UNDEFINED
        row |= {metric: found[metric], f"{metric}_low": low, f"{metric}_high": high}
    apart = Difference()
    if predictions is not first:
        apart = difference(*read_pair(first, predictions), DIFFERENCE)
    names = ("difference", "difference_low", "difference_high", "not_better")
    return row | dict(zip(names, apart, strict=True))


def _sentence(row: dict[Any, Any], first: str) -> str:
    """Say what the interval of a difference allows to say."""
    value, low, high = row["difference"], row["difference_low"], row["difference_high"]
    if pd.isna(low):
        same = f"their balanced accuracies differ by {100 * value:.1f} points in every draw"
        drawn = row["groups"] > 1 and not pd.isna(row["not_better"])
        why = same if drawn else "too few groups"
        return f"{row['recipe']} and {first} have no interval between them: {why}."
    better = "better than" if low > 0 else "worse than" if high < 0 else "not told apart from"
    signed = "+" if value > 0 else ""
    return (
        f"{row['recipe']} is {better} {first}: balanced accuracy {signed}{100 * value:.1f} points "
        f"(95 %: {100 * low:.1f} to {100 * high:.1f}); {percent(row['balanced_accuracy'], ' ')} "
        f"of {row['groups']:.0f} groups."
    )
