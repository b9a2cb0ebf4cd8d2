"""A split that is kept while pictures come, go, are renamed, relabelled and regrouped."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.contracts.errors import InputError
from resnext.data.split.draw import draw
from resnext.data.split.groups import join_groups
from resnext.data.split.keep_split import ids_of, kept_splits, kept_warnings, recognise
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import parts, prepared, split, table
from tests.resnext.data.split.test_draw import choices, manifests

EARLIER = pd.DataFrame(
    [
        ("a/1.jpg", "P1", "train", "one"),
        ("a/2.jpg", "P2", "test", "two"),
        ("a/3.jpg", "P2", "", "three"),
        ("a/4.jpg", "P3", "val", ""),
        ("a/5.jpg", "P4", "", "five"),
    ],
    columns=["path", "group", "split", "sha256"],
)


def said(path: str, sha256: str, also: tuple[str, ...] = ()) -> tuple[str, str]:
    """What is known of a picture, where others with these bytes are there too."""
    paths = [path, *(f"b/{digest}.jpg" for digest in also)]
    pictures = pd.DataFrame({"path": paths, "sha256": [sha256, *also]})
    row = recognise(pictures, EARLIER).iloc[0]
    return row["group"], row["split"]


def test_a_picture_is_known_by_its_bytes_whatever_it_is_called() -> None:
    assert said("b/9.jpg", "one") == ("P1", "train")
    assert said("a/1.jpg", "two") == ("P2", "test")
    assert said("b/9.jpg", "nine") == ("", "")


def test_an_edited_picture_is_known_by_its_path_unless_what_lay_there_was_moved() -> None:
    assert said("a/1.jpg", "new") == ("P1", "train")
    assert said("a/1.jpg", "new", also=("one",)) == ("", "")
    assert said("a/4.jpg", "new") == ("P3", "val"), "no manifest says what it held"


def test_what_was_unused_goes_with_its_group() -> None:
    assert said("b/3.jpg", "three") == ("P2", "test")
    assert said("b/5.jpg", "five") == ("P4", "")


def test_of_bytes_that_stood_in_several_parts_train_wins() -> None:
    rows = [("x", "P5", "test", "same"), ("y", "P6", "train", "same")]
    earlier = pd.DataFrame(rows, columns=EARLIER.columns)
    pictures = pd.DataFrame({"path": ["z"], "sha256": ["same"]})
    assert recognise(pictures, earlier)["split"].tolist() == ["train"]


def renamed(manifest: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """Give a split as it is read again, with the bytes of its pictures."""
    digests = manifest[["path", "sha256"]]
    return drawn.assign(split=drawn["split"].replace("unused", "")).merge(digests, on="path")


def parts_by_content(manifest: pd.DataFrame, drawn: pd.DataFrame) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for digest, part in renamed(manifest, drawn)[["sha256", "split"]].to_numpy():
        found.setdefault(digest, set()).update({part} - {""})
    return found


@pytest.mark.parametrize("strategy", ["grouped", "stratified"])
@pytest.mark.parametrize("pattern", ["{}/{:04}.jpg", "{}/K{:03}_01_00.jpg"])
def test_pictures_that_were_numbered_anew_stay_where_they_were(pattern: str, strategy: Any) -> None:
    chosen = SplitSettings(strategy=strategy)
    first = table([pattern.format(label, n) for label in "ab" for n in range(20)])
    was = split(first, chosen)
    shifted = {
        pattern.format(label, n + 2): pattern.format(label, n) for label in "ab" for n in range(20)
    }
    new = [pattern.format(label, n) for label in "ab" for n in range(2)]
    fresh = dict(zip(new, (f"new {path}" for path in new), strict=True))
    second = table(sorted([*new, *shifted]), {**shifted, **fresh})
    other_seed = chosen.model_copy(update={"seed": 5})
    now = split(second, other_seed, renamed(first, was))
    before, after = parts_by_content(first, was), parts_by_content(second, now)
    assert {digest: after[digest] for digest in before} == before
    assert kept_warnings(now, second, renamed(first, was)) == []


def test_unused_copies_of_a_tested_original_do_not_move_it_to_train() -> None:
    names = [f"{patient:03}_{image:02}_{copy:02}" for patient in range(12)
             for image in (1, 2, 3) for copy in (0, 1)]  # fmt: skip
    manifest = table([f"{label}/{label.upper()}{name}.jpg" for label in "ab" for name in names])
    chosen = SplitSettings(strategy="stratified")
    was = split(manifest, chosen)
    assert set(was.loc[was["copy"] > 0, "split"]) == {"train", "unused"}
    now = split(manifest, chosen.model_copy(update={"seed": 5}), renamed(manifest, was))
    assert parts(now) == parts(was)


@settings(max_examples=15, deadline=None)
@given(manifests(fewest=5), choices(), st.randoms(use_true_random=False))
def test_what_was_trained_on_is_never_held_out_however_files_are_renamed(
    manifest: pd.DataFrame, chosen: SplitSettings, random: Any
) -> None:
    manifest = manifest.assign(sha256=manifest["path"]).reset_index(drop=True)
    grouped = chosen.model_copy(update={"strategy": "grouped", "fold": None})
    was = split(manifest, grouped)
    names = manifest["path"].tolist()
    for label in sorted(set(manifest["label"])):  # each class keeps its size
        mine = [place for place, path in enumerate(names) if path.startswith(f"{label}/")]
        shuffled = [names[place] for place in mine]
        random.shuffle(shuffled)
        for place, path in zip(mine, shuffled, strict=True):
            names[place] = path
    moved = manifest.assign(path=names).sort_values("path", ignore_index=True)
    try:
        now = split(moved, grouped, renamed(manifest, was))
    except InputError:  # no part is left to test on
        return
    before, after = parts_by_content(manifest, was), parts_by_content(moved, now)
    for digest, held in before.items():
        if "train" in held:
            assert after[digest] <= {"train"}


def test_pictures_that_moved_to_another_class_stay_where_they_were() -> None:
    first = table([f"{label}/{n:02}.jpg" for label in "ab" for n in range(20)])
    was = split(first, SplitSettings())
    second = first.assign(
        path=[("b" if n % 3 == 0 else "a") + path[1:-4] + f"{path[0]}.jpg"
              for n, path in enumerate(first["path"])],
    )  # fmt: skip
    second = second.assign(label=second["path"].str[0]).sort_values("path", ignore_index=True)
    now = split(second, SplitSettings(seed=3), renamed(first, was))
    assert parts_by_content(second, now) == parts_by_content(first, was)


# ---------------------------------------------------------------- which ids a group holds


def stood(*groups: tuple[str, str], ids: list[tuple[str, ...]] | None = None) -> pd.DataFrame:
    """Lay out an earlier split of one picture a group, whose ids are listed or not."""
    rows = [(f"{group}.jpg", group, part, group) for group, part in groups]
    earlier = pd.DataFrame(rows, columns=EARLIER.columns)
    listed: list[Any] = [None] * len(rows) if ids is None else [*ids]
    return earlier.assign(ids=pd.Series(listed, dtype=object))


def part_of_new(name: str, earlier: pd.DataFrame, *others: str) -> str:
    """Give the part that a new picture of an id gets from an earlier split; empty where none."""
    names = [name, *others]
    pictures = pd.DataFrame({"path": names, "sha256": names, "id": names})
    return kept_splits(pd.Series(names), pictures, earlier).get(name, "")


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    ("one", "other"), [("site=7", "7"), ("a=b", "a"), ("a=b=c", "b"), ("=7", "7"), ("7=", "7")]
)
def test_an_id_with_an_equals_sign_is_no_joined_group(one: str, other: str, listed: bool) -> None:
    earlier = stood((one, "train"), (other, "test"), ids=[(one,), (other,)] if listed else None)
    assert part_of_new(other, earlier) == "test"
    assert part_of_new(one, earlier) == "train"
    alone = stood((one, "train"), ids=[(one,)] if listed else None)
    assert part_of_new(other, alone, one) == ""


def test_new_pictures_of_such_ids_go_with_their_own_group() -> None:
    paths = [f"{label}/{n:02}.jpg" for label in "ab" for n in range(24)]
    groups = {path: f"site={place // 4}" if place % 2 else str(place // 4)
              for place, path in enumerate(paths)}  # fmt: skip
    chosen = SplitSettings(shares=(50, 0, 50))
    first = prepared(table(paths), chosen, groups)
    was = draw(first, chosen)
    part = dict(zip(was["group"], was["split"], strict=True))
    assert {part[f"site={n}"] == part[str(n)] for n in range(12)} == {True, False}
    more = [f"{path[:-4]} again.jpg" for path in paths]
    fresh = {new: groups[old] for new, old in zip(more, paths, strict=True)}
    second = prepared(table(sorted([*paths, *more])), chosen, groups | fresh)
    now = draw(second, SplitSettings(shares=(50, 0, 50), seed=5), earlier=renamed(first, was))
    assert dict(zip(now["group"], now["split"], strict=True)) == part
    assert now.groupby("group")["split"].nunique().max() == 1


def test_a_new_picture_of_any_of_many_joined_ids_goes_with_their_group() -> None:
    ids = tuple(f"{number:02}" for number in range(15))
    (name,) = set(join_groups(ids, ["same"] * 15))
    listed = stood((name, "test"), ("x", "train"), ids=[ids, ("x",)])
    assert {part_of_new(one, listed) for one in ids} == {"test"}
    old = stood((name, "test"), ("x", "train"))
    assert [part_of_new(one, old) for one in ids] == ["test"] * 12 + [""] * 3
    assert part_of_new("+3", old) == ""


def test_a_joined_name_of_an_older_split_is_parted_where_that_can_be_meant() -> None:
    old = stood(("A=B", "test"), ("C", "train"), ("D=C", "val"), ("E=", "val"))
    assert ids_of(old, ["A"]) == {"A=B": ("A", "B"), "C": ("C",), "D=C": ("D=C",), "E=": ("E=",)}
    assert ids_of(old, ["x=1"])["A=B"] == ("A=B",), "today's ids hold such signs themselves"
