"""What names call copies is held against hashes: by hand-made ones, drawn images, and real ones."""

import numpy as np
import pandas as pd
import pytest

from resnext.data.manifest.hashing import Words
from resnext.data.split.groups import read_names
from resnext.data.split.likeness import ALIKE, SAMPLE, Likeness, compare_copies
from tests.resnext.data.samples import table, users_scan


def random_words(count: int, seed: int = 0) -> Words:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 8), dtype=np.uint64)


def named(photographs: int, copies: int) -> pd.DataFrame:
    """Name photographs of two classes with copies from 0, sorted by path."""
    paths = [
        f"{label}/{label.upper()}{n:04d}_01_{copy:02d}.png"
        for label in "ab"
        for n in range(photographs)
        for copy in range(copies + 1)
    ]
    return read_names(table(paths)).pictures


def off_by(words: Words, bits: int) -> Words:
    """Change so many bits of the pHash as it is."""
    changed = words.copy()
    changed[:, 0] ^= np.uint64((1 << bits) - 1)
    return changed


@pytest.mark.parametrize(("bits", "alike"), [(0, 10), (ALIKE, 10), (ALIKE + 1, 0)])
def test_a_copy_is_alike_up_to_a_number_of_bits(bits: int, alike: int) -> None:
    pictures, words = named(5, 1), random_words(20)
    words[1::2] = off_by(words[::2], bits)
    found = compare_copies(pictures, words)
    assert found == Likeness(10, alike, 0, 9, 0)
    assert found.believed == (alike > 0)
    assert not found.certain, "nothing is mirrored"


def test_names_without_copies_tell_none() -> None:
    assert compare_copies(named(5, 0), random_words(10)) is None


@pytest.mark.parametrize(
    ("alike", "control", "believed"),
    [(20, 0, True), (19, 0, False), (90, 22, True), (90, 23, False)],
)
def test_copies_must_be_alike_clearly_more_than_other_photographs(
    alike: int, control: int, believed: bool
) -> None:
    found = Likeness(100, alike, alike, 100, control)
    assert (found.believed, found.certain) == (believed, believed)


@pytest.mark.parametrize(("turned", "certain"), [(3, True), (2, False)])
def test_one_in_twenty_must_be_turned_to_leave_no_doubt(turned: int, certain: bool) -> None:
    assert Likeness(100, 60, turned, 100, 0).certain == certain
    assert not Likeness(5, 4, 0, 5, 0).certain


def test_of_many_copies_some_are_compared_whatever_their_numbers() -> None:
    """Every third copy is alike: a sample in step with the numbers would see all or none."""
    pictures = named(1000, 3)
    words = random_words(len(pictures))
    words[1::4] = words[::4]
    found = compare_copies(pictures, words)
    assert found is not None
    assert 0.9 * SAMPLE < found.compared <= SAMPLE
    assert 0.28 < found.alike / found.compared < 0.39


def test_the_order_of_a_manifest_does_not_matter() -> None:
    manifest = table(named(20, 2)["path"].tolist())
    words = random_words(len(manifest))
    words[1::3] = words[::3]
    order = np.random.default_rng(1).permutation(len(manifest))
    one = read_names(manifest, words=words)
    other = read_names(manifest.iloc[order], words=words[order])
    assert one.reading == other.reading
    assert one.pictures.equals(other.pictures)
    assert one.pictures["copy"].tolist() == [0, 1, 2] * 40


def test_without_hashes_the_names_are_taken_as_a_guess() -> None:
    naming = read_names(table(named(20, 2)["path"].tolist()))
    assert naming.guessed
    assert set(naming.pictures["copy"]) == {0, 1, 2}


def test_the_users_copies_leave_no_doubt() -> None:
    found = users_scan()
    naming = read_names(found.manifest, words=found.words)
    assert naming.scheme == "patient_photograph_copy (MSLD v1)"
    assert (naming.guessed, naming.unknown, naming.reading.but) == (False, 0, "")
    assert (naming.fits, naming.ids, naming.pictures["photograph"].nunique()) == (2142, 113, 153)
    likeness = compare_copies(naming.pictures, found.words)
    assert likeness is not None
    assert likeness.alike / likeness.compared > 0.7
    assert likeness.control_alike <= 2
    assert likeness.turned / likeness.alike > 0.1
