"""Find photographs that stand under two classes: identical files, near-duplicates, their copies.

Nobody but a person can tell which class is right, so that they are left out and named.
"""

from __future__ import annotations

import pandas as pd

CONFLICT = "label conflict"


def label_conflicts(pictures: pd.DataFrame) -> pd.Series[str]:
    """Say of each picture which one of another class it equals; empty where there is none.

    `pictures` holds path, label, sha256, photograph and look (empty where nothing is near), sorted
    by path. Identical files are named before near-duplicates, and these before copies of either.
    """
    said = _rivals(pictures, "sha256", "identical to")
    said = said.where(said != "", _rivals(pictures, "look", "nearly identical to"))
    named = dict(zip(pictures["photograph"][said != ""], pictures["path"][said != ""], strict=True))
    copies = [
        f"{CONFLICT}: copy of {named[photograph]}" if photograph in named else ""
        for photograph in pictures["photograph"]
    ]
    return said.where(said != "", pd.Series(copies, pictures.index, dtype="str"))


def _rivals(pictures: pd.DataFrame, column: str, words: str) -> pd.Series[str]:
    """Name, for each picture, the first one of another class with the same value in a column."""
    known = pictures[pictures[column] != ""]
    labels = known.groupby(column)["label"].transform("nunique")
    said = pd.Series("", pictures.index, dtype="str")
    for _, same in known[labels > 1].groupby(column):
        first = same.drop_duplicates("label")
        for row, label in zip(same.index, same["label"], strict=True):
            rival = first.loc[first["label"] != label, "path"].iloc[0]
            said[row] = f"{CONFLICT}: {words} {rival}"
    return said
