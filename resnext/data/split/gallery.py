"""Choose some images of each class and part of a split, so that a reader sees what the data are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.split.settings import SPLITS
from resnext.data.thumbnails import as_uri, shrink

SIDE = 96  # pixels of a thumbnail's longer side
EACH = 3  # images of a class and part, at most
MOST = 100  # images in all


def gallery(
    root: Path, images: pd.DataFrame, drawn: pd.DataFrame, levels: Levels = Levels()
) -> list[dict[str, Any]]:
    """Give path, label, part and picture (a data URI) of some originals, by class and part.

    Each is of another group, as far as there are some. With many classes there are fewer of each.

    Args:
        root: Where the images lie.
        images: path, label, sha256, original, group.
        drawn: path, split.
        levels: What deep images are brought to 8 bits by.

    Raises:
        InputError: an image changed since the scan.
    """
    rows = images.merge(drawn[["path", "split"]], on="path", validate="1:1")
    rows = rows[rows["split"].isin(SPLITS)].sort_values("path", kind="stable")
    chosen = _some_of_each(rows.drop_duplicates("original"))

    def thumbnail(row: dict[Any, Any]) -> str:
        return as_uri(shrink(read_scanned(root / row["path"], row["sha256"], levels), SIDE))

    return [
        {"path": row["path"], "label": row["label"], "part": row["split"]}
        | {"picture": thumbnail(row)}
        for row in chosen.to_dict("records")
    ]


def _some_of_each(rows: pd.DataFrame) -> pd.DataFrame:
    """Take the first images of each class in turn, of each part in it, new groups first."""
    again = rows.duplicated(["label", "split", "group"])
    rows = rows.assign(again=again).sort_values("again", kind="stable")
    rows = rows.assign(turn=rows.groupby(["label", "split"]).cumcount())
    rows = rows[rows["turn"] < EACH].sort_values(["label", "turn", "split"], kind="stable")
    of_class = rows.groupby("label").cumcount()
    first = rows.assign(of_class=of_class).sort_values(["of_class", "label"], kind="stable")
    return first.head(MOST).sort_values(["label", "split", "turn"], kind="stable")
