"""Compare new images with those that a model was made with: class shares and mean confidence.

New images that are of other classes, or that the model is less sure about, are a sign that they
differ from what it learnt from. They are no proof that it is wrong about them.

Confidence is compared with that on held-out images only: on images that a network was trained on,
and on others of the same groups, it is too high to compare with. The validation part, by which an
epoch may have been chosen, is taken with the test part, for more images.

Images of one group resemble each other, so that a group is the unit of chance, as in
`reports.evaluation`, whose intervals these are. An image without a group is a group of its own.
If several of those show one patient, the intervals are too narrow.

Two things are tested, the class shares and the difference of the mean confidences; each is wrong in
1 of 20 cases where nothing changed. The test of class shares is one, so that many classes make no
more false alarms than two: Pearson's chi-square of the groups, each counted once, for the class
that most of its images have. Its distribution is that of random tables of the same margins, as if
groups had been dealt to the two sides by lot; few groups do not follow the formula's.
Source: https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.chi2_contingency.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import MonteCarloMethod, chi2_contingency

from reports.arrays import UNDEFINED, FloatArray
from reports.evaluation.bootstrap import SEED, draw_counts, interval
from reports.evaluation.intervals import share_interval
from reports.evaluation.sample import classes_of, group_codes
from resnext.contracts.formatting import (
    percent,
    percent_interval,
    plural,
    printable,
    undefined,
)
from resnext.contracts.threshold import UNLIKE, UNLIKE_FROM

FEWEST = 10
"""So many groups are needed on a side to compare them."""
SIGNIFICANCE = 0.05
TABLES = 9999
"""Random tables that the test draws."""
TEST = f"Pearson's chi-square of groups, {TABLES} random tables of the same margins"

Kind = Literal["predicted", "true"]
REFERENCES: dict[Kind, str] = {"predicted": "held-out images", "true": "training part"}
Drift = tuple[dict[str, Any], pd.DataFrame]
"""What drift.json and drift.csv hold."""


def of_batch(
    batch: pd.DataFrame, held_out: pd.DataFrame, split: pd.DataFrame, known: Sequence[str] = ()
) -> Drift:
    """Compare a model's answers to new images with its answers to its held-out ones.

    Their predicted classes are compared, since the true ones of new images are not known: what a
    model gets wrong as often in both makes no difference. The true classes of its training part
    are given too.

    Args:
        batch: Rows of batch_predictions.csv.
        held_out: Rows of predictions.csv.
        split: Rows of split.csv.
        known: Paths of the batch that the model's own data hold, which are left out.
    """
    answered, old = _answered(batch), _answered(held_out)
    new = answered[~answered["path"].isin(list(known))].assign(group="")
    sides = _classed(old, "predicted"), _classed(new, "predicted")
    shares = class_shares(*sides, _training(split), classes_of(batch))
    found, shares = _found(
        "predicted", *sides, shares, compare_confidence(old, new), len(answered) - len(new)
    )
    unlike = share_of_unlike(new)
    words = " ".join(filter(None, [found["words"], _describe_unlike(unlike)]))
    return found | {"unlike": unlike, "words": words}, shares


def since_training(
    new: pd.DataFrame, held_out: pd.DataFrame, split: pd.DataFrame, known: Sequence[str] = ()
) -> Drift:
    """Compare new images whose classes are known with those that a model was trained on.

    Their true classes are compared with those of its training part, copies counted on both sides;
    the confidence of its answers with that on its held-out images.

    Args:
        new: Rows as in predictions.csv, its answers to the new images.
        held_out: Rows of its predictions.csv.
        split: Rows of its split.csv.
        known: New images, by path, of groups that it was trained on: their confidence is too
            high to compare, and left out.
    """
    answered, training = _answered(new), _training(split)
    unseen = answered[~answered["path"].isin(list(known))]
    sides = training, _classed(answered, "label")
    shares = class_shares(*sides, training, classes_of(held_out))
    confidence = compare_confidence(_answered(held_out), unseen)
    return _found("true", *sides, shares, confidence, len(answered) - len(unseen))


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
    empty; an interval also where all images, of at least two, are of one group.
    """
    sides = {"reference": reference, "new": new, "training": training}
    names = sorted({*classes, *(name for side in sides.values() for name in side["class"])})
    columns: dict[str, Any] = {"class": pd.Series(names, dtype=object)}
    for side, rows in sides.items():
        counts = rows["class"].value_counts().reindex(names, fill_value=0).to_numpy()
        columns[f"{side}_n"] = counts
        columns[f"{side}_share"] = counts / len(rows) if len(rows) else math.nan
        if side == "new":
            groups, of = group_codes(rows), rows["class"].to_numpy(dtype=object)
            bounds = [share_interval(groups, of == name) for name in names]
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
    drawn by itself. A mean is NaN where its side is empty, the interval where a side has fewer
    than 2 groups or all draws are alike.
    """
    means = [float(side["confidence"].mean()) if len(side) else math.nan for side in (old, new)]
    groups = [_group_count(side) for side in (old, new)]
    difference = means[1] - means[0]
    low, high = UNDEFINED
    if min(groups) > 1:
        drawn = [_drawn_means(side, SEED + number) for number, side in enumerate((old, new))]
        low, high = interval(drawn[1] - drawn[0], difference, min(groups))
    return {
        "reference_n": len(old),
        "reference_groups": groups[0],
        "new_n": len(new),
        "new_groups": groups[1],
        "reference": means[0],
        "new": means[1],
        "difference": difference,
        "low": low,
        "high": high,
    }


def share_of_unlike(new: pd.DataFrame) -> dict[str, Any] | None:
    """Give how many new images are farther from the training images than 95 % of held-out ones.

    Images, how many of them are unlike, their share (0..1), and low and high of its interval of
    95 %, NaN as `share_interval` has it. None where that is not known of any image.
    """
    column = new.get("unlike_training")
    if column is None or not column.notna().any():
        return None
    known = new[column.notna()]
    unlike = (known["unlike_training"] > UNLIKE_FROM).to_numpy()
    low, high = share_interval(group_codes(known), unlike)
    share = float(unlike.mean())
    counts = {"pictures": len(known), "unlike": int(unlike.sum())}
    return counts | {"share": share, "low": low, "high": high, "expected": 1 - UNLIKE_FROM}


def _describe_unlike(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    inside = percent_interval(found["share"], (found["low"], found["high"]))
    verb = "is" if found["unlike"] == 1 else "are"
    text = f"{found['unlike']:,} of {plural(found['pictures'], 'image')} {verb} {UNLIKE}: {inside}"
    if undefined(found["low"]) or found["low"] <= found["expected"]:
        return f"{text}. Of images like those held out 5 % would be."
    return f"{text}, more than the 5 % of images like those held out."


def describe(found: dict[str, Any]) -> str:
    """Say in a sentence or two what was found, and whether chance would explain it."""
    images, groups = found["new"]["pictures"], found["new"]["groups"]
    if not images and found["left_out"]:
        return "All these images were in the model's data already; drift is not measured."
    if not images:
        return "Drift: no image is new to the model."
    if groups < FEWEST:
        of = "" if groups == images else f" of {plural(groups, 'group')}"
        verb = "is" if images == 1 else "are"
        return f"Drift: {plural(images, 'new image')}{of} {verb} too few to tell."
    shares, confidence = _describe_shares(found), _describe_confidence(found["confidence"])
    return f"Drift: {shares}; {confidence}. {_explain(found)}"


def _describe_shares(found: dict[str, Any]) -> str:
    """Say the share of the class that changed most, of equal ones the one that grew."""

    def change(row: dict[str, Any]) -> tuple[float, float]:
        new, reference = (
            0.0 if undefined(row[name]) else row[name] for name in ("new_share", "reference_share")
        )
        return round(abs(new - reference), 9), new - reference

    row = max(found["shares"], key=change)
    new, reference, training = (
        percent(row[f"{side}_share"], " ", 0) for side in ("new", "reference", "training")
    )
    low, high = row["new_share_low"], row["new_share_high"]
    inside = "" if undefined(low) else f" ({100 * low:.0f} to {100 * high:.0f})"
    predicted = found["classes"] == "predicted"
    text = (
        f"of the {plural(found['new']['pictures'], 'new image')} {new} are "
        f"{'predicted ' if predicted else ''}{printable(row['class'])}{inside}, "
        f"of the {found['reference']['what']} {reference}"
    )
    return f"{text} ({training} of the training part are of that class)" if predicted else text


def _describe_confidence(confidence: dict[str, Any]) -> str:
    if undefined(confidence["difference"]):
        return "there is no mean confidence to compare"
    new, reference, difference, low, high = (
        f"{confidence[name]:z.3f}" for name in ("new", "reference", "difference", "low", "high")
    )
    bounds = "" if undefined(confidence["low"]) else f", {low} to {high}"
    return (
        f"mean confidence {new} against {reference} on the held-out images "
        f"(difference {difference}{bounds})"
    )


def _explain(found: dict[str, Any]) -> str:
    chance, low = found["test"]["p_value"], found["confidence"]["low"]
    if chance is None and undefined(low):
        return "Whether chance explains it can't be told."
    shown = "" if chance is None else f" (p {'< 0.001' if chance < 0.001 else f'= {chance:.3f}'})"
    changed = [f"class shares{shown}"] if chance is not None and chance < SIGNIFICANCE else []
    if not undefined(low) and not low <= 0 <= found["confidence"]["high"]:
        changed.append("mean confidence")
    if not changed:
        return f"Such differences may be chance{shown}."
    verb = "differs" if changed == ["mean confidence"] else "differ"
    return f"The {' and the '.join(changed)} {verb} by more than chance explains."


def _found(
    kind: Kind,
    reference: pd.DataFrame,
    new: pd.DataFrame,
    shares: pd.DataFrame,
    confidence: dict[str, Any],
    left_out: int,
) -> Drift:
    """Put together what was found; `left_out` images count in no mean confidence."""
    sides = [{"pictures": len(rows), "groups": _group_count(rows)} for rows in (reference, new)]
    found: dict[str, Any] = {
        "classes": kind,
        "reference": sides[0] | {"what": REFERENCES[kind]},
        "new": sides[1],
        "left_out": left_out,
        "shares": shares.to_dict("records"),
        "test": {"method": TEST, "p_value": compare_shares(reference, new)},
        "confidence": confidence,
    }
    return found | {"words": describe(found)}, shares


def _answered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["status"] == "ok"]


def _classed(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows[["path", "group", column]].rename(columns={column: "class"})


def _training(split: pd.DataFrame) -> pd.DataFrame:
    return _classed(split[split["split"] == "train"], "label")


def _group_count(rows: pd.DataFrame) -> int:
    return len(np.unique(group_codes(rows)))


def _group_classes(rows: pd.DataFrame) -> list[str]:
    """Give each group's commonest class; of equally common ones the first by name."""
    if not len(rows):
        return []
    counts = pd.crosstab(group_codes(rows), rows["class"].to_numpy(dtype=object))
    return [str(name) for name in counts.idxmax(axis=1)]


def _drawn_means(rows: pd.DataFrame, seed: int) -> FloatArray:
    """Give the mean confidence of each draw of groups, (B,)."""
    groups = group_codes(rows)
    sums, sizes = np.bincount(groups, weights=rows["confidence"]), np.bincount(groups)
    draws = draw_counts(len(sizes), len(rows), seed=seed)
    return np.concatenate([(weights @ sums) / (weights @ sizes) for weights in draws])
