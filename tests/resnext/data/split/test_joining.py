"""Which near-duplicates are joined, and images under two classes: by hand, without an image."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.data.split.duplicates import (
    COLUMNS,
    NearDuplicates,
    choose_joined,
    label_conflicts,
)
from resnext.data.split.groups import find_groups
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import table


def judged(
    groups: dict[str, str],
    looks: dict[str, str],
    before: dict[str, str] | None = None,
    **chosen: object,
) -> NearDuplicates:
    """Judge near-duplicates among images of known groups, and one that no table names."""
    naming = find_groups(table([*groups, "z/alone.png"]), groups=groups)
    pairs = [(path, look) for path, look in looks.items() if path != look]
    near = NearDuplicates(
        pd.DataFrame(pairs, columns=["path", "other"])
        .assign(verdict="joined")
        .reindex(columns=COLUMNS),
        looks,
    )
    earlier = [(before or {}).get(path, "") for path in naming.images["path"]]
    settings = SplitSettings.model_validate(chosen)
    return choose_joined(naming, near, settings, pd.Series(earlier, dtype="str"))


def each_alone(label: str, count: int) -> dict[str, str]:
    return {f"{label}/{n:02d}.png": f"{label}{n}" for n in range(count)}


def alike(*paths: str) -> dict[str, str]:
    return dict.fromkeys(paths, paths[0])


@pytest.mark.parametrize(
    ("images", "same", "joined"),
    [
        (4, 2, True),  # three groups are left for three parts
        (4, 3, False),  # two are not enough
        (18, 9, True),  # half of the class
        (18, 10, False),  # more than half, and ten
        (16, 9, True),  # more than half, but fewer than ten
    ],
)
def test_what_would_swallow_a_class_is_not_joined(images: int, same: int, joined: bool) -> None:
    groups = each_alone("a", images) | each_alone("b", 9)
    found = judged(groups, alike(*list(groups)[:same]))
    assert bool(found.clusters) == joined
    assert set(found.pairs["verdict"]) == {"joined" if joined else "reported"}
    assert ("class 'a' in too few groups" in found.not_joined) != joined


def test_folds_need_as_many_groups_as_there_are() -> None:
    groups = each_alone("a", 6) | each_alone("b", 9)
    looks = alike("a/00.png", "a/01.png")
    assert judged(groups, looks, fold=(1, 5)).not_joined == ""
    assert judged(groups, looks, fold=(1, 6)).not_joined != ""


def test_a_class_that_was_mostly_one_group_before_is_not_kept_from_joining() -> None:
    groups = dict.fromkeys(each_alone("a", 12), "A") | {f"a/x{n}.png": f"x{n}" for n in range(4)}
    groups |= each_alone("b", 9)
    assert judged(groups, alike("a/x0.png", "a/x1.png")).not_joined == ""


def test_groups_that_others_join_are_cut_too() -> None:
    """Both groups of class a are joined by two images of class b alone."""
    groups = {"a/1.png": "G", "a/2.png": "H", "a/3.png": "I", "b/1.png": "G", "b/2.png": "H"}
    found = judged(groups | each_alone("c", 9), alike("b/1.png", "b/2.png"))
    assert found.clusters == {}
    assert "class 'a'" in found.not_joined


def test_what_an_earlier_split_joined_counts_as_joined_before() -> None:
    groups = each_alone("a", 4) | each_alone("b", 9)
    looks = alike("a/00.png", "a/01.png", "a/02.png")
    assert judged(groups, looks, before=dict.fromkeys(looks, "old")).not_joined == ""


def test_of_many_classes_five_are_named_and_then_the_total() -> None:
    groups, looks = dict[str, str](), dict[str, str]()
    for label in "abcdefg":
        mine = each_alone(label, 3)
        groups |= mine
        looks |= alike(*mine)
    why = judged(groups, looks).not_joined
    assert "'a', 'b', 'c', 'd', 'e' and 2 more in too few groups" in why


# ---------------------------------------------------------------- the same under two classes


def laid_out(
    paths: list[str], looks: dict[str, str], same: dict[str, str] | None, shots: dict[str, str]
) -> pd.DataFrame:
    return table(paths, same).assign(
        cluster=[looks.get(path, "") for path in paths],
        original=[shots.get(path, path) for path in paths],
    )


def said(
    paths: list[str],
    looks: dict[str, str] | None = None,
    same: dict[str, str] | None = None,
    shots: dict[str, str] | None = None,
) -> dict[str, str]:
    """Give the conflicts by path, those that are none left out."""
    found = label_conflicts(laid_out(paths, looks or {}, same, shots or {}))
    assert len(found) == len(paths)
    return {path: text for path, text in zip(paths, found, strict=True) if text}


PAIR = ["a/1", "b/2"]
ALL = ["a/1", "a/2", "b/3", "b/4", "c/5"]
SHOTS = {"a/1_0": "a/1", "a/1_1": "a/1", "b/2_0": "b/2", "b/2_1": "b/2", "b/3_0": "b/3"}


@pytest.mark.parametrize(
    ("paths", "same", "looks", "shots", "expected"),
    [
        ([], [], [], {}, {}),
        ([*ALL, "a/6"], ["a/1", "a/6"], [], {}, {}),
        (PAIR, PAIR, [], {}, {"a/1": "identical to b/2", "b/2": "identical to a/1"}),
        # of many each names the first of another class
        (ALL, ALL, [], {}, {p: f"identical to {'b/3' if p < 'b' else 'a/1'}" for p in ALL}),
        (
            [*ALL, "b/7"], [], ALL[:4], {},
            {p: f"nearly identical to {'b/3' if p < 'b' else 'a/1'}" for p in ALL[:4]},
        ),
        # identical files count before near-duplicates
        (
            [*PAIR, "b/3"], PAIR, [*PAIR, "b/3"], {},
            {"a/1": "identical to b/2", "b/2": "identical to a/1",
             "b/3": "nearly identical to a/1"},
        ),
        # copies of an original in conflict are in it too
        (
            list(SHOTS), ["a/1_0", "b/2_0"], [], SHOTS,
            {"a/1_0": "identical to b/2_0", "a/1_1": "copy of a/1_0",
             "b/2_0": "identical to a/1_0", "b/2_1": "copy of b/2_0"},
        ),
    ],
)  # fmt: skip
def test_images_under_two_classes_name_one_that_they_equal(
    paths: list[str],
    same: list[str],
    looks: list[str],
    shots: dict[str, str],
    expected: dict[str, str],
) -> None:
    found = said(paths, dict.fromkeys(looks, "x"), dict.fromkeys(same, "x"), shots)
    assert found == {path: f"label conflict: {text}" for path, text in expected.items()}


def test_conflicts_keep_the_index_of_the_pictures() -> None:
    paths = ["a/1", "b/2", "b/3"]
    pictures = laid_out(paths, {}, {"a/1": "x", "b/3": "x"}, {}).set_index(pd.Index([7, 2, 5]))
    found = label_conflicts(pictures)
    assert found.index.tolist() == [7, 2, 5]
    assert (found != "").tolist() == [True, False, True]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=12))
def test_a_picture_is_in_conflict_where_another_class_holds_its_bytes(
    rows: list[tuple[str, int]],
) -> None:
    paths = [f"{label}/{number}" for number, (label, _) in enumerate(rows)]
    content = {path: str(digest) for path, (_, digest) in zip(paths, rows, strict=True)}
    expected = {
        path
        for path in paths
        if any(content[path] == content[o] and path[0] != o[0] for o in paths)
    }
    found = said(paths, same=content)
    assert set(found) == expected
    for path, text in found.items():
        other = text.removeprefix("label conflict: identical to ")
        assert content[other] == content[path]
        assert other[0] != path[0]
