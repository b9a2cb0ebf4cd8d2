"""The limits of near-duplicates, by hand-made hashes and grey copies."""

from typing import Any

import numpy as np
import pytest

from resnext.data.split.duplicates import MOST_LISTED, NearDuplicates, find_near_duplicates
from tests.resnext.data.samples import table

BASE = np.random.default_rng(7).integers(0, 2**64, 8, dtype=np.uint64)
RIGHT, DOWN = np.meshgrid(np.repeat([-1, 1], 16), np.repeat([-1, 1], 16))  # (32, 32): +1 and -1


def searched(*rows: tuple[str, int, int, int, int]) -> NearDuplicates:
    """Search among pictures: path, bits off by pHash and dHash, parts of the grey copy.

    Copies of the parts (a, b) and (c, 0) correlate by a / sqrt(a a + b b).
    """
    words = np.repeat(BASE[None], len(rows), axis=0)
    for word, (_, phash, dhash, _, _) in zip(words, rows, strict=True):
        word[[0, 4]] ^= np.array([(1 << phash) - 1, (1 << dhash) - 1], dtype=np.uint64)
    grey = np.stack([128 + a * RIGHT + b * DOWN for *_, a, b in rows]).astype(np.uint8)
    return find_near_duplicates(table([path for path, *_ in rows]), words, lambda n: grey[n])


@pytest.mark.parametrize(
    ("phash", "dhash", "made_of", "verdict"),
    [  # correlations with (40, 0): 24/25, 12/13, 15/17 and 20/29
        (4, 4, (24, 7), "joined"),
        (6, 6, (40, 0), "joined"),
        (7, 6, (40, 0), None),
        (5, 0, (24, 7), "listed"),
        (0, 5, (24, 7), "listed"),
        (6, 6, (24, 7), "listed"),
        (7, 0, (24, 7), None),
        (0, 7, (24, 7), None),
        (0, 0, (12, 5), "listed"),
        (6, 6, (15, 8), "listed"),
        (0, 0, (20, 21), None),
        (6, 6, (20, 21), None),
        (0, 0, (-24, 7), None),
    ],
)
def test_both_hashes_and_the_grey_copies_must_agree(
    phash: int, dhash: int, made_of: tuple[int, int], verdict: str | None
) -> None:
    found = searched(("a/1", 0, 0, 40, 0), ("b/2", phash, dhash, *made_of))
    assert set(found.looks) == ({"a/1", "b/2"} if verdict == "joined" else set())
    row: dict[str, Any] = {
        "path": "a/1", "other": "b/2", "label": "a", "other_label": "b",
        "orientation": "as it is", "phash_distance": phash, "dhash_distance": dhash,
        "correlation": round(made_of[0] / np.hypot(*made_of), 4), "verdict": verdict,
    }  # fmt: skip
    assert found.pairs.to_dict("records") == ([row] if verdict else [])


def test_what_is_joined_through_others_is_not_listed() -> None:
    found = searched(("a/1", 0, 0, 40, 0), ("a/2", 3, 0, 24, 7), ("a/3", 6, 0, 15, 8))
    assert found.pairs["verdict"].tolist() == ["joined", "joined"]


def test_not_more_pairs_are_listed_than_a_person_can_judge() -> None:
    first, rest = ("a/000", 0, 0, 40, 0), range(1, MOST_LISTED + 51)
    found = searched(first, *((f"a/{number:03d}", 0, 0, 12, 5) for number in rest))
    assert found.pairs["verdict"].tolist() == ["listed"] * MOST_LISTED
