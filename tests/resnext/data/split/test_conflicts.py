"""Pictures under two classes: each is named with one that it equals, by hand."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from resnext.data.split.conflicts import label_conflicts
from tests.resnext.data.samples import table


def laid_out(
    paths: list[str], looks: dict[str, str], same: dict[str, str] | None, shots: dict[str, str]
) -> pd.DataFrame:
    return table(paths, same).assign(
        look=[looks.get(path, "") for path in paths],
        photograph=[shots.get(path, path) for path in paths],
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


def test_no_picture_stands_under_two_classes() -> None:
    assert said(["a/1", "a/2", "b/3"], same={"a/1": "x", "a/2": "x"}) == {}
    assert said([]) == {}


def test_identical_files_of_two_classes_name_each_other() -> None:
    assert said(["a/1", "a/2", "b/3"], same={"a/1": "x", "b/3": "x"}) == {
        "a/1": "label conflict: identical to b/3",
        "b/3": "label conflict: identical to a/1",
    }


def test_of_many_identical_files_each_names_the_first_of_another_class() -> None:
    paths = ["a/1", "a/2", "b/3", "b/4", "c/5"]
    assert said(paths, same=dict.fromkeys(paths, "x")) == {
        "a/1": "label conflict: identical to b/3",
        "a/2": "label conflict: identical to b/3",
        "b/3": "label conflict: identical to a/1",
        "b/4": "label conflict: identical to a/1",
        "c/5": "label conflict: identical to a/1",
    }


def test_near_duplicates_of_two_classes_name_the_first_of_the_other() -> None:
    looks = dict.fromkeys(["a/1", "a/2", "b/3", "b/4"], "x") | {"a/5": "y", "a/6": "y"}
    assert said(["a/1", "a/2", "a/5", "a/6", "b/3", "b/4", "b/7"], looks) == {
        "a/1": "label conflict: nearly identical to b/3",
        "a/2": "label conflict: nearly identical to b/3",
        "b/3": "label conflict: nearly identical to a/1",
        "b/4": "label conflict: nearly identical to a/1",
    }


def test_identical_files_count_before_near_duplicates() -> None:
    looks = dict.fromkeys(["a/1", "b/2", "b/3"], "look")
    assert said(["a/1", "b/2", "b/3"], looks, same={"a/1": "x", "b/2": "x"}) == {
        "a/1": "label conflict: identical to b/2",
        "b/2": "label conflict: identical to a/1",
        "b/3": "label conflict: nearly identical to a/1",
    }


def test_copies_of_a_photograph_in_conflict_are_in_it_too() -> None:
    shots = {"a/1_0": "a/1", "a/1_1": "a/1", "b/2_0": "b/2", "b/2_1": "b/2", "b/3_0": "b/3"}
    assert said(list(shots), same={"a/1_0": "x", "b/2_0": "x"}, shots=shots) == {
        "a/1_0": "label conflict: identical to b/2_0",
        "a/1_1": "label conflict: copy of a/1_0",
        "b/2_0": "label conflict: identical to a/1_0",
        "b/2_1": "label conflict: copy of b/2_0",
    }


def test_conflicts_keep_the_index_of_the_pictures() -> None:
    paths = ["a/1", "b/2", "b/3"]
    pictures = laid_out(paths, {}, {"a/1": "x", "b/3": "x"}, {}).set_index(pd.Index([7, 2, 5]))
    found = label_conflicts(pictures)
    assert found.index.tolist() == [7, 2, 5]
    assert (found != "").tolist() == [True, False, True]


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
