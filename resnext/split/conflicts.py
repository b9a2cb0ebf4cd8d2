"""Find pictures that stand under two classes: identical files, and near-duplicates.

Nobody but a person can tell which class is right, so that they are left out and named.
"""

from __future__ import annotations

import pandas as pd

from resnext.split.duplicates import JOINED


def label_conflicts(pictures: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series[str]:
    """Say of each picture (path, label, sha256) which one of another class it equals; else empty.

    `pairs` are near-duplicates; identical files count before them.
    """
    content = dict(zip(pictures["path"], pictures["sha256"], strict=True))
    near: dict[str, str] = {}
    apart = pairs[(pairs["verdict"] == JOINED) & (pairs["label"] != pairs["other_label"])]
    for one, other in zip(apart["path"], apart["other"], strict=True):
        near.setdefault(content[one], f"label conflict: nearly identical to {other}")
        near.setdefault(content[other], f"label conflict: nearly identical to {one}")
    said = pd.Series([near.get(d, "") for d in pictures["sha256"]], pictures.index, dtype="str")
    labels = pictures.groupby("sha256")["label"].transform("nunique")
    for _, same in pictures[labels > 1].groupby("sha256"):
        for row, label in zip(same.index, same["label"], strict=True):
            other = same.loc[same["label"] != label, "path"].iloc[0]
            said[row] = f"label conflict: identical to {other}"
    return said
