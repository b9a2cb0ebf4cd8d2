"""The splits: groups, duplicates, shares, and what is refused; by hand and by hypothesis."""

import re
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from resnext.contracts.errors import InputError
from resnext.data.split.draw import draw
from resnext.data.split.leakage import count_leaks
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import (
    count,
    msld,
    parts,
    plain,
    prepared,
    refused,
    split,
    table,
    users_scan,
)

PERCENT = {"train": 0, "val": 1, "test": 2}


# ---------------------------------------------------------------- identical files


def test_identical_files_keep_two_patients_together() -> None:
    same = {f"Macular/M{n:02d}_01_00.jpg": "x" for n in (2, 9)}
    manifest = msld(20, copies=1).assign(
        sha256=[same.get(path, path) for path in msld(20, copies=1)["path"]]
    )
    for seed in range(20):
        drawn = split(manifest, SplitSettings(seed=seed)).set_index("path")
        assert set(drawn.loc[list(same), "group"]) == {"M02=M09"}
        mine = drawn[drawn["group"] == "M02=M09"]
        used = set(mine["split"]) - {"unused"}
        assert len(used) == 1
        if used <= {"val", "test"}:
            part = next(iter(used))
            assert drawn.loc["Macular/M02_01_00.jpg", "split"] == part
            assert drawn.loc["Macular/M09_01_00.jpg", "split"] == "unused"
            reason = f"identical to a photograph already in {part}"
            assert drawn.loc["Macular/M09_01_00.jpg", "reason"] == reason
            break
    else:
        pytest.fail("the pair was never held out")


def test_identical_files_of_two_classes_are_used_nowhere() -> None:
    manifest = msld(8)
    pair = ["Macular/M03_01_00.jpg", "Pustular/P05_01_00.jpg"]
    manifest.loc[manifest["path"].isin(pair), "sha256"] = "x"
    for strategy in ("grouped", "stratified"):
        chosen = SplitSettings.model_validate({"strategy": strategy})
        drawn = split(manifest, chosen).set_index("path")
        assert drawn.loc[pair, "split"].tolist() == ["unused", "unused"]
        assert drawn.loc[pair, "reason"].tolist() == [
            "label conflict: identical to Pustular/P05_01_00.jpg",
            "label conflict: identical to Macular/M03_01_00.jpg",
        ]


# ---------------------------------------------------------------- the drawn parts


def test_a_grouped_split_by_hand() -> None:
    drawn = split(msld(10, copies=2), SplitSettings())
    for label in ("Macular", "Pustular"):
        mine = drawn[drawn["label"] == label]
        assert [count(mine, part) for part in ("train", "val", "test", "unused")] == [21, 1, 2, 6]
    unused = drawn[drawn["split"] == "unused"]
    assert set(unused["reason"]) == {"copy of a held-out photograph"}
    assert (unused["copy"] > 0).all()
    assert (drawn[drawn["split"] != "unused"]["reason"] == "").all()


def test_a_stratified_split_takes_photographs_by_class() -> None:
    drawn = split(msld(5, photographs=4, copies=1), SplitSettings(strategy="stratified"))
    for _, mine in drawn.groupby("label"):
        assert [count(mine, part) for part in ("train", "val", "test", "unused")] == [28, 2, 4, 6]
    assert not drawn[drawn["split"].isin(["val", "test"])]["copy"].any()


def test_a_random_split_cuts_all_pictures_and_cleans_nothing() -> None:
    manifest = plain(13).assign(sha256="x")
    drawn = split(manifest, SplitSettings(strategy="random", shares=(80, 0, 20)))
    assert [count(drawn, part) for part in ("train", "val", "test")] == [20, 0, 6]
    drawn = split(manifest, SplitSettings(strategy="random"))
    assert [count(drawn, part) for part in ("train", "val", "test")] == [18, 2, 6]


def test_every_patient_can_be_tested() -> None:
    manifest = msld(6, copies=0)
    tested: set[str] = set()
    for seed in range(40):
        drawn = split(manifest, SplitSettings(seed=seed))
        tested |= set(drawn[drawn["split"] == "test"]["group"])
    assert len(tested) == 12


def test_a_group_above_the_smallest_part_is_trained_on() -> None:
    paths = [f"a/P1_{n}_00.jpg" for n in range(1, 40)]
    paths += [f"{c}/{c.upper()}{n}_1_00.jpg" for c in "ab" for n in range(2, 40)]
    for seed in range(5):
        drawn = split(table(paths), SplitSettings(seed=seed))
        assert set(drawn[drawn["group"] == "P1"]["split"]) == {"train"}


def test_copies_without_their_photograph_are_only_trained_on() -> None:
    manifest = msld(10)
    manifest = manifest[~manifest["path"].isin(["Macular/M04_01_00.jpg"])]
    for seed in range(5):
        drawn = split(manifest, SplitSettings(seed=seed))
        assert set(drawn[drawn["group"] == "M04"]["split"]) == {"train"}


def test_a_patient_may_be_of_two_classes() -> None:
    paths = [f"{c}/P{n:02d}_{k}_00.jpg" for n in range(20) for k, c in enumerate("ab")]
    drawn = split(table(paths), SplitSettings())
    assert drawn.groupby("group")["split"].nunique().max() == 1
    for part in ("train", "val", "test"):
        assert set(drawn[drawn["split"] == part]["label"]) == {"a", "b"}


# ---------------------------------------------------------------- properties


@st.composite
def manifests(draw: st.DrawFn, fewest: int = 3) -> pd.DataFrame:
    """Draw classes, patients, photographs, copies and some identical files, rows in any order."""
    paths: list[str] = []
    for number in range(draw(st.integers(2, 4))):
        letter = "KLMN"[number]
        for patient in range(draw(st.integers(fewest, 14))):
            for photograph in range(draw(st.integers(1, 4))):
                paths += [
                    f"class {letter}/{letter}{patient:02d}_{photograph:02d}_{copy:02d}.jpg"
                    for copy in range(draw(st.integers(1, 3)))
                ]
    keys = draw(st.lists(st.integers(0, 10 * len(paths)), min_size=len(paths), max_size=len(paths)))
    manifest = table(paths).assign(sha256=[f"{key:064x}" for key in keys])
    order = draw(st.permutations(range(len(paths))))
    return manifest.iloc[list(order)].reset_index(drop=True)


shares = st.sampled_from([(70, 10, 20), (80, 0, 20), (60, 20, 20), (50, 25, 25), (34, 33, 33)])
strategies = st.sampled_from(["grouped", "stratified", "random"])


@st.composite
def choices(draw: st.DrawFn) -> SplitSettings:
    return SplitSettings.model_validate(
        {"strategy": draw(strategies), "shares": draw(shares), "seed": draw(st.integers(0, 2**40))}
    )


def drawn_or_none(manifest: pd.DataFrame, chosen: SplitSettings) -> pd.DataFrame | None:
    """Draw; None where joining left a class too few groups, which must be said in words."""
    try:
        return split(manifest, chosen)
    except InputError as error:
        said = re.search(r"hold at least \d|part of \d+ pictures is empty", str(error))
    assert said
    return None


@settings(max_examples=15, deadline=None)
@given(manifests(), choices(), st.sampled_from([None, (1, 3)]))
def test_every_image_is_somewhere_once_no_group_straddles_and_nothing_leaks(
    manifest: pd.DataFrame, chosen: SplitSettings, fold: tuple[int, int] | None
) -> None:
    chosen = chosen.model_copy(update={"strategy": "grouped", "fold": fold})
    drawn = drawn_or_none(manifest, chosen)
    if drawn is not None:
        assert drawn["path"].tolist() == sorted(manifest["path"])
        assert set(drawn["split"]) <= {"train", "val", "test", "unused"}
        assert ((drawn["reason"] != "") == (drawn["split"] == "unused")).all()
        used = drawn[drawn["split"] != "unused"].merge(manifest[["path", "sha256"]], on="path")
        assert used.groupby("group")["split"].nunique().max() == 1
        assert used.groupby("sha256")["split"].nunique().max() == 1
        held_out = used[used["split"].isin(["val", "test"])]
        assert not held_out["copy"].any()
        assert not held_out.duplicated("sha256").any()
        assert count_leaks(prepared(manifest), drawn)["any"]["count"] == 0


@settings(max_examples=15, deadline=None)
@given(manifests(), choices(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    manifest: pd.DataFrame, chosen: SplitSettings, random: Any
) -> None:
    drawn = drawn_or_none(manifest, chosen)
    order = list(range(len(manifest)))
    random.shuffle(order)
    again = drawn_or_none(manifest.iloc[order], chosen)
    if drawn is None or again is None:
        assert drawn is again
    else:
        assert drawn.to_csv(index=False) == again.to_csv(index=False)


def missed(drawn: pd.DataFrame, chosen: SplitSettings) -> tuple[float, int]:
    """Return the most photographs by which a part misses its share, and the largest group."""
    photographs = drawn[(drawn["copy"] == 0)]
    total = len(photographs)
    off = [
        abs(count(photographs, part) - chosen.shares[place] / 100 * total)
        for part, place in PERCENT.items()
    ]
    return max(off), int(photographs["group"].value_counts().max())


@settings(max_examples=20, deadline=None)
@given(manifests(fewest=10), choices())
def test_shares_are_met_within_the_largest_group_and_classes_are_everywhere(
    manifest: pd.DataFrame, chosen: SplitSettings
) -> None:
    manifest = manifest.assign(sha256=manifest["path"])  # a photograph for each name
    grouped = chosen.model_copy(update={"strategy": "grouped"})
    drawn = split(manifest, grouped)
    off, largest = missed(drawn, grouped)
    assert off <= largest + 1e-9
    for part, place in PERCENT.items():
        if grouped.shares[place]:
            assert set(drawn[drawn["split"] == part]["label"]) == set(manifest["label"])


# ---------------------------------------------------------------- folds


def fold(number: int, folds: int, **chosen: Any) -> SplitSettings:
    return SplitSettings.model_validate({"fold": (number, folds), **chosen})


def times_tested(manifest: pd.DataFrame, folds: int, **chosen: Any) -> dict[str, int]:
    """Count how often each photograph is tested over all folds."""
    drawn = [split(manifest, fold(number + 1, folds, **chosen)) for number in range(folds)]
    held_out = pd.concat([one.loc[one["split"] == "test", "path"] for one in drawn])
    return {str(path): int(times) for path, times in held_out.value_counts().items()}


def test_a_fold_by_hand() -> None:
    drawn = split(msld(10, copies=1), fold(2, 5))  # 20 patients: 4 a fold, the rest 7 to 1
    photographs = drawn[drawn["copy"] == 0]
    assert [count(photographs, part) for part in ("train", "val", "test")] == [14, 2, 4]
    assert parts(drawn) != parts(split(msld(10, copies=1), fold(3, 5)))


@settings(max_examples=10, deadline=None)
@given(manifests(fewest=6), st.integers(2, 5), st.sampled_from(["grouped", "stratified"]))
def test_over_all_folds_every_photograph_is_tested_once(
    manifest: pd.DataFrame, folds: int, strategy: str
) -> None:
    manifest = manifest.assign(sha256=manifest["path"])
    photographs = manifest.loc[manifest["path"].str.endswith("_00.jpg"), "path"]
    counts = times_tested(manifest, folds, strategy=strategy)
    assert counts == dict.fromkeys(photographs, 1)


def test_too_few_groups_for_the_folds_are_said() -> None:
    assert "hold at least 6 groups for a split into 6 parts" in refused(msld(5), fold=(1, 6))


@pytest.mark.parametrize("wrong", [(0, 5), (6, 5), (1, 1)])
def test_a_fold_is_one_of_k(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="fold must be I/K"):
        SplitSettings(fold=wrong)


def test_a_random_split_has_no_folds() -> None:
    with pytest.raises(ValidationError, match="fold must go with the strategy grouped"):
        SplitSettings(strategy="random", fold=(1, 5))


# ---------------------------------------------------------------- copies held out


def test_copies_are_held_out_where_they_are_asked_for() -> None:
    drawn = split(msld(10, copies=2), SplitSettings(hold_out_copies=True))
    assert [count(drawn, part) for part in ("train", "val", "test", "unused")] == [42, 6, 12, 0]


# ---------------------------------------------------------------- an earlier split is kept


def grown(manifest: pd.DataFrame, random: Any, patients: int) -> pd.DataFrame:
    """Add patients, and photographs of known ones, in any order."""
    paths = [f"class {c}/{c}{n:02d}_01_00.jpg" for c in "KL" for n in range(50, 50 + patients)]
    paths += [f"class {c}/{c}00_77_00.jpg" for c in "KL"]
    both = pd.concat([manifest, table(paths)], ignore_index=True)
    order = list(range(len(both)))
    random.shuffle(order)
    return both.iloc[order]


@settings(max_examples=15, deadline=None)
@given(manifests(fewest=5), choices(), st.integers(0, 9), st.randoms(use_true_random=False))
def test_adding_pictures_moves_no_group(
    manifest: pd.DataFrame, chosen: SplitSettings, patients: int, random: Any
) -> None:
    manifest = manifest.assign(sha256=manifest["path"])
    grouped = chosen.model_copy(update={"strategy": "grouped"})
    first = split(manifest, grouped)
    other_seed = grouped.model_copy(update={"seed": grouped.seed + 1})
    second = split(grown(manifest, random, patients), other_seed, first)
    now = parts(second)
    assert {path: now[path] for path in parts(first)} == parts(first)
    used = second[second["split"] != "unused"]
    assert used.groupby("group")["split"].nunique().max() == 1


def test_new_groups_fill_the_largest_deficit() -> None:
    first = split(msld(10, copies=0), SplitSettings(shares=(80, 0, 20)))
    assert [count(first, part) for part in ("train", "test")] == [16, 4]
    # 20 patients more, of 40 in all: 28, 4 and 8 are due
    second = split(msld(20, copies=0), SplitSettings(), first)
    assert [count(second, part) for part in ("train", "val", "test")] == [28, 4, 8]


@pytest.mark.parametrize(
    ("stood", "goes_to"),
    [(("train", "test"), "train"), (("val", "test"), "val"), (("train", "val"), "train")],
)
def test_groups_that_merge_go_to_the_most_used_part(stood: tuple[str, str], goes_to: str) -> None:
    manifest = msld(10, copies=0)
    first = split(manifest, SplitSettings())
    mine = first[first["label"] == "Macular"]
    pair = [str(mine.loc[mine["split"] == part, "path"].iloc[0]) for part in stood]
    merged = manifest.assign(sha256=["x" if path in pair else path for path in manifest["path"]])
    second = split(merged, SplitSettings(), first).set_index("path")
    kept = second.loc[pair]
    assert set(kept["split"]) - {"unused"} == {goes_to}
    assert kept["group"].nunique() == 1
    others = first[~first["path"].isin(pair)].set_index("path")["split"]
    assert second.loc[others.index, "split"].tolist() == others.tolist()


def test_a_renamed_file_of_a_known_patient_stays_with_it() -> None:
    manifest = msld(10, copies=0)
    first = split(manifest, SplitSettings())
    names = manifest["path"].str.replace("_01_00", "_09_00")
    second = split(manifest.assign(path=names, sha256=names), SplitSettings(seed=5), first)
    assert second["split"].tolist() == first["split"].tolist()


def test_of_identical_photographs_the_one_that_was_tested_on_stays() -> None:
    manifest = table([f"{c}/{c.upper()}{n:02d}_01_00.jpg" for c in "ab" for n in range(10, 20)])
    first = split(manifest, SplitSettings())
    old = str(first.loc[first["split"] == "test", "path"].iloc[0])
    new = old.replace("_01_00", "_00_00")  # the same patient, and first by name
    assert new < old
    more = pd.concat([manifest, table([new], {new: old})], ignore_index=True)
    second = parts(split(more, SplitSettings(), first))
    assert (second[old], second[new]) == ("test", "unused")


def test_a_photograph_stays_where_patients_may_cross() -> None:
    chosen = SplitSettings(strategy="stratified")
    first = split(msld(4, photographs=5), chosen)
    second = parts(split(msld(4, photographs=9), chosen.model_copy(update={"seed": 9}), first))
    assert {path: second[path] for path in parts(first)} == parts(first)


# ---------------------------------------------------------------- a given split


def draw_given(manifest: pd.DataFrame, given: dict[str, str] | None) -> pd.DataFrame:
    return draw(prepared(manifest), SplitSettings(strategy="given"), given=given)


def test_a_given_split_is_used_as_it_is() -> None:
    manifest = msld(3, copies=1)
    given = dict.fromkeys(manifest["path"], "train")
    copy_held_out, left_out, not_named = list(given)[1], list(given)[2], list(given)[3]
    given |= {copy_held_out: "test", left_out: ""}
    del given[not_named]
    drawn = draw_given(manifest, given).set_index("path")
    assert drawn.loc[copy_held_out, "split"] == "test"
    for path, why in (
        (left_out, "unused in the given split"),
        (not_named, "not in the given split"),
    ):
        assert drawn.loc[path, ["split", "reason"]].tolist() == ["unused", why]
    assert (drawn["split"] == "train").sum() == len(manifest) - 3


def test_folders_give_the_parts_and_val_stands_in_for_test() -> None:
    paths = [f"{part}/a/{n}.jpg" for part in ("Training", "valid") for n in range(4)]
    drawn = draw_given(table(paths).assign(label="a"), None)
    assert drawn["split"].tolist() == ["train"] * 4 + ["test"] * 4
    paths += ["testing/a/1.jpg"]
    drawn = draw_given(table(paths).assign(label="a"), None)
    assert drawn["split"].tolist() == ["train"] * 4 + ["test"] + ["val"] * 4


def test_a_given_split_without_a_part_that_is_needed_is_refused() -> None:
    manifest = msld(3)
    for part, missing in (("train", "test"), ("test", "train")):
        with pytest.raises(InputError, match=f"got no {missing} image among 18"):
            draw_given(manifest, dict.fromkeys(manifest["path"], part))


def test_given_without_folders_or_a_table_is_refused() -> None:
    with pytest.raises(InputError, match="split must be drawn where the folder holds"):
        draw_given(msld(3), None)


# ---------------------------------------------------------------- one line for wrong input


@pytest.mark.parametrize("strategy", ["grouped", "stratified", "random"])
def test_a_class_with_one_picture_is_named(strategy: str) -> None:
    manifest = table([*plain(9)["path"], "daisy/1.jpg"])
    assert refused(manifest, strategy=strategy) == (
        "Each class folder must hold at least 3 images for a split into 3 parts, got 1 in "
        "'daisy'. Add images or remove the folder."
    )


def test_too_few_patients_are_counted_in_groups() -> None:
    manifest = pd.concat([msld(5), table([f"c/C{n}_{k}_00.jpg" for n in "12" for k in "123"])])
    assert refused(manifest) == (
        "Each class folder must hold at least 3 groups for a split into 3 parts, got 2 in 'c'. Add "
        "images of other patients, remove the folder, say with `groups` or `group_pattern` who "
        "is who, or use `split` stratified."
    )
    split(manifest, SplitSettings(strategy="stratified"))


def test_five_small_classes_are_named_and_the_others_counted() -> None:
    text = refused(table([*plain(9)["path"], *(f"s{n}/1.jpg" for n in range(7))]))
    assert "got 1 in 's0', 1 in 's1', 1 in 's2', 1 in 's3', 1 in 's4' and 2 more. " in text
    assert "'s5'" not in text


def test_a_part_without_a_picture_is_said() -> None:
    text = refused(plain(3), strategy="random")
    assert text == (
        "shares must leave an image to each of train, val and test, got 70,10,20. Of 6 images "
        "none is left for val. Add images or give other shares."
    )


@pytest.mark.parametrize("wrong", [(70, 10, 10), (0, 50, 50), (80, 20, 0), (110, -20, 10)])
def test_shares_that_do_not_sum_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValidationError, match="shares must be three percentages that sum to 100"):
        SplitSettings(shares=wrong)


@pytest.mark.parametrize(
    ("pattern", "words"), [("(", "must be a regular expression"), (r"P\d+", "named group 'group'")]
)
def test_a_bad_pattern_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SplitSettings(group_pattern=pattern)


def test_every_setting_says_what_it_means() -> None:
    for name, field in SplitSettings.model_fields.items():
        assert field.description, name


# ---------------------------------------------------------------- the real thing


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return users_scan().manifest


@pytest.mark.parametrize("seed", range(5))
def test_the_users_grouped_split_holds_no_copy_out_and_crosses_nowhere(
    real: pd.DataFrame, seed: int
) -> None:
    drawn = split(real, SplitSettings(seed=seed))
    assert not drawn[drawn["split"].isin(["val", "test"])]["copy"].any()
    used = drawn[drawn["split"] != "unused"]
    assert used.groupby("group")["split"].nunique().max() == 1
    off, largest = missed(drawn, SplitSettings())
    assert off <= largest


# ---------------------------------------------------------------- folds


def test_with_folds_nothing_is_held_out_of_the_model_that_is_kept() -> None:
    chosen = SplitSettings(folds=4)
    drawn = split(msld(10, copies=2), chosen)
    assert set(drawn["split"]) == {"train", "val", "unused"}
    originals = drawn[drawn["copy"] == 0]
    assert set(originals["split"]) == {"train", "val"}
    assert chosen.splits == ["train", "val"]


def test_every_fold_of_every_repeat_is_that_of_its_own_settings() -> None:
    chosen = SplitSettings(folds=3, repeats=2, seed=7)
    each = chosen.each_fold
    assert list(each) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert each[2, 3] == SplitSettings(fold=(3, 3), seed=8)


def test_folds_need_groups_enough_of_each_class_and_a_strategy_of_units() -> None:
    with pytest.raises(InputError, match="hold at least 7 groups for a split into 7 parts"):
        split(msld(6), SplitSettings(folds=7))
    with pytest.raises(ValidationError, match="folds must go with the strategy grouped"):
        SplitSettings(folds=3, strategy="random")
