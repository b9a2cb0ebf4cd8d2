"""Count what leaks from train to test across a split.

Copies of a photograph, identical files, near-duplicates and pictures of one group are counted, for
a split and for the plain random one that a script would draw. It draws nothing and says nothing.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from resnext.data.split.draw import shuffled_parts
from resnext.data.split.settings import SplitSettings

USER_SHARES = (80.0, 0.0, 20.0)  # percent; what a plain random split takes
KINDS = {"copy": "photograph", "exact": "sha256", "near": "look", "group": "group"}


def count_leaks(
    pictures: pd.DataFrame, drawn: pd.DataFrame, held_out: str = "test", seen: str = "train"
) -> dict[str, Any]:
    """Count the pictures of one part that have something of themselves in another.

    `pictures` holds path, sha256, photograph, look, group; `drawn` path and split. `copy`: another
    file of the same photograph; `exact`: a file with the same bytes; `near`: a near-duplicate with
    other bytes; `group`: a picture of the same group; `any`: at least one of these. Shares are of
    the held-out pictures, 0..1, null where there is none.
    """
    rows = pictures.merge(drawn[["path", "split"]], on="path", validate="1:1")
    there, here = rows[rows["split"] == seen], rows[rows["split"] == held_out]
    crossing = pd.DataFrame({kind: crosses(here, there, kind) for kind in KINDS})
    crossing["any"] = crossing.any(axis=1)
    counts = {str(kind): int(count) for kind, count in crossing.sum().items()}
    return {f"{held_out}_pictures": len(here)} | {
        kind: {"count": count, "share": count / len(here) if len(here) else None}
        for kind, count in counts.items()
    }


def crosses(here: pd.DataFrame, there: pd.DataFrame, kind: str) -> pd.Series[bool]:
    """Tell which pictures here have a relative of one kind (`KINDS`) there."""
    column = KINDS[kind]
    if kind != "near":
        return here[column].isin(there[column])
    others = there.drop_duplicates(["look", "sha256"])["look"].value_counts()
    same = here["sha256"].isin(there["sha256"]).astype(int)
    return (here["look"] != "") & (here["look"].map(others).fillna(0) > same)


def script_split(pictures: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Draw the random 80/20 split over all pictures that a plain script draws, by the same seed.

    Like such a script it asks for nothing: a class may be missing from a part.
    """
    return pictures[["path"]].assign(
        split=shuffled_parts(len(pictures), USER_SHARES, settings.seed)
    )
