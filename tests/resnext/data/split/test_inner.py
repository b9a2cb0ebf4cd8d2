import pandas as pd
import pytest

from resnext.data.split.inner import folds_of_originals, split_inside


def outer(*, val: int = 3, patients: int = 15) -> pd.DataFrame:
    """Two classes: a photograph and its copy of each patient, the last three tested on."""
    rows = []
    for label in "ab":
        for patient in range(patients):
            part = "test" if patient >= patients - 3 else "val" if patient < val else "train"
            group = f"{label}{patient}"
            held = part if part == "train" else "unused"
            rows.append((f"{group}_0.png", label, group, 0, part, ""))
            rows.append((f"{group}_1.png", label, group, 1, held, "" if held == part else "copy"))
    columns = ["path", "label", "group", "copy", "split", "reason"]
    return pd.DataFrame(rows, columns=columns)


def test_what_the_split_tests_on_takes_no_part() -> None:
    split = outer()
    inner = split_inside(split, seed=0)
    tested = set(split.loc[split["split"] == "test", "group"])
    assert set(inner.loc[inner["group"].isin(tested), "split"]) == {"unused"}
    assert inner["path"].tolist() == split["path"].tolist()
    assert (inner.loc[inner["split"] == "unused", "reason"] != "").all()


def test_the_split_of_a_fold_which_gives_no_reasons_is_parted_alike() -> None:
    split = outer()
    fold = split.drop(columns="reason")
    pd.testing.assert_series_equal(split_inside(fold, 0)["split"], split_inside(split, 0)["split"])


def test_groups_stay_whole_and_only_originals_are_scored() -> None:
    inner = split_inside(outer(), seed=0)
    used = inner[inner["split"] != "unused"]
    assert (used.groupby("group")["split"].nunique() == 1).all()
    assert (used.loc[used["split"] != "train", "copy"] == 0).all()
    test = used[used["split"] == "test"]
    assert test["label"].value_counts().to_dict() == {"a": 3, "b": 3}, "a quarter of 12 each"
    assert (used["split"] == "val").sum() == 4, "a quarter of the rest, as around it, rounded"


def test_without_a_val_part_the_inner_split_has_none() -> None:
    inner = split_inside(outer(val=0), seed=0)
    assert set(inner["split"]) == {"train", "test", "unused"}


def test_the_seed_alone_decides_and_another_one_draws_others() -> None:
    one, again, other = (split_inside(outer(), seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, again)
    assert one["split"].tolist() != other["split"].tolist()


def test_too_few_groups_are_said_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"at least 3 groups of each class .* got 2 in 'a', 2 in"):
        split_inside(outer(val=1, patients=5), seed=0)


def test_originals_are_divided_by_whole_groups_each_tested_once_and_copies_never() -> None:
    split = outer()
    folds = folds_of_originals(split)
    assert folds[split["copy"] > 0].isna().all()
    assert folds.dropna().nunique() == 5
    tested = split.assign(fold=folds).dropna(subset="fold")
    assert len(tested) == 30
    assert (tested.groupby(["label", "fold"]).size() == 3).all()
    two = split.assign(group=split["group"].replace({"a1": "a0"}))
    assert folds_of_originals(two)[two["group"] == "a0"].dropna().nunique() == 1


def test_the_folds_of_a_split_are_kept_and_what_can_not_be_divided_has_none() -> None:
    split = outer().assign(fold=pd.Series([1, 2] * 30, dtype="Int64"))
    assert set(folds_of_originals(split).dropna()) == {1}, "those of the originals"
    alone = outer()
    assert folds_of_originals(alone[alone["label"] == "a"]).isna().all()
