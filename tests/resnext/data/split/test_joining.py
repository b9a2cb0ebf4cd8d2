"""Which near-duplicates are joined: by hand-made looks, without an image."""

import pandas as pd
import pytest

from resnext.data.split.duplicates import COLUMNS, NearDuplicates
from resnext.data.split.groups import read_names
from resnext.data.split.joining import Joinable, joinable
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import table


def judged(
    groups: dict[str, str],
    looks: dict[str, str],
    before: dict[str, str] | None = None,
    **chosen: object,
) -> Joinable:
    """Judge near-duplicates among images of known groups, and one that no table names."""
    naming = read_names(table([*groups, "z/alone.png"]), groups=groups)
    pairs = [(path, look) for path, look in looks.items() if path != look]
    near = NearDuplicates(
        pd.DataFrame(pairs, columns=["path", "other"])
        .assign(verdict="joined")
        .reindex(columns=COLUMNS),
        looks,
    )
    earlier = [(before or {}).get(path, "") for path in naming.pictures["path"]]
    settings = SplitSettings.model_validate(chosen)
    return joinable(naming, near, settings, pd.Series(earlier, dtype="str"))


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
    assert bool(found.near.looks) == joined
    assert set(found.near.pairs["verdict"]) == {"joined" if joined else "reported"}
    assert ("class 'a' in too few groups" in found.why) != joined


def test_folds_need_as_many_groups_as_there_are() -> None:
    groups = each_alone("a", 6) | each_alone("b", 9)
    looks = alike("a/00.png", "a/01.png")
    assert judged(groups, looks, fold=(1, 5)).why == ""
    assert judged(groups, looks, fold=(1, 6)).why != ""


def test_a_class_that_was_mostly_one_group_before_is_not_kept_from_joining() -> None:
    groups = dict.fromkeys(each_alone("a", 12), "A") | {f"a/x{n}.png": f"x{n}" for n in range(4)}
    groups |= each_alone("b", 9)
    assert judged(groups, alike("a/x0.png", "a/x1.png")).why == ""


def test_groups_that_others_join_are_cut_too() -> None:
    """Both groups of class a are joined by two images of class b alone."""
    groups = {"a/1.png": "G", "a/2.png": "H", "a/3.png": "I", "b/1.png": "G", "b/2.png": "H"}
    found = judged(groups | each_alone("c", 9), alike("b/1.png", "b/2.png"))
    assert found.near.looks == {}
    assert "class 'a'" in found.why


def test_what_an_earlier_split_joined_counts_as_joined_before() -> None:
    groups = each_alone("a", 4) | each_alone("b", 9)
    looks = alike("a/00.png", "a/01.png", "a/02.png")
    assert judged(groups, looks, before=dict.fromkeys(looks, "old")).why == ""


def test_of_many_classes_five_are_named_and_then_the_total() -> None:
    groups, looks = dict[str, str](), dict[str, str]()
    for label in "abcdefg":
        mine = each_alone(label, 3)
        groups |= mine
        looks |= alike(*mine)
    why = judged(groups, looks).why
    assert "'a', 'b', 'c', 'd', 'e' and 2 more in too few groups" in why
