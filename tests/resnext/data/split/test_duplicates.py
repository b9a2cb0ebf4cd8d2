"""Near-duplicates: found turned and re-encoded, joined on evidence, listed where it is weak."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.data.manifest.hashing import Hashes, hash_image, parse_hashes
from resnext.data.split import duplicates
from resnext.data.split.duplicates import (
    MOST_LISTED,
    Grey,
    NearDuplicates,
    find_near_duplicates,
    grey_reader,
)
from tests.resnext.data.samples import drawn, table


def searched(root: Path, images: dict[str, Image.Image]) -> NearDuplicates:
    """Save pictures and search among them."""
    for path, image in images.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / path)
    return find_near_duplicates(*listed(root, list(images)))


def listed(root: Path, paths: list[str]) -> tuple[pd.DataFrame, Hashes, duplicates.GreyReader]:
    pictures = pd.DataFrame(
        {
            "path": paths,
            "label": [path.split("/")[0] for path in paths],
            "sha256": [hashlib.sha256((root / path).read_bytes()).hexdigest() for path in paths],
        }
    )
    words = parse_hashes([hash_image(Image.open(root / path)) for path in paths])
    return pictures, words, grey_reader(root, pictures, 1)


def verdicts(found: NearDuplicates) -> list[tuple[str, str, str, str]]:
    columns = ["path", "other", "orientation", "verdict"]
    return [tuple(row) for row in found.pairs[columns].to_numpy().tolist()]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (None, "as it is"),
        (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored left to right"),
        (Image.Transpose.FLIP_TOP_BOTTOM, "mirrored top to bottom"),
        (Image.Transpose.ROTATE_180, "turned by 180 degrees"),
        (Image.Transpose.ROTATE_90, "turned by 90 degrees clockwise"),
        (Image.Transpose.ROTATE_270, "turned by 90 degrees anticlockwise"),
    ],
)
def test_a_copy_that_was_turned_shrunk_and_recoded_is_joined(
    step: Image.Transpose | None, words: str, tmp_path: Path
) -> None:
    copy = drawn(0).resize((100, 75))
    copy = copy if step is None else copy.transpose(step)
    images = {"a/1.png": drawn(0), "a/2.jpg": copy, "a/3.png": drawn(1), "a/4.png": drawn(2)}
    found = searched(tmp_path, images)
    assert verdicts(found) == [("a/1.png", "a/2.jpg", words, "joined")]
    assert found.pairs["correlation"].iloc[0] > 0.98
    assert len(set(found.clusters.values())) == 1
    assert len(found.clusters) == 2


def test_pictures_of_one_grey_look_like_nothing(tmp_path: Path) -> None:
    flat = {f"a/{n}.png": Image.new("RGB", (40, 40), (n, n, n)) for n in (10, 50, 200)}
    found = searched(tmp_path, flat)
    assert "joined" not in set(found.pairs["verdict"])
    assert found.clusters == {}


def test_identical_files_are_one_picture(tmp_path: Path) -> None:
    found = searched(tmp_path, {"a/1.png": drawn(0), "a/2.png": drawn(0), "b/3.png": drawn(1)})
    assert found.pairs.empty
    assert found.clusters == {}


def made_up(labels: str, words: Hashes, greys: Grey) -> tuple[NearDuplicates, list[int]]:
    """Search among pictures that are no more than hashes and grey copies; count what is read."""
    names = [f"{label}/{n:04}" for n, label in enumerate(labels)]
    pictures = pd.DataFrame({"path": names, "label": list(labels), "sha256": names})
    read: list[int] = []

    def read_grey(numbers: list[int]) -> Grey:
        read.extend(numbers)
        return greys[numbers]

    return find_near_duplicates(pictures, words, read_grey), read


def looks(count: int) -> Grey:
    return np.random.default_rng(5).integers(0, 255, (count, 32, 32), dtype=np.uint8)


def test_a_thousand_pictures_of_one_look_cost_a_thousand_comparisons() -> None:
    random = np.random.default_rng(0)
    words = np.repeat(random.integers(0, 2**63, (1, 8), dtype=np.uint64), 1000, axis=0)
    words ^= np.uint64(1) << random.integers(0, 64, (1000, 8), dtype=np.uint64)
    found, read = made_up("a" * 1000, words, np.repeat(looks(1), 1000, axis=0))
    assert len(set(found.clusters.values())) == 1
    assert len(found.pairs) < 5_000, "of 499,500"
    assert len(read) == 1000


def test_pictures_that_only_hash_alike_cost_few_rounds_and_flat_ones_hide_no_weak_pair() -> None:
    words = np.full((303, 8), 12345, dtype=np.uint64)
    words[300:] = np.random.default_rng(1).integers(0, 2**63, (1, 8), dtype=np.uint64)
    words[301] ^= np.uint64(0b111111)
    greys = np.concatenate([np.full((300, 32, 32), 7, dtype=np.uint8), np.repeat(looks(1), 2, 0)])
    greys[301, 0] = 0
    found, _ = made_up("a" * 302, words[:302], greys)
    assert found.pairs["verdict"].tolist() == ["listed"]


def test_the_order_of_the_pictures_does_not_matter(tmp_path: Path) -> None:
    images = {f"{c}/{n}.jpg": drawn(n, (80 + 20 * k, 80)) for k, c in enumerate("ab")
              for n in range(6)}  # fmt: skip
    first = searched(tmp_path, images)
    again = find_near_duplicates(*listed(tmp_path, list(images)[::-1]))
    columns = ["path", "other", "verdict", "correlation"]
    assert first.pairs[columns].equals(again.pairs[columns])
    assert len(first.pairs) == 6


def test_a_picture_that_changed_since_the_scan_is_said(tmp_path: Path) -> None:
    drawn(0).save(tmp_path / "1.png")
    pictures = pd.DataFrame({"path": ["1.png"], "sha256": ["another"]})
    with pytest.raises(InputError, match="must be as it was scanned, got other bytes"):
        grey_reader(tmp_path, pictures, 1)([0])


# ---------------------------------------------------------------- the limits, by hand

BASE = np.random.default_rng(7).integers(0, 2**64, 8, dtype=np.uint64)
RIGHT, DOWN = np.meshgrid(np.repeat([-1, 1], 16), np.repeat([-1, 1], 16))  # (32, 32): +1 and -1


def by_hand(*rows: tuple[str, int, int, int, int]) -> NearDuplicates:
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
    found = by_hand(("a/1", 0, 0, 40, 0), ("b/2", phash, dhash, *made_of))
    assert set(found.clusters) == ({"a/1", "b/2"} if verdict == "joined" else set())
    row: dict[str, Any] = {
        "path": "a/1", "other": "b/2", "label": "a", "other_label": "b",
        "orientation": "as it is", "phash_distance": phash, "dhash_distance": dhash,
        "correlation": round(made_of[0] / np.hypot(*made_of), 4), "verdict": verdict,
    }  # fmt: skip
    assert found.pairs.to_dict("records") == ([row] if verdict else [])


def test_what_is_joined_through_others_is_not_listed() -> None:
    found = by_hand(("a/1", 0, 0, 40, 0), ("a/2", 3, 0, 24, 7), ("a/3", 6, 0, 15, 8))
    assert found.pairs["verdict"].tolist() == ["joined", "joined"]


def test_not_more_pairs_are_listed_than_a_person_can_judge() -> None:
    first, rest = ("a/000", 0, 0, 40, 0), range(1, MOST_LISTED + 51)
    found = by_hand(first, *((f"a/{number:03d}", 0, 0, 12, 5) for number in rest))
    assert found.pairs["verdict"].tolist() == ["listed"] * MOST_LISTED
