"""Groups and copies: what names say, and which groups identical files join."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.data.manifest.hashing import Hashes
from resnext.data.split.groups import (
    ALIKE,
    SAMPLE,
    Likeness,
    compare_copies,
    find_groups,
    join_groups,
)
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import plain, prepared, refused, split, table, users_scan

# ---------------------------------------------------------------- what names say


@pytest.mark.parametrize(
    ("path", "group", "copy", "original"),
    [
        ("Others/NM01_01_05.jpg", "NM01", 5, "Others/NM01_01"),
        ("Others/NM01_01_00.jpg", "NM01", 0, "Others/NM01_01"),
        ("Others/NM01_01.jpg", "NM01", 0, "Others/NM01_01"),
        ("Others/deep/nm110_2_13.PNG", "nm110", 13, "Others/deep/nm110_2"),
    ],
)
def test_a_name_tells_patient_photograph_and_copy(
    path: str, group: str, copy: int, original: str
) -> None:
    naming = find_groups(table([path, "Others/X1_1_00.jpg"]))
    found = naming.images[naming.images["path"] == path]
    assert found["group"].tolist() == [group]
    assert found["copy"].tolist() == [copy]
    assert found["original"].tolist() == [original]
    assert naming.fits == 2


def test_a_scheme_must_fit_19_of_20_names() -> None:
    names = [f"a/P{n:02d}_01_00.jpg" for n in range(19)]
    assert find_groups(table([*names, "a/other.jpg"])).reading.scheme.startswith(
        "patient_photograph_copy"
    )
    found = find_groups(table([*names, "a/other.jpg", "a/another.jpg"]))
    assert (found.reading.scheme, found.ids) == ("", 21)


def test_a_scheme_of_earlier_names_that_fits_none_now_says_nothing() -> None:
    before = [f"a/P{n:02d}_01_00.jpg" for n in range(19)]
    found = find_groups(plain(9), before=before)
    assert (found.reading.scheme, found.ids, found.unknown) == ("", 18, 18)


def test_a_pattern_names_group_and_copy() -> None:
    paths = [f"{c}/site-{n}/v{k}.png" for c in "ab" for n in range(6) for k in range(3)]
    pattern = r"(?P<group>[ab]/site-\d+)/v(?P<copy>\d+)"
    drawn = split(table(paths), SplitSettings(group_pattern=pattern))
    assert drawn["group"].nunique() == 12
    assert drawn["copy"].tolist() == [0, 1, 2] * 12
    assert not drawn[drawn["split"].isin(["val", "test"])]["copy"].any()


def test_a_pattern_without_copies_leaves_them_empty() -> None:
    paths = [f"{c}/{c}{n}-{k}.png" for c in "ab" for n in range(6) for k in range(3)]
    drawn = split(table(paths), SplitSettings(group_pattern=r"(?P<group>[ab]\d+)-"))
    assert drawn["copy"].isna().all()
    assert drawn.groupby("group")["split"].nunique().max() == 1


# ---------------------------------------------------------------- groups that identical files join


def test_groups_join_through_others_and_are_called_by_their_ids() -> None:
    groups = ["C", "B", "A", "D", "B", "E"]
    keys = ["1", "1", "2", "3", "2", "4"]
    assert join_groups(groups, keys) == ["A=B=C", "A=B=C", "A=B=C", "D", "A=B=C", "E"]


def test_a_name_of_many_ids_is_cut() -> None:
    assert set(join_groups(list("FEDCBA"), ["1"] * 6)) == {"A=B=C=D=E=F"}
    ids = [f"{number:02}" for number in range(15)]
    assert set(join_groups(ids, ["1"] * 15)) == {"=".join(ids[:12]) + "=+3"}


def test_no_two_groups_get_one_name_where_ids_hold_an_equals_sign() -> None:
    assert join_groups(["a", "b", "a=b"], ["1", "1", "2"]) == ["a=b=", "a=b=", "a=b"]
    names = join_groups(["a=b", "c", "a", "b=c"], ["1", "1", "2", "2"])
    assert names[0] == names[1] != names[2] == names[3]
    assert join_groups(["7", "site=7", "site"], ["", "", ""]) == ["7", "site=7", "site"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 6)), max_size=30))
def test_joined_groups_are_the_connected_components(rows: list[tuple[str, int]]) -> None:
    groups = [group for group, _ in rows]
    names = join_groups(groups, [str(key) for _, key in rows])
    components = [{group} for group in sorted(set(groups))]
    for key in {key for _, key in rows}:  # by hand: merge every set that a key touches
        touched = {group for group, other in rows if other == key}
        joined = set[str]().union(*(one for one in components if one & touched))
        components = [one for one in components if not one & touched] + [joined]
    for group, name in zip(groups, names, strict=True):
        mine = next(one for one in components if group in one)
        assert {g for g, other in zip(groups, names, strict=True) if other == name} == mine


# ---------------------------------------------------------------- one line for wrong input


def test_a_pattern_that_fits_nothing_is_said() -> None:
    assert refused(plain(9), group_pattern=r"(?P<group>patient\d+)").startswith(
        "group_pattern must fit the paths, got '(?P<group>patient\\\\d+)'. It fits none of 18, "
    )


def test_a_copy_that_is_no_number_is_said() -> None:
    text = refused(plain(9), group_pattern=r"(?P<group>[ab])/\d+ (?P<copy>x)")
    assert text.startswith(
        "group_pattern must capture digits as 'copy', got 'x'. Path 'a/000 x.jpg'"
    )


# ---------------------------------------------------------------- whether copies are copies


def random_words(count: int, seed: int = 0) -> Hashes:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 8), dtype=np.uint64)


def named(photographs: int, copies: int) -> pd.DataFrame:
    """Name photographs of two classes with copies from 0, sorted by path."""
    paths = [
        f"{label}/{label.upper()}{n:04d}_01_{copy:02d}.png"
        for label in "ab"
        for n in range(photographs)
        for copy in range(copies + 1)
    ]
    return find_groups(table(paths)).images


def off_by(words: Hashes, bits: int) -> Hashes:
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


def test_without_hashes_the_names_are_taken_as_a_guess() -> None:
    naming = find_groups(table(named(20, 2)["path"].tolist()))
    assert naming.guessed
    assert set(naming.images["copy"]) == {0, 1, 2}


def test_the_users_copies_leave_no_doubt() -> None:
    found = users_scan()
    naming = find_groups(found.manifest, hashes=found.hashes)
    assert naming.reading.scheme == "patient_photograph_copy"
    assert (naming.guessed, naming.unknown, naming.reading.but) == (False, 0, "")
    assert (naming.fits, naming.ids, naming.images["original"].nunique()) == (2142, 113, 153)
    likeness = compare_copies(naming.images, found.hashes)
    assert likeness is not None
    assert likeness.alike / likeness.compared > 0.7
    assert likeness.control_alike <= 2
    assert likeness.turned / likeness.alike > 0.1


# ---------------------------------------------------------------- the real thing


def test_the_users_patients_are_found() -> None:
    manifest = users_scan().manifest
    naming, pictures = find_groups(manifest), prepared(manifest)
    assert (naming.fits, naming.ids, pictures["group"].nunique()) == (2142, 113, 112)
    joined = pictures[pictures["group"].str.contains("=")]
    assert set(joined["group"]) == {"NM110=NM68"}
    assert pictures["original"].nunique() == 153
