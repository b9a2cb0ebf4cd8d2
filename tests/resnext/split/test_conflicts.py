"""Pictures under two classes: each is named with one that it equals, by hand."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from resnext.split.conflicts import label_conflicts
from resnext.split.duplicates import COLUMNS
from tests.resnext.samples import table


def near_pairs(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Lay out near-duplicates by path, other and verdict."""
    found = pd.DataFrame(rows, columns=["path", "other", "verdict"])
    labels = {
        label: found[column].str.split("/").str[0]
        for label, column in (("label", "path"), ("other_label", "other"))
    }
    return found.assign(**labels).reindex(columns=COLUMNS)


def said(
    paths: list[str], *pairs: tuple[str, str, str], same: dict[str, str] | None = None
) -> dict[str, str]:
    """Give the conflicts by path, those that are none left out."""
    found = label_conflicts(table(paths, same), near_pairs(*pairs))
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


def test_near_duplicates_of_two_classes_name_each_other() -> None:
    assert said(["a/1", "a/2", "b/3"], ("a/1", "b/3", "joined")) == {
        "a/1": "label conflict: nearly identical to b/3",
        "b/3": "label conflict: nearly identical to a/1",
    }


def test_of_many_near_duplicates_the_first_pair_is_named() -> None:
    pairs = [("a/1", "b/3", "joined"), ("a/2", "b/3", "joined"), ("a/2", "b/4", "joined")]
    assert said(["a/1", "a/2", "b/3", "b/4"], *pairs) == {
        "a/1": "label conflict: nearly identical to b/3",
        "a/2": "label conflict: nearly identical to b/3",
        "b/3": "label conflict: nearly identical to a/1",
        "b/4": "label conflict: nearly identical to a/2",
    }


def test_files_identical_to_a_near_duplicate_are_in_conflict_too() -> None:
    pairs = [("a/1", "b/3", "joined")]
    same = {"a/1": "x", "a/2": "x", "b/3": "y", "b/4": "y"}
    assert said(["a/1", "a/2", "b/3", "b/4"], *pairs, same=same) == {
        "a/1": "label conflict: nearly identical to b/3",
        "a/2": "label conflict: nearly identical to b/3",
        "b/3": "label conflict: nearly identical to a/1",
        "b/4": "label conflict: nearly identical to a/1",
    }


def test_identical_files_count_before_near_duplicates() -> None:
    found = said(["a/1", "b/2", "b/3"], ("a/1", "b/3", "joined"), same={"a/1": "x", "b/2": "x"})
    assert found == {
        "a/1": "label conflict: identical to b/2",
        "b/2": "label conflict: identical to a/1",
        "b/3": "label conflict: nearly identical to a/1",
    }


def test_pairs_of_one_class_and_pairs_for_a_person_to_judge_are_no_conflict() -> None:
    pairs = [("a/1", "a/2", "joined"), ("a/1", "b/3", "listed")]
    assert said(["a/1", "a/2", "b/3"], *pairs) == {}


def test_conflicts_keep_the_index_of_the_pictures() -> None:
    pictures = table(["a/1", "b/2", "b/3"], {"a/1": "x", "b/3": "x"}).set_index(pd.Index([7, 2, 5]))
    found = label_conflicts(pictures, near_pairs())
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
