"""Hold new pictures against those that a model was made with: class shares and mean confidence.

New pictures that are of other classes, or that the model is less sure about, are a sign that they
differ from what it learnt from. They are no proof that it is wrong about them.

Confidence is compared with that on held-out pictures only: on pictures that a network was trained
on, and on others of the same patients, it is too high to compare with. The validation part, by
which an epoch may have been chosen, is taken with the test part, for more pictures.

Pictures of one group (patient) resemble each other, so that a group is the unit of chance, as in
`reports.evaluation`, whose intervals these are. A picture without a group is a group of its own.
If several of those show one patient, the intervals are too narrow.

Two things are looked at, this test of the class shares and the interval of the difference of mean
confidences; each is wrong in 1 of 20 cases where nothing changed. The interval of a single class
decides nothing: of many classes, one leaves its interval by chance alone.

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

from reports.arrays import FloatArray
from reports.evaluation.bootstrap import SEED, UNDEFINED, Interval, draw_counts, interval
from reports.evaluation.sample import classes_of, group_codes
from reports.evaluation.wilson import share_interval
from resnext.contracts.formatting import NOT_AVAILABLE, plural, printable, undefined

FEWEST = 10
"""So many groups are needed on a side to tell anything."""
SIGNIFICANCE = 0.05
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
    new, left_out = _without(_answered(batch), known)
    new, old = new.assign(group=""), _answered(held_out)
    sides = _classed(old, "predicted"), _classed(new, "predicted")
    shares = class_shares(*sides, _training(split), classes_of(batch))
    return _found("predicted", *sides, shares, compare_confidence(old, new), left_out), shares


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
    answered = _answered(new)
    unseen, left_out = _without(answered, known)
    sides = _training(split), _classed(answered, "label")
    shares = class_shares(*sides, _training(split), classes_of(held_out))
    confidence = compare_confidence(_answered(held_out), unseen)
    return _found("true", *sides, shares, confidence, left_out), shares


def _answered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["status"] == "ok"]


def _without(rows: pd.DataFrame, paths: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Leave out the rows of these paths, and count them."""
    left_out = rows["path"].isin(list(paths))
    return rows[~left_out], int(left_out.sum())


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


def describe(found: dict[str, Any]) -> str:
    """Say in a sentence or two what was found, and whether chance would explain it."""
    pictures, groups = found["new"]["pictures"], found["new"]["groups"]
    if not pictures:
        return "Drift: no picture is new to the model."
    if groups < FEWEST:
        said = plural(pictures, "new picture")
        of = "" if groups == pictures else f" of {plural(groups, 'group')}"
        return f"Drift: {said}{of} {'is' if pictures == 1 else 'are'} too few to tell."
    sentence = f"Drift: {_describe_shares(found)}; {_describe_confidence(found['confidence'])}."
    return f"{sentence} {_explain(found)}"


def _describe_shares(found: dict[str, Any]) -> str:
    """Say the share of the class that changed most, of equal ones the one that grew."""
    row = max(found["shares"], key=_change)
    predicted = "predicted " if found["classes"] == "predicted" else ""
    low, high = row["new_share_low"], row["new_share_high"]
    inside = "" if undefined(low) else f" ({100 * low:.0f} to {100 * high:.0f})"
    said = f"of the {plural(found['new']['pictures'], 'new picture')} "
    said += f"{_rounded(row['new_share'])} are {predicted}{printable(row['class'])}{inside}, "
    said += f"of the {found['reference']['what']} {_rounded(row['reference_share'])}"
    if predicted:
        said += f" ({_rounded(row['training_share'])} of the training part are of that class)"
    return said


def _rounded(share: float | None) -> str:
    return NOT_AVAILABLE if undefined(share) else f"{100 * float(share or 0):.0f} %"


def _change(row: dict[str, Any]) -> tuple[float, float]:
    change = (row["new_share"] or 0.0) - (row["reference_share"] or 0.0)
    return round(abs(change), 9), change


def _describe_confidence(confidence: dict[str, Any]) -> str:
    if confidence["difference"] is None:
        return "there is no mean confidence to compare"
    values = {name: f"{confidence[name]:z.3f}" for name in ("difference", "new", "reference")}
    bounds = ""
    if confidence["low"] is not None:
        bounds = f", {confidence['low']:z.3f} to {confidence['high']:z.3f}"
    return (
        f"mean confidence {values['new']} against {values['reference']} on the held-out pictures "
        f"(difference {values['difference']}{bounds})"
    )


def _explain(found: dict[str, Any]) -> str:
    chance, low = found["test"]["p_value"], found["confidence"]["low"]
    if chance is None and low is None:
        return "Whether chance explains it can't be told."
    shown = "" if chance is None else f" (p {'< 0.001' if chance < 0.001 else f'= {chance:.3f}'})"
    changed = [f"the class shares{shown}"] if chance is not None and chance < SIGNIFICANCE else []
    if low is not None and not low <= 0 <= found["confidence"]["high"]:
        changed.append("the mean confidence")
    if not changed:
        return f"Chance explains such differences{shown}."
    verb = "differs" if changed == ["the mean confidence"] else "differ"
    said = " and ".join(changed)
    return f"{said[0].upper()}{said[1:]} {verb} by more than chance explains."


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
    """Give the mean confidence of each draw of groups, (B,)."""
    groups = group_codes(rows)
    sums, sizes = np.bincount(groups, weights=rows["confidence"]), np.bincount(groups)
    draws = draw_counts(len(sizes), len(rows), seed=seed)
    return np.concatenate([(weights @ sums) / (weights @ sizes) for weights in draws])


def _number(value: Any) -> Any:
    """Give None for NaN, as JSON knows none."""
    return None if isinstance(value, float) and math.isnan(value) else value
