"""Split the training part of a split once more, so that settings can be chosen inside it.

Whole groups are placed, by class, whatever strategy the split itself has. What that split tests on
takes part in nothing.
"""

from __future__ import annotations

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import SPLIT_COLUMNS
from resnext.data.split.draw import COPY_HELD_OUT, place
from resnext.data.split.originals import originals
from resnext.data.split.settings import UNUSED

SCORED = 0.25
"""The share of the training part that settings are scored on."""
HELD_OUT = "tested on by the split around it"
FOLDS = 5
"""Into so many the originals are divided, or into fewer where a class has fewer groups."""


def split_inside(split: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Part the train and val images of a split into train, val and test; the others are unused.

    Where the split has a val part, the inner one has one of the same share. Val and test hold
    originals alone.

    Raises:
        InputError: a class has fewer groups than there are parts.
    """
    inside = split["split"].isin(("train", "val"))
    images = split[inside].assign(unit=split["group"].where(split["group"] != "", split["path"]))
    counted = images[images["copy"].fillna(0) == 0]
    val = float((counted["split"] == "val").mean())
    shares = {"train": (1 - SCORED) * (1 - val), "val": (1 - SCORED) * val, "test": SCORED}
    _require_groups(images, counted, sum(share > 0 for share in shares.values()))
    placed = images["unit"].map(place(counted, shares, seed)).fillna("train")
    copies = (placed != "train") & (images["copy"].fillna(0) > 0)
    parts = placed.mask(copies, UNUSED).reindex(split.index).fillna(UNUSED)
    why = copies.map({True: COPY_HELD_OUT, False: ""}).reindex(split.index)
    own = split["reason"] if "reason" in split else pd.Series("", split.index)  # a fold has none
    reasons = why.fillna(own.where(split["split"] != "test", HELD_OUT))
    return split.assign(split=parts, reason=reasons)[SPLIT_COLUMNS]


def folds_of_originals(split: pd.DataFrame, seed: int = 0) -> pd.Series[int]:
    """Say in which fold, from 1 on, each original is tested; NA for other images, and unused ones.

    They are the folds of the split, if it has any. Else whole groups are placed, by class. All are
    NA where there is one class, or a class with one group.
    """
    used = originals(split[split["split"] != UNUSED])
    if "fold" in split:
        return split["fold"].where(split.index.isin(used.index)).astype("Int64")
    counted = used.assign(unit=used["group"].where(used["group"] != "", used["path"]))
    groups = counted.groupby("label")["unit"].nunique()
    count = min(FOLDS, int(groups.min())) if len(groups) > 1 else 0
    if count < 2:
        return pd.Series(pd.NA, split.index, dtype="Int64")
    placed = place(counted, {str(n): 1 / count for n in range(1, count + 1)}, seed)
    return counted["unit"].map(placed).astype("int64").reindex(split.index).astype("Int64")


def _require_groups(images: pd.DataFrame, counted: pd.DataFrame, needed: int) -> None:
    groups = counted.groupby("label")["unit"].nunique()
    groups = groups.reindex(sorted(images["label"].unique()), fill_value=0)
    few = groups[groups < needed]
    if len(few):
        raise InputError(
            "trials",
            f"go with at least {needed} groups of each class in the training part of a fold",
            first_few(f"{count} in {label!r}" for label, count in few.items()),
            "Leave it out, or add images.",
        )
