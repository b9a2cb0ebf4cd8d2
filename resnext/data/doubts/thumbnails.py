"""Give small images of those that are doubted, from packed pixels."""

from __future__ import annotations

import pandas as pd
from PIL import Image

from resnext.data.pixels import PackedPixels
from resnext.data.thumbnails import as_uri, shrink

SIDE = 160  # pixels
MOST = 60  # doubts of a kind that are shown


def shown(doubts: pd.DataFrame) -> pd.DataFrame:
    """Give the first doubts of each kind, those that a page has room for."""
    return doubts[doubts.groupby("kind").cumcount() < MOST]


def thumbnails_of(
    doubts: pd.DataFrame, images: pd.DataFrame, pixels: PackedPixels
) -> dict[str, str]:
    """Give the thumbnails of the doubts that are shown, as data URIs by path."""
    some = shown(doubts)
    paths = sorted({*some["path"], *some["other"]} - {""})
    digests = images.set_index("path")["sha256"].loc[paths]
    found = pixels.take(pixels.rows(digests.tolist()))
    small = (as_uri(shrink(Image.fromarray(each), SIDE)) for each in found)
    return dict(zip(paths, small, strict=True))
