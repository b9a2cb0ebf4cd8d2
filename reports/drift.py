"""Hold new pictures against those that a model was made with: class shares and mean confidence.

New pictures that are of other classes, or that the model is less sure about, are a sign that they
differ from what it learnt from. They are no proof that it is wrong about them.

Confidence is compared with that on held-out pictures only: on pictures that a network was trained
on, and on others of the same patients, it is too high to compare with. The validation part, by
which an epoch may have been chosen, is taken with the test part, for more pictures.

Pictures of one group (patient) resemble each other, so that a group is the unit of chance, as in
`reports.evaluation`, whose intervals these are. A picture without a group is a group of its own.
If several of those show one patient, the intervals are too narrow.

One test says whether class shares differ, so that many classes make no more false alarms than
two: Pearson's chi-square of the groups, each counted once, for the class that most of its
pictures have. Its distribution is not that of the formula, which few groups do not follow, but
that of random tables of the same margins, as if groups had been dealt to the two sides by lot.
Source: https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.chi2_contingency.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import MonteCarloMethod, chi2_contingency

from reports.drift_note import FEWEST, describe
from reports.evaluation.bootstrap import SEED, UNDEFINED, Interval, draw_counts, interval
from reports.evaluation.sample import FloatArray, IntArray, classes_of, group_codes
from reports.evaluation.wilson import share_interval

TABLES = 9999
"""Random tables that the test draws."""
TEST = f"Pearson's chi-square of groups, {TABLES} random tables of the same margins"

Kind = Literal["predicted", "true"]
REFERENCES: dict[str, str] = {"predicted": "held-out pictures", "true": "training part"}


def of_batch(
    batch: pd.DataFrame, held_out: pd.DataFrame, split: pd.DataFrame, known: Sequence[str] = ()
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Hold a model's answers to new pictures against its answers to its held-out ones.

    Their predicted classes are compared, since the true ones of new pictures are not known: what a
    model gets wrong as often in both makes no difference. The true classes of its training part
    stand beside them.

    Args:
        batch: Rows of batch_predictions.csv.
        held_out: Rows of predictions.csv.
        split: Rows of split.csv.
        known: Paths of the batch that the model's own data hold, which are left out.
    """
    answered = batch[batch["status"] == "ok"]
    new = answered[~answered["path"].isin(list(known))].assign(group="")
    old = held_out[held_out["status"] == "ok"]
    sides = _classed(old, "predicted"), _classed(new, "predicted")
    shares = class_shares(*sides, _training(split), classes_of(batch))
    confidence = compare_confidence(old, new)
    return _found("predicted", *sides, shares, confidence, len(answered) - len(new)), shares


def since_training(
    new: pd.DataFrame, held_out: pd.DataFrame, split: pd.DataFrame, known: Sequence[str] = ()
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Hold new pictures whose classes are known against those that a model was trained on.

    Their true classes are compared with those of its training part, copies counted on both sides;
    the confidence of its answers with that on its held-out pictures.

    Args:
        new: Rows as in predictions.csv, its answers to the new pictures.
        held_out: Rows of its predictions.csv.
        split: Rows of its split.csv.
        known: New pictures, by path, of groups that it was trained on: their confidence is too
            high to compare, and left out.
    """
    old, answered = (rows[rows["status"] == "ok"] for rows in (held_out, new))
    unseen = answered[~answered["path"].isin(list(known))]
    sides = _training(split), _classed(new, "label")
    shares = class_shares(*sides, _training(split), classes_of(held_out))
    confidence = compare_confidence(old, unseen)
    return _found("true", *sides, shares, confidence, len(answered) - len(unseen)), shares


def class_shares(
    reference: pd.DataFrame,
    new: pd.DataFrame,
    training: pd.DataFrame,
    classes: Sequence[str] = (),
) -> pd.DataFrame:
    """Give the share of each class (0..1) on both sides, a row a class, sorted by name.

    The tables have the columns path, group, class; the classes are those of all tables and
    `classes`. Columns: class, then `<side>_n` and `<side>_share` of reference, new and training,
    and `new_share_low`, `new_share_high`, the interval of 95 %. A share is NaN where its side is
    empty; an interval also where all pictures, of at least two, are of one group.
    """
    sides = {"reference": reference, "new": new, "training": training}
    names = sorted({*classes, *(name for side in sides.values() for name in side["class"])})
    columns: dict[str, Any] = {"class": pd.Series(names, dtype=object)}
    for side, rows in sides.items():
        counts = rows["class"].value_counts().reindex(names, fill_value=0).to_numpy()
        columns[f"{side}_n"] = counts
        columns[f"{side}_share"] = counts / len(rows) if len(rows) else math.nan
        if side == "new":
            bounds = _share_intervals(rows, names)
            columns["new_share_low"] = [low for low, _ in bounds]
            columns["new_share_high"] = [high for _, high in bounds]
    return pd.DataFrame(columns)


def compare_shares(reference: pd.DataFrame, new: pd.DataFrame) -> float | None:
    """Give the probability that chance makes class shares differ as much; see the module.

    None where a side has fewer than 10 groups, or where all groups are of one class.
    """
    sides = [_group_classes(rows) for rows in (reference, new)]
    names = sorted({name for side in sides for name in side})
    if min(map(len, sides)) < FEWEST or len(names) < 2:
        return None
    table = np.array([[side.count(name) for name in names] for side in sides])
    lots = MonteCarloMethod(n_resamples=TABLES, rng=np.random.default_rng(SEED))
    return float(chi2_contingency(table, correction=False, method=lots).pvalue)


def compare_confidence(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, Any]:
    """Compare mean confidences (0..1) of two tables (path, group, confidence), new minus old.

    Gives n, groups and mean of both, and difference, low, high of its interval of 95 %, each side
    drawn by itself. A mean is None where its side is empty, the interval where a side has fewer
    than 2 groups or all draws are alike.
    """
    low, high = UNDEFINED
    means = [float(side["confidence"].mean()) if len(side) else math.nan for side in (old, new)]
    groups = [_group_count(side) for side in (old, new)]
    difference = means[1] - means[0]
    if min(groups) > 1:
        drawn = [_drawn_means(side, SEED + place) for place, side in enumerate((old, new))]
        low, high = interval(drawn[1] - drawn[0], difference, min(groups))
    values = {"reference": means[0], "new": means[1], "difference": difference}
    values |= {"low": low, "high": high}
    counts = {"reference_n": len(old), "reference_groups": groups[0]}
    counts |= {"new_n": len(new), "new_groups": groups[1]}
    return {**counts, **{name: _number(value) for name, value in values.items()}}


def _found(
    kind: Kind,
    reference: pd.DataFrame,
    new: pd.DataFrame,
    shares: pd.DataFrame,
    confidence: dict[str, Any],
    left_out: int,
) -> dict[str, Any]:
    """Put together drift.json; `left_out` pictures count in no mean confidence."""
    rows = shares.to_dict("records")
    found = {
        "classes": kind,
        "reference": _counts(reference) | {"what": REFERENCES[kind]},
        "new": _counts(new),
        "left_out": left_out,
        "shares": [{str(name): _number(value) for name, value in row.items()} for row in rows],
        "test": {"method": TEST, "p_value": compare_shares(reference, new)},
        "confidence": confidence,
    }
    return found | {"words": describe(found)}


def _classed(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows[["path", "group", column]].rename(columns={column: "class"})


def _training(split: pd.DataFrame) -> pd.DataFrame:
    return _classed(split[split["split"] == "train"], "label")


def _counts(rows: pd.DataFrame) -> dict[str, Any]:
    return {"pictures": len(rows), "groups": _group_count(rows)}


def _group_count(rows: pd.DataFrame) -> int:
    return len(np.unique(group_codes(rows)))


def _group_classes(rows: pd.DataFrame) -> list[str]:
    """Give each group's commonest class; of equally common ones the first by name."""
    if not len(rows):
        return []
    counts = pd.crosstab(group_codes(rows), rows["class"].to_numpy(dtype=object))
    return [str(name) for name in counts.idxmax(axis=1)]


def _share_intervals(rows: pd.DataFrame, names: Sequence[str]) -> list[Interval]:
    groups, classes = group_codes(rows), rows["class"].to_numpy(dtype=object)
    return [share_interval(groups, classes == name) for name in names]


def _drawn_means(rows: pd.DataFrame, seed: int) -> FloatArray:
    values = rows["confidence"].to_numpy(dtype=np.float64)[:, np.newaxis]
    return _drawn(values, group_codes(rows), seed)[:, 0]


def _drawn(values: FloatArray, groups: IntArray, seed: int) -> FloatArray:
    """Average values (N, M) over the pictures of each draw of groups, (B, M)."""
    count = int(groups.max()) + 1
    sums, sizes = np.zeros((count, values.shape[1])), np.bincount(groups)
    np.add.at(sums, groups, values)
    draws = draw_counts(count, len(values), seed=seed)
    return np.concatenate(
        [(weights @ sums) / (weights @ sizes)[:, np.newaxis] for weights in draws]
    )


def _number(value: Any) -> Any:
    """Give None for NaN, as JSON knows none."""
    return None if isinstance(value, float) and math.isnan(value) else value
