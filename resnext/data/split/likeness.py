"""Tell by perceptual hashes whether what the names call copies look like copies.

Some copies are compared with their originals, and as a control as many photographs with other
photographs, those of the same group where there are some. Numbers that count something else, such
as tiles, frames of a fixed camera or further photographs of a lesion, make no such difference. It
opens no image.

Source: measured on the Monkeypox Skin Lesion Dataset v1, where 78 % of the copies lie within
`ALIKE` of their original, and no pair of two photographs of 2,061 does. Of copies that are turned
by any angle up to 30 degrees 23 % do, of colour changes, noise and blur nearly all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from resnext.data.manifest.hashing import Words, turned
from resnext.data.split.neighbours import Numbers

SAMPLE = 500  # copies compared, and photographs for the control
ALIKE = 28  # of 128 bits of both hashes that may differ, in the best of eight orientations
LEAST = 0.2  # share of copies that must look like their original
CLEARLY = 4  # times as many as of the control
TURNED = 0.05  # share of the alike ones that must be mirrored or turned, as no second photograph is
GOLDEN = (5**0.5 - 1) / 2  # so spread, a sample does not fall in step with the copies' numbers


class Likeness(NamedTuple):
    """Count the copies that were compared, those alike, those alike but turned, and the control."""

    compared: int
    alike: int
    turned: int
    control: int
    control_alike: int

    @property
    def believed(self) -> bool:
        """Tell whether copies look like their originals, clearly more than other photographs."""
        share = self.alike / self.compared
        other = self.control_alike / max(self.control, 1)
        return share >= LEAST and share > CLEARLY * other

    @property
    def certain(self) -> bool:
        """Tell whether they can't be second photographs or frames, since some are mirrored."""
        return self.believed and self.turned >= max(TURNED * self.alike, 1)


def compare_copies(pictures: pd.DataFrame, words: Words) -> Likeness | None:
    """Compare copies with originals; None where the names tell no copy.

    `pictures` holds label, group, photograph and copy (empty counts as 0), sorted by path; `words`
    (N, 8) are their hashes. The original is the lowest number that is there.
    """
    ranked = pictures.assign(copy=pictures["copy"].fillna(0), row=np.arange(len(pictures)))
    ranked = ranked.sort_values(["photograph", "copy"], kind="stable")
    is_first = ~ranked["photograph"].duplicated()
    photographs = ranked[is_first].sort_values(["label", "group", "photograph"])
    copies = ranked[~is_first]
    if copies.empty:
        return None
    copies = copies.iloc[_spread(len(copies))]
    originals = photographs.set_index("photograph")["row"][copies["photograph"]]
    alike, turns = _alike(words, originals.to_numpy(), copies["row"].to_numpy())
    one = photographs["row"].to_numpy()
    chosen = _spread(len(one) - 1)
    control, _ = _alike(words, one[chosen], one[chosen + 1])
    counts = (alike, alike & turns, control)
    same, mirrored, others = (int(found.sum()) for found in counts)
    return Likeness(len(alike), same, mirrored, len(control), others)


def _spread(n: int) -> Numbers:
    """Choose at most `SAMPLE` numbers below n, evenly spread."""
    if n <= SAMPLE:
        return np.arange(n)
    return np.unique((np.arange(SAMPLE) * GOLDEN % 1 * n).astype(np.int64))


def _alike(
    words: Words, one: Numbers, other: Numbers
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which pairs are alike, and which are closest mirrored or turned."""
    bits = np.zeros((8, len(one)), dtype=np.int64)
    for mine, theirs in zip(turned(words[one]), turned(words[other]), strict=True):
        bits += np.bitwise_count(mine[0] ^ theirs)
    return bits.min(axis=0) <= ALIKE, bits.argmin(axis=0) > 0
