"""Groups and copies: what names say, and which groups identical files join."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.data.split.groups import join_groups, read_names
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import plain, prepared, refused, split, table, users_scan

# ---------------------------------------------------------------- what names say


@pytest.mark.parametrize(
    ("path", "group", "copy", "photograph"),
    [
        ("Others/NM01_01_05.jpg", "NM01", 5, "Others/NM01_01"),
        ("Others/NM01_01_00.jpg", "NM01", 0, "Others/NM01_01"),
        ("Others/NM01_01.jpg", "NM01", 0, "Others/NM01_01"),
        ("Others/deep/nm110_2_13.PNG", "nm110", 13, "Others/deep/nm110_2"),
    ],
)
def test_a_name_tells_patient_photograph_and_copy(
    path: str, group: str, copy: int, photograph: str
) -> None:
    naming = read_names(table([path, "Others/X1_1_00.jpg"]))
    found = naming.pictures[naming.pictures["path"] == path]
    assert found["group"].tolist() == [group]
    assert found["copy"].tolist() == [copy]
    assert found["photograph"].tolist() == [photograph]
    assert naming.fits == 2


def test_a_scheme_must_fit_19_of_20_names() -> None:
    names = [f"a/P{n:02d}_01_00.jpg" for n in range(19)]
    assert read_names(table([*names, "a/other.jpg"])).scheme.startswith("patient_photograph_copy")
    found = read_names(table([*names, "a/other.jpg", "a/another.jpg"]))
    assert (found.scheme, found.ids) == ("", 21)


def test_a_name_outside_the_scheme_is_a_group_of_its_own() -> None:
    names = [f"a/P{n:02d}_01_00.jpg" for n in range(19)]
    last = read_names(table([*names, "a/zzz.jpg"])).pictures.iloc[-1]
    assert last["group"] == "a/zzz.jpg"
    assert pd.isna(last["copy"])


def test_a_scheme_of_earlier_names_that_fits_none_now_says_nothing() -> None:
    before = [f"a/P{n:02d}_01_00.jpg" for n in range(19)]
    found = read_names(plain(9), before=before)
    assert (found.scheme, found.ids, found.unknown) == ("", 18, 18)


def test_dates_are_not_taken_for_copies() -> None:
    names = [f"a/IMG2024_05_{day:02d}.jpg" for day in range(1, 31)]
    assert read_names(table(names)).scheme == ""


def test_without_a_scheme_every_picture_is_a_group() -> None:
    drawn = split(plain(20), SplitSettings())
    assert drawn["group"].tolist() == drawn["path"].tolist()
    assert drawn["copy"].isna().all()


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


# ---------------------------------------------------------------- the real thing


def test_the_users_patients_are_found() -> None:
    manifest = users_scan().manifest
    naming, pictures = read_names(manifest), prepared(manifest)
    assert (naming.fits, naming.ids, pictures["group"].nunique()) == (2142, 113, 112)
    joined = pictures[pictures["group"].str.contains("=")]
    assert set(joined["group"]) == {"NM110=NM68"}
    assert pictures["photograph"].nunique() == 153
