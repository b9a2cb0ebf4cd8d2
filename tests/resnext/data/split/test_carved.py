"""A given split without a val part: validation groups are taken out of its train part."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given as drawn_from
from hypothesis import settings as limits
from hypothesis import strategies

from resnext.contracts.tables import write_table
from resnext.data.manifest.scan import scan
from resnext.data.split.describe import describe_split
from resnext.data.split.draw import draw
from resnext.data.split.settings import SplitSettings
from resnext.data.split.split_folder import split_folder
from resnext.data.split.tables import Sources
from tests.resnext.data.samples import (
    cats_and_dogs,
    count,
    divided,
    drawn,
    msld,
    prepared,
    save,
    table,
)

CARVED = SplitSettings(strategy="given", carve_val=True)


def given_by_number(manifest: pd.DataFrame, tested: int, other: str = "test") -> dict[str, str]:
    """Give the patients up to a number to test, and the others to train."""
    return {
        path: other if int(path.split("/")[1][1:3]) <= tested else "train"
        for path in manifest["path"]
    }


def carved(
    manifest: pd.DataFrame, given: dict[str, str], settings: SplitSettings = CARVED
) -> pd.DataFrame:
    return draw(prepared(manifest), settings, given=given)


def groups_of(drawn: pd.DataFrame, part: str) -> set[str]:
    return set(drawn.loc[drawn["split"] == part, "group"])


# ---------------------------------------------------------------- what is taken


def test_whole_groups_are_taken_in_the_ratio_of_train_to_val_and_test_stays() -> None:
    manifest = msld(20, photographs=1, copies=2)  # two classes of 20 patients, 3 files each
    drawn = carved(manifest, given_by_number(manifest, 4))
    assert count(drawn, "test") == 2 * 4 * 3  # as it was given, copies too
    assert len(groups_of(drawn, "val")) == 4  # of 32 patients an eighth
    assert count(drawn, "val") == 4  # photographs alone
    copies = drawn[drawn["reason"] == "copy of a held-out photograph"]
    assert set(copies["group"]) == groups_of(drawn, "val")
    assert len(groups_of(drawn, "train")) == 28
    assert count(drawn, "train") == 28 * 3
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not groups_of(drawn, one) & groups_of(drawn, other)


@pytest.mark.parametrize(("shares", "groups"), [((50, 30, 20), 12), ((80, 0, 20), 0)])
def test_shares_say_how_much_is_taken(shares: tuple[int, int, int], groups: int) -> None:
    manifest = msld(20)
    settings = CARVED.model_copy(update={"shares": shares})
    assert len(groups_of(carved(manifest, given_by_number(manifest, 4), settings), "val")) == groups


def test_val_is_the_test_part_where_there_is_no_other_and_validation_comes_out_of_train() -> None:
    manifest = msld(20)
    given = given_by_number(manifest, 4, other="val")
    drawn = carved(manifest, given)
    test = set(drawn.loc[drawn["split"] == "test", "path"])
    assert test == {path for path, part in given.items() if part == "val"}
    assert len(groups_of(drawn, "val")) == 4


@pytest.mark.parametrize("settings", [CARVED, SplitSettings(strategy="given")])
def test_three_splits_are_left_as_they_are_and_two_where_nothing_is_asked(
    settings: SplitSettings,
) -> None:
    manifest = msld(9)
    given = given_by_number(manifest, 3)
    if settings.carve_val:
        given |= given_by_number(manifest[manifest["path"].str.contains(r"[MP]0[12]_")], 2, "val")
    drawn = carved(manifest, given, settings)
    assert dict(zip(drawn["path"], drawn["split"], strict=True)) == given


def test_a_group_that_reaches_into_test_stays_in_train() -> None:
    manifest = msld(8, photographs=2, copies=0)
    given = {  # of six patients of eight one photograph is in test
        path: "test" if "_02_" in path and int(path.split("/")[1][1:3]) <= 6 else "train"
        for path in manifest["path"]
    }
    reaching = {f"{letter}{number:02}" for letter in "MP" for number in range(1, 7)}
    for seed in range(5):
        settings = CARVED.model_copy(update={"seed": seed, "shares": (40, 40, 20)})
        drawn = carved(manifest, given, settings)
        assert reaching <= groups_of(drawn, "train")
        assert not groups_of(drawn, "val") & (groups_of(drawn, "train") | groups_of(drawn, "test"))
        assert groups_of(drawn, "val") == {"M07", "M08", "P07", "P08"}


@limits(max_examples=30, deadline=None)
@drawn_from(
    parts=strategies.lists(
        strategies.sampled_from(["train", "train", "train", "test"]), min_size=24, max_size=24
    ),
    seed=strategies.integers(0, 99),
)
def test_val_shares_no_group_with_another_part_and_every_class_stays_in_train(
    parts: list[str], seed: int
) -> None:
    manifest = msld(6, photographs=2, copies=0)
    given = dict(zip(manifest["path"], [*parts[:-2], "train", "test"], strict=True))
    drawn = carved(manifest, given, CARVED.model_copy(update={"seed": seed}))
    assert not groups_of(drawn, "val") & (groups_of(drawn, "train") | groups_of(drawn, "test"))
    before = {path for path, part in given.items() if part == "test"}
    assert set(drawn.loc[drawn["split"] == "test", "path"]) == before
    learnt = {path.split("/")[0] for path, part in given.items() if part == "train"}
    assert set(drawn.loc[drawn["split"] == "train", "label"]) == learnt


def test_a_class_with_one_group_is_not_taken_from_train() -> None:
    paths = [f"a/A{n:02}_01_00.jpg" for n in range(1, 17)] + ["b/B01_01_00.jpg", "b/B01_02_00.jpg"]
    manifest = table([*paths, "b/B02_01_00.jpg"])
    given = given_by_number(manifest, 0) | {"b/B02_01_00.jpg": "test", "a/A01_01_00.jpg": "test"}
    for seed in range(10):
        drawn = carved(manifest, given, CARVED.model_copy(update={"seed": seed}))
        assert set(drawn.loc[drawn["split"] == "val", "label"]) == {"a"}


# ---------------------------------------------------------------- what is said


def parts_on_disk(root: Path, train: int, others: dict[str, int]) -> Path:
    """Two classes, so many pictures in each part."""
    seed = 0
    for part, number in {"train": train, **others}.items():
        for label in ("cat", "dog"):
            for place in range(number):
                seed += 1
                save(root / part / label / f"{part} {place}.png", drawn(seed))
    return root


def test_what_was_taken_is_said(tmp_path: Path) -> None:
    division = divided(parts_on_disk(tmp_path, 8, {"test": 2}), strategy="given", carve_val=True)
    taken = division.leakage["carved"]
    assert taken["pictures"] == count(division.split, "val") > 0
    assert taken["missing"] == []
    said = describe_split(division.split, division.leakage)
    assert f"Validation: {taken['pictures']} images of {taken['groups']} groups were taken" in said
    assert "there is no test part" not in said


def test_a_val_part_that_is_the_test_part_is_said_with_what_validates(tmp_path: Path) -> None:
    division = divided(parts_on_disk(tmp_path, 8, {"val": 2}), strategy="given", carve_val=True)
    said = describe_split(division.split, division.leakage)
    assert "WARNING: there is no test split: the val split is the test split" in said
    assert "groups were taken out of train for it" in said


def test_classes_that_validation_lacks_are_said(tmp_path: Path) -> None:
    root = parts_on_disk(tmp_path, 8, {"test": 2})
    for path in sorted((root / "train" / "dog").iterdir())[1:]:
        path.unlink()
    division = divided(root, strategy="given", carve_val=True)
    assert division.leakage["carved"]["missing"] == ["dog"]
    assert any(w.startswith("val holds no image of dog") for w in division.leakage["warnings"])


def test_a_train_part_too_small_to_give_groups_away_is_said(tmp_path: Path) -> None:
    division = divided(parts_on_disk(tmp_path, 1, {"test": 1}), strategy="given", carve_val=True)
    assert count(division.split, "val") == 0
    (warning,) = (w for w in division.leakage["warnings"] if "val split" in w)
    assert warning.startswith("there is no val split, and none could be taken out of train")


def test_a_table_of_train_and_test_alone_is_carved_too(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for number in range(12):
        for label in ("cat", "dog"):
            seed = 2 * number + (label == "dog")
            save(root / label / f"{number} x.png", drawn(seed))
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    parts = ["test" if number % 4 == 0 else "train" for number in range(len(paths))]
    write_table(pd.DataFrame({"path": paths, "split": parts}), tmp_path / "mine.csv")
    division = divided(root, Sources(given=tmp_path / "mine.csv"), strategy="given", carve_val=True)
    assert division.leakage["carved"]["pictures"] == count(division.split, "val") > 0
    now = dict(zip(division.split["path"], division.split["split"], strict=True))
    assert {path for path, part in now.items() if part == "test"} == set(paths[::4])


def test_doubtful_class_folders_stand_in_leakage_json(tmp_path: Path) -> None:
    for part in ("x_train", "x_test"):
        cats_and_dogs(tmp_path / part)
    found = scan(tmp_path)
    settings = SplitSettings(strategy="random", shares=(50, 0, 50))
    division = split_folder(tmp_path, found.manifest, found.hashes, settings)
    assert division.leakage["folders"] == list(found.warnings)
    assert len(found.warnings) == 1
