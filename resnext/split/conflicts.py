"""Find pictures that stand under two classes: identical files, and near-duplicates.

Nobody but a person can tell which class is right, so that they are left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from resnext.split.duplicates import JOINED

Files = dict[str, list[tuple[str, str]]]  # by sha256: path and label of each file


def label_conflicts(pictures: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series[str]:
    """Say of each picture (path, label, sha256) which one of another class it equals; else empty.

    `pairs` are near-duplicates; identical files count before them.
    """
    files: Files = {}
    rows = zip(pictures["path"], pictures["label"], pictures["sha256"], strict=True)
    for path, label, digest in rows:
        files.setdefault(digest, []).append((path, label))
    reasons: dict[str, str] = {}
    for digest, same in files.items():
        if len(same) > 1:
            for path, rival in _rivals(files, digest, digest):
                reasons[path] = f"label conflict: identical to {rival}"
    digest_of = dict(zip(pictures["path"], pictures["sha256"], strict=True))
    joined = pairs[pairs["verdict"] == JOINED]
    for one, other in zip(joined["path"], joined["other"], strict=True):
        ends = digest_of[one], digest_of[other]
        for here, there in (ends, ends[::-1]):
            for path, rival in _rivals(files, here, there):
                reasons.setdefault(path, f"label conflict: nearly identical to {rival}")
    said = [reasons.get(path, "") for path in pictures["path"]]
    return pd.Series(said, pictures.index, dtype="str")


def _rivals(files: Files, here: str, there: str) -> Iterator[tuple[str, str]]:
    """Name, for each file here, the first file there that is of another class."""
    for path, label in files[here]:
        rival = next((name for name, other in files[there] if other != label), None)
        if rival is not None:
            yield path, rival
