"""Compare recipes that were each trained and tested on the same folds.

The held-out predictions of all folds are put together, so that every image counts once a seed. A
difference is that of two recipes on the same draws of groups (see `paired`). Recipes are judged by
one score, the balanced accuracy. How often luck alone gives such a difference is adjusted for being
asked of several recipes (Holm).

Probabilities of networks that were trained apart have no common scale. The AUROC is therefore the
mean of the folds' own, whose groups are drawn within the folds; the pooled one stands beside it,
and is not compared. In 200 simulations of one seed, the interval of the mean held the truth in 89
to 91 % with 5 folds of 8 groups, in 92 to 95 % with 20 groups a fold and more. Where each fold was
trained with several seeds, all answers of a seed count like those of another, and a group stays the
unit of chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd

from reports.arrays import UNDEFINED, FloatArray, Interval
from reports.evaluation.bootstrap import interval, resample
from reports.evaluation.evaluate import summarise
from reports.evaluation.metrics import select
from reports.evaluation.paired import Difference, difference, holm, p_value, read_pair
from reports.evaluation.sample import (
    FOLD,
    REPEAT,
    Sample,
    classes_of,
    evaluated,
    read_sample,
    weigh,
)
from reports.evaluation.settings import ComparedBy
from resnext.contracts.formatting import percent

OF_ANSWERS = select(get_args(ComparedBy))
(DIFFERENCE,) = select(["balanced_accuracy"])
"""What recipes are compared by."""
AUROC, LOG_LOSS = select(["auroc", "log_loss"])
FOLD_AUROC = replace(
    AUROC,
    name="auroc_mean_of_folds",
    title="AUROC, mean of folds",
    meaning="the mean of the folds' own: 1 separates perfectly, 0.5 is chance",
)
POOLED_AUROC = replace(
    AUROC,
    name="auroc_pooled",
    title="AUROC, pooled",
    meaning="of all answers together, though each fold's network has a scale of its own",
)
COMPARED = (DIFFERENCE, *(each for each in OF_ANSWERS if each is not DIFFERENCE))
COMPARED += (FOLD_AUROC, POOLED_AUROC, LOG_LOSS)
"""The scores of a recipe, in the order of the columns."""
RANDOM = select(["accuracy", "balanced_accuracy"])
"""What is said of a random split."""
CLEAR = 0.05
"""From this adjusted p on two recipes are not told apart."""


class FoldMean(NamedTuple):
    """Hold the mean of a score over folds, and what its interval is made from."""

    value: float
    draws: FloatArray
    """(B,), groups drawn within each fold."""
    groups: int
    folds: int
    """How many it is defined in."""

    @property
    def bounds(self) -> Interval:
        """Give its interval."""
        return interval(self.draws, self.value, self.groups, folds=self.folds)


def compare(
    pooled: Mapping[str, pd.DataFrame], random: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Give the scores of each recipe, and how much better each is than the first.

    Columns: recipe, n (images), groups, seeds, then each of COMPARED with `_low` and `_high`, then
    `seed_spread`, the standard deviation of the seeds' balanced accuracies. Then `difference` of
    the balanced accuracy, `difference_low`, `difference_high`, `not_better`, the share of the
    draws in which it is not better, `p`, and `p_holm`, adjusted for the number of recipes. Then the
    differences of the other scores, as `accuracy_difference` with `_low` and `_high`. All of these
    are NaN for the first recipe, and wherever they are undefined.

    `random` holds what was predicted on a random split; its scores stand in `random_n`,
    `random_accuracy` and `random_balanced_accuracy`, with intervals.

    Raises:
        InputError: the recipes were not tested on the same images.
    """
    tables = {name: _numbered(table) for name, table in pooled.items()}
    means = {name: fold_mean(table) for name, table in tables.items()}
    first = next(iter(tables))
    rows = [_row(name, tables[name], means[name]) for name in tables]
    for row, name in zip(rows, tables, strict=True):
        row |= _differences(*((tables[each], means[each]) for each in (first, name)))
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    if random:
        rows = [row | _random(random[row["recipe"]]) for row in rows]
    return pd.DataFrame(rows)


def verdict(table: pd.DataFrame) -> list[str]:
    """Say in a line for each further recipe whether it is better than the first."""
    first, *others = table.to_dict("records")
    return [_sentence(row, first["recipe"]) for row in others]


def random_verdict(table: pd.DataFrame) -> list[str]:
    """Say of each recipe what a random split reports beside what unseen groups say, if known."""
    if "random_accuracy" not in table:
        return []
    return [
        f"{row['recipe']}: a random split says {percent(row['random_accuracy'], ' ')}, unseen "
        f"groups {percent(row['accuracy'], ' ')}."
        for row in table.to_dict("records")
    ]


def score_of(predictions: pd.DataFrame) -> float:
    """Give what recipes are compared by, of the test part of predictions; NaN without an image."""
    return float(DIFFERENCE.compute(weigh(read_sample(predictions, classes_of(predictions))))[0])


def fold_mean(table: pd.DataFrame) -> FoldMean:
    """Give the AUROC as the mean over folds and seeds; a fold that holds one class is left out.

    Equal tables of images give the same draws, so that two recipes' can be subtracted.
    """
    values, drawn, groups = [], [], 0
    folds = table.sort_values("path", kind="stable").groupby(FOLD)
    for number, (_, fold) in enumerate(folds):
        samples = [read_sample(rows, classes_of(rows)) for _, rows in fold.groupby(REPEAT)]

        def mean(
            weights: FloatArray | None = None, samples: list[Sample] = samples
        ) -> dict[str, FloatArray]:
            found = [AUROC.compute(weigh(sample, weights)) for sample in samples]
            return {"auroc": np.mean(found, axis=0)}

        value = float(mean()["auroc"][0])
        if not math.isnan(value):
            values.append(value)
            drawn.append(resample(samples[0], mean, seed=number)["auroc"])
            groups += samples[0].group_count
    if not values:
        return FoldMean(math.nan, np.full(1, np.nan), 0, 0)
    return FoldMean(float(np.mean(values)), np.mean(drawn, axis=0), groups, len(values))


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Number fold and seed (`repeat`) of a table that comes from one of each."""
    return table.assign(**{name: 1 for name in (FOLD, REPEAT) if name not in table})


def _row(name: str, table: pd.DataFrame, of_folds: FoldMean) -> dict[str, Any]:
    sample = read_sample(table, classes_of(table))
    row: dict[str, Any] = {"recipe": name, "n": table["path"].nunique()}
    row |= {"groups": sample.group_count, "seeds": table[REPEAT].nunique()}
    found = _scores(sample)
    found |= {FOLD_AUROC.name: of_folds.value, f"{FOLD_AUROC.name}_ci95": of_folds.bounds}
    row |= _columns(found, [each.name for each in COMPARED])
    return row | {"seed_spread": _spread(table)}


def _scores(sample: Sample) -> dict[str, Any]:
    """Compute those scores that are made from all answers together."""

    def losses(weights: FloatArray) -> dict[str, FloatArray]:
        return {"loss": LOG_LOSS.compute(weigh(sample, weights))}

    draws = {LOG_LOSS: resample(sample, losses)["loss"]} if len(sample) else {}
    return summarise(sample, [*OF_ANSWERS, POOLED_AUROC, LOG_LOSS], draws)


def _columns(found: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> dict[str, Any]:
    """Write each score with its interval into three columns."""
    row: dict[str, Any] = {}
    for name in names:
        low, high = found[f"{name}_ci95"] or UNDEFINED
        column = f"{prefix}{name}"
        row |= {column: found[name], f"{column}_low": low, f"{column}_high": high}
    return row


def _spread(table: pd.DataFrame) -> float:
    """Give the standard deviation of the seeds' balanced accuracies; NaN of one seed."""
    values = [score_of(rows) for _, rows in table.groupby(REPEAT)]
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _differences(
    first: tuple[pd.DataFrame, FoldMean], other: tuple[pd.DataFrame, FoldMean]
) -> dict[str, Any]:
    """Compare a recipe with the first by every score but the pooled AUROC."""
    metrics = [each for each in COMPARED if each not in (FOLD_AUROC, POOLED_AUROC)]
    found: dict[str, Difference] = {each.name: Difference() for each in metrics}
    found[FOLD_AUROC.name], p = Difference(), math.nan
    if other[0] is not first[0]:
        pair = read_pair(first[0], other[0])
        found = {each.name: difference(*pair, each) for each in metrics}
        found[FOLD_AUROC.name] = _of_folds(first[1], other[1])
        p = p_value(*pair, DIFFERENCE)
    apart = found.pop(DIFFERENCE.name)
    names = ("difference", "difference_low", "difference_high", "not_better")
    row = dict(zip(names, apart, strict=True)) | {"p": p, "p_holm": math.nan}
    for name, (value, low, high, _) in found.items():
        column = f"{name}_difference"
        row |= {column: value, f"{column}_low": low, f"{column}_high": high}
    return row


def _of_folds(first: FoldMean, other: FoldMean) -> Difference:
    """Subtract two means of the same draws."""
    value, draws = other.value - first.value, other.draws - first.draws
    return Difference(value, *other._replace(value=value, draws=draws).bounds)


def _random(table: pd.DataFrame) -> dict[str, Any]:
    """Give the scores on a random split."""
    sample = read_sample(table, classes_of(table))
    found = summarise(sample, RANDOM, {})
    counts = {"random_n": evaluated(table)["path"].nunique()}
    return counts | _columns(found, [each.name for each in RANDOM], "random_")


def _sentence(row: dict[Any, Any], first: str) -> str:
    """Say what the interval of a difference and its adjusted p allow to say."""
    value, low, high = row["difference"], row["difference_low"], row["difference_high"]
    if pd.isna(low):
        same = f"their balanced accuracies differ by {100 * value:.1f} points in every draw"
        drawn = row["groups"] > 1 and not pd.isna(row["not_better"])
        why = same if drawn else "too few groups"
        return f"{row['recipe']} and {first} have no interval between them: {why}."
    clear = not row["p_holm"] >= CLEAR
    better = "better than" if low > 0 else "worse than" if high < 0 else ""
    signed = "+" if value > 0 else ""
    return (
        f"{row['recipe']} is {better if better and clear else 'not told apart from'} {first}: "
        f"balanced accuracy {signed}{100 * value:.1f} points "
        f"(95 %: {100 * low:.1f} to {100 * high:.1f}; adjusted p {chance(row['p_holm'])}); "
        f"{percent(row['balanced_accuracy'], ' ')} on images of {row['groups']:.0f} groups."
    )


def chance(p: float) -> str:
    """Write a p value: three decimals, or that it is smaller."""
    return "n/a" if math.isnan(p) else "below 0.001" if p < 0.001 else f"{p:.3f}"
