"""List what a person should look at in a set of images, by the features of a frozen network.

These are near-duplicates that the hashes missed, groups that may be one, images of another kind,
and doubtful labels. It decides nothing, and opens no image.

The limits were set on the demonstration set and on 153 photographs of skin: an image that was
cropped by a tenth, blurred, made brighter or warmer has a likeness to itself of 0.7 or more in 9 of
10 cases, and 1 in 100 images has one of 0.7 with an image of another group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from resnext.contracts.formatting import percent
from resnext.data.doubts.labels import doubtful_labels, out_of_fold
from resnext.data.doubts.neighbours import Features, Neighbours, distances, find_neighbours
from resnext.data.manifest.decisions import DECIDED_COLUMNS, KEEP
from resnext.data.split.originals import originals
from resnext.data.split.settings import UNUSED

COLUMNS = ["rank", "kind", "path", "other", "score", "label", "suggested", "reason"]
NEAR, GROUPS, FAR, LABEL = "near-duplicate", "one group", "off-topic", "label"
KINDS = (NEAR, GROUPS, FAR, LABEL)
"""The kinds of doubts, in the order in which they are listed."""
HELD_OUT, FOLD = ("val", "test"), "fold"
ALIKE = 0.7  # from which likeness on two images of different groups may be one
MUTUAL = 0.75  # share of the images of two groups that must be nearest to the other group
LEAST = 2  # images that each of two such groups must have
OUTLYING = 5.0  # deviations from the median from which on a distance is odd
NORMAL = 1.4826  # times the median deviation is the standard deviation of a normal distribution

Floats = npt.NDArray[np.float64]


class Known(NamedTuple):
    """Hold what is known of N images: a table of path, label, group, split, sha256 and features.

    `probabilities` (N, C) are out-of-fold ones, the classes sorted, NaN where there is none; they
    are None where a quick model is to give them.
    """

    images: pd.DataFrame
    features: Features
    probabilities: Floats | None = None


def known_images(
    table: pd.DataFrame,
    features: Features,
    digests: Sequence[str],
    predictions: pd.DataFrame | None,
) -> Known:
    """Join the images of a split (with sha256) with their features, each content once.

    `predictions` are out-of-fold ones; those of several repeats count by their mean.
    """
    first = originals(table).sort_values("path").drop_duplicates("sha256").set_index("sha256")
    images = first.loc[list(digests)].reset_index()
    if predictions is None:
        return Known(images, np.asarray(features))
    columns = [f"p_{name}" for name in sorted(set(images["label"]))]
    if not set(columns) <= set(predictions.columns):
        return Known(images, np.asarray(features))
    mean = predictions.groupby("path")[columns].mean().reindex(images["path"])
    return Known(images, np.asarray(features), mean.to_numpy(dtype=np.float64))


def find_doubts(known: Known, decided: pd.DataFrame) -> pd.DataFrame:
    """List all doubts (`COLUMNS`), kind by kind, the greatest first in each.

    What a person `decided` to keep (sha256, kind, decision) is not listed again.
    """
    neighbours = find_neighbours(known.features, known.images["group"].tolist())
    found = {
        NEAR: near_duplicates(known.images, neighbours),
        GROUPS: one_group(known.images, neighbours),
        FAR: off_topic(known),
        LABEL: doubtful(known),
    }
    every = [table.assign(kind=kind) for kind, table in found.items() if len(table)]
    empty = pd.DataFrame(columns=[*COLUMNS[1:]])
    table = _without_kept(pd.concat(every or [empty], ignore_index=True), known.images, decided)
    return table.assign(rank=np.arange(1, len(table) + 1))[COLUMNS]


def near_duplicates(images: pd.DataFrame, neighbours: Neighbours) -> pd.DataFrame:
    """List pairs of different groups that are very alike, those across the split first."""
    rows, places = np.nonzero(neighbours.likeness >= ALIKE)
    ends = np.sort(np.stack([rows, neighbours.nearest[rows, places]], axis=1), axis=1)
    pairs = pd.DataFrame(ends, columns=["one", "two"])
    pairs = pairs.assign(score=neighbours.likeness[rows, places])
    pairs = pairs.sort_values("score", ascending=False, kind="stable")
    pairs = pairs.drop_duplicates(["one", "two"])
    one, two = (images.iloc[pairs[name]].reset_index(drop=True) for name in ("one", "two"))
    where = [_places(side) for side in (one, two)]
    held_out = where[0].isin([*HELD_OUT]) | where[1].isin([*HELD_OUT]) | (FOLD in images)
    used = (one["split"] != UNUSED) & (two["split"] != UNUSED)
    across = held_out & used & (where[0] != where[1])
    found = _rows(one, two["path"].tolist(), pairs["score"].to_numpy())
    found["reason"] = [
        f"very alike, in the groups {a} and {b}{', on both sides of the split' if crosses else ''}"
        f" ({first} and {second})"
        for a, b, first, second, crosses in zip(
            one["group"], two["group"], *where, across, strict=True
        )
    ]
    return found.assign(far=~across).sort_values(["far", "score"], ascending=[True, False])


def _places(images: pd.DataFrame) -> pd.Series[str]:
    """Say in which part of the split each image is, or in which fold it is tested."""
    if FOLD not in images:
        return images["split"]
    rows = zip(images["split"], images[FOLD], strict=True)
    names = [split if pd.isna(fold) else f"fold {fold:.0f}" for split, fold in rows]
    return pd.Series(names, images.index, dtype="str")


def one_group(images: pd.DataFrame, neighbours: Neighbours) -> pd.DataFrame:
    """List pairs of groups whose images are mutually nearest, by how alike these are.

    They must be more alike than images of different groups usually are.
    """
    groups, sizes = images["group"].to_numpy(), Counter(images["group"])
    nearest, likeness = neighbours.nearest[:, 0], neighbours.likeness[:, 0]
    links = pd.DataFrame({"group": groups, "to": groups[nearest], "score": likeness})
    links = links.assign(row=np.arange(len(links)))[np.isfinite(likeness)]
    ends = np.sort(links[["group", "to"]].to_numpy(dtype=str), axis=1)
    found, usual = [_rows(images.iloc[:0], "", 0.0)], links["score"].median()
    for _, mine in links.groupby([ends[:, 0], ends[:, 1]]):
        names = sorted({*mine["group"]})
        few = min(sizes[name] for name in names) < LEAST
        total = sum(sizes[name] for name in names)
        if len(names) < 2 or few or len(mine) < MUTUAL * total:  # of one name: not mutual
            continue
        a, b = names
        row = int(mine["row"].to_numpy()[mine["score"].argmax()])
        other = str(images["path"].iloc[nearest[row]])
        pair = _rows(images.iloc[[row]], other, mine["score"].mean())
        reason = f"{len(mine)} of {total} images of the groups {a} and {b} are most like the other"
        found.append(pair.assign(reason=f"{reason} group's"))
    table = pd.concat([each for each in found if len(each)] or found, ignore_index=True)
    return table[table["score"] >= usual].sort_values(["score", "path"], ascending=[False, True])


def off_topic(known: Known) -> pd.DataFrame:
    """List the images that lie far from all others; the score is in medians of that distance."""
    far = distances(known.features, known.images["group"].tolist()).astype(np.float64)
    median = np.nanmedian(far) if np.isfinite(far).any() else np.nan
    spread = NORMAL * np.nanmedian(np.abs(far - median)) if np.isfinite(median) else np.nan
    rows = np.flatnonzero(far > median + OUTLYING * spread)
    rows = rows[np.argsort(-far[rows], kind="stable")]
    found = _rows(known.images.iloc[rows], "", far[rows] / median)
    times = [f"{score:.1f}" for score in found["score"]]
    found["reason"] = [f"{each} times as far from its neighbours as is usual" for each in times]
    return found


def doubtful(known: Known) -> pd.DataFrame:
    """List images whose label out-of-fold predictions don't believe, with the likeliest class."""
    images, given = known.images, known.probabilities
    classes = sorted(set(images["label"]))
    labels = pd.Index(classes).get_indexer(pd.Index(images["label"])).astype(np.int64)
    if given is None:
        features = known.features.mean(axis=1)
        given = out_of_fold(features, labels, images["group"].tolist())
    there = np.flatnonzero(np.isfinite(given).all(axis=1))
    rows = there[doubtful_labels(labels[there], given[there])]
    own, likeliest = given[rows, labels[rows]], given[rows].argmax(axis=1)
    found = _rows(images.iloc[rows], "", 1 - own)
    found["suggested"] = [classes[each] for each in likeliest]
    found["reason"] = [
        f"predicted {classes[best]} ({percent(given[row, best], ' ')}) by a model that had not "
        f"seen it, {label} {percent(share, ' ')}"
        for row, best, label, share in zip(rows, likeliest, found["label"], own, strict=True)
    ]
    return found


def _rows(images: pd.DataFrame, other: Sequence[str] | str, score: Any) -> pd.DataFrame:
    """Lay out doubts about images."""
    table = images[["path", "label"]].reset_index(drop=True)
    return table.assign(other=other, score=score, suggested="", reason="")


def _without_kept(table: pd.DataFrame, images: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    """Leave out the doubts about an image that a person keeps, of all kinds or of this one.

    The label of an image to which a person gave one is in no doubt any more.
    """
    rows = zip(decided["sha256"], decided["kind"], decided["decision"], strict=True)
    pairs = {(digest, kind) for digest, kind, text in rows if text == KEEP}
    labels = decided["decision"].str.startswith("label:")
    pairs |= {(digest, LABEL) for digest in decided.loc[labels, "sha256"]}
    digest: Mapping[str, str] = dict(zip(images["path"], images["sha256"], strict=True))

    def is_kept(path: str, kind: str) -> bool:
        return bool(pairs & {(digest.get(path, ""), each) for each in ("", kind)})

    doubts = zip(table["path"], table["other"], table["kind"], strict=True)
    left = [not is_kept(one, kind) and not is_kept(other, kind) for one, other, kind in doubts]
    return table[np.array(left, dtype=bool)].reset_index(drop=True)


def to_be_decided(
    doubts: pd.DataFrame, images: pd.DataFrame, decided: pd.DataFrame
) -> pd.DataFrame:
    """Lay out a file of decisions to be filled in: those that were made, then a row an image."""
    pairs = doubts[doubts["other"] != ""]
    sides = [doubts[["rank", "path", "kind"]], pairs.assign(path=pairs["other"])]
    asked = pd.concat([side[["rank", "path", "kind"]] for side in sides])
    asked = asked.sort_values("rank", kind="stable").merge(images[["path", "sha256"]], on="path")
    asked = asked.drop_duplicates(["path", "kind"]).assign(decision="")
    return pd.concat([decided, asked], ignore_index=True)[DECIDED_COLUMNS]
