"""A whole folder divided: names, near-duplicates, parts, leaks, words and pairs to look at."""

import base64
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.contracts.tables import write_table
from resnext.data.manifest.scan import Scan, scan
from resnext.data.split.duplicates import find_near_duplicates, grey_reader
from resnext.data.split.groups import SCHEMES
from resnext.data.split.settings import SplitSettings
from resnext.data.split.split_folder import FolderSplit, split_folder
from resnext.data.split.tables import Sources
from tests.resnext.data.samples import DATA, divided, drawn, save, told, users_scan

KINDS = ["copy", "exact", "near", "group", "any"]


def patients(root: Path, count: int = 8, copies: int = 1) -> Path:
    """Two classes, `count` patients each with one photograph and mirrored copies, as in MSLD v1."""
    for number in range(2 * count):
        label = ("Macular", "Pustular")[number % 2]
        (root / label).mkdir(parents=True, exist_ok=True)
        for copy in range(copies + 1):
            image = (
                drawn(number) if copy == 0 else drawn(number).transpose(Image.Transpose(copy - 1))
            )
            image.save(root / label / f"{label[0]}{number:02}_01_{copy:02}.png")
    return root


def lines(division: FolderSplit) -> list[str]:
    return told(division).splitlines()


def group_of(division: FolderSplit, path: str) -> str:
    return str(division.split.set_index("path").loc[path, "group"])


# ---------------------------------------------------------------- who belongs together


def test_a_photograph_under_two_patients_makes_them_one(tmp_path: Path) -> None:
    patients(tmp_path)
    drawn(0).resize((80, 60)).transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "Macular" / "M77_01_00.jpg", quality=92
    )
    for seed in range(5):
        division = divided(tmp_path, seed=seed)
        assert group_of(division, "Macular/M77_01_00.jpg") == "M00=M77"
        assert group_of(division, "Macular/M00_01_01.png") == "M00=M77"
        assert division.leakage["drawn"]["any"]["count"] == 0
        assert division.leakage["near"] == {"joined_pairs": 1, "listed_pairs": 0}
        assert division.leakage["scheme"]["ids"] == division.leakage["scheme"]["groups"] + 1


def test_copies_are_not_searched_where_names_tell_them(tmp_path: Path) -> None:
    division = divided(patients(tmp_path, copies=3))
    assert division.pairs.empty


def test_a_photograph_that_is_there_in_copies_alone_is_searched_by_its_first(
    tmp_path: Path,
) -> None:
    patients(tmp_path)
    drawn(0).save(tmp_path / "Macular" / "M77_01_05.jpg", quality=92)
    drawn(1).save(tmp_path / "Macular" / "M77_01_07.jpg", quality=92)
    division = divided(tmp_path)
    assert group_of(division, "Macular/M77_01_05.jpg") == "M00=M77"
    assert len(division.pairs) == 1


def test_without_a_scheme_copies_are_found_by_their_looks(tmp_path: Path) -> None:
    for number in range(10):
        for label in "ab":
            (tmp_path / label).mkdir(exist_ok=True)
            seed = number + 100 * (label == "b")
            drawn(seed).save(tmp_path / label / f"x {number}.png")
            drawn(seed).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
                tmp_path / label / f"y {number}.jpg", quality=92
            )
    division = divided(tmp_path)
    assert division.leakage["scheme"]["groups"] == 20
    assert division.leakage["drawn"]["any"]["count"] == 0
    assert division.leakage["random"]["near"]["count"] > 0
    assert lines(division)[0].endswith("with --group-pattern, or list them with --groups")


def test_groups_of_the_users_win_and_are_told(tmp_path: Path) -> None:
    patients(tmp_path / "data")
    table = tmp_path / "groups.csv"
    table.write_text("path,group\nMacular/M00_01_00.png,ann\nMacular/M02_01_00.png,ann\nno.png,x\n")
    division = divided(tmp_path / "data", Sources(groups=table))
    assert group_of(division, "Macular/M00_01_01.png") == "M00=M02=ann"
    assert (
        told(division)
        .splitlines()[0]
        .startswith("Groups: --groups names the group of 2 of 32 images; ")
    )
    assert "1 of 3 paths of --groups are not in the folder: no.png" in division.leakage["warnings"]


# ---------------------------------------------------------------- what the parts hold


def test_a_near_duplicate_under_two_classes_is_left_out_and_named(tmp_path: Path) -> None:
    patients(tmp_path)
    drawn(0).save(tmp_path / "Pustular" / "P77_01_00.jpg", quality=92)
    division = divided(tmp_path)
    rows = division.split.set_index("path")
    pair = ["Macular/M00_01_00.png", "Pustular/P77_01_00.jpg"]
    assert rows.loc[pair, "split"].tolist() == ["unused", "unused"]
    assert rows.loc[pair[0], "reason"] == f"label conflict: nearly identical to {pair[1]}"
    assert (
        told(division)
        .splitlines()[-1]
        .startswith("WARNING: 3 images stand under two classes: Macular/M00")
    )


def of_two_classes(root: Path, seed: Callable[[str, int], int], count: int = 8) -> Path:
    """Draw `count` pictures a class, by seeds; those of one seed are of several sizes."""
    for label in "ab":
        for number in range(count):
            image = drawn(seed(label, number)).resize((60 + number, 50 + (label == "a")))
            save(root / label / f"x {number}.png", image)
    return root


def test_pictures_that_stand_under_two_classes_leave_a_class_empty_and_that_is_told(
    tmp_path: Path,
) -> None:
    of_two_classes(tmp_path, lambda _, number: number)
    for number in range(8):
        save(tmp_path / "b" / f"y {number}.png", drawn(200 + number))
    why = r"at least 3 groups .* got 0 in 'a'.* 8 of their 8 images are left out, since the same"
    with pytest.raises(InputError, match=why) as caught:
        divided(tmp_path)
    assert str(caught.value).endswith("remove the folder, or use `near_duplicates` report.")
    assert divided(tmp_path, near_duplicates="report").leakage["scheme"]["groups"] == 24


def test_a_class_of_one_picture_many_times_is_divided_and_warned_of(tmp_path: Path) -> None:
    of_two_classes(tmp_path, lambda label, number: 5 if label == "a" else 100 + number)
    division = divided(tmp_path)
    assert division.leakage["scheme"]["groups"] == 16
    (warning,) = [text for text in division.leakage["warnings"] if "near-duplicates" in text]
    assert "reported, not joined: joining would leave class 'a' in too few groups" in warning
    assert "2 of 3 test images have a near-duplicate in train" in warning


def test_a_class_of_one_file_many_times_is_told_what_helps(tmp_path: Path) -> None:
    of_two_classes(tmp_path, lambda _, number: 100 + number)
    for path in (tmp_path / "a").iterdir():
        save(path, drawn(5))
    with pytest.raises(InputError, match=r"at least 3 groups .* got 1 in 'a'") as caught:
        divided(tmp_path, near_duplicates="off")
    assert str(caught.value).endswith(
        "Identical and nearly identical images are one group. Add images of other patients or "
        "remove the folder."
    )


def test_a_split_that_comes_with_the_data_is_used_and_audited(tmp_path: Path) -> None:
    for number in range(12):
        part = "train" if number < 8 else "test"
        folder = tmp_path / part / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        drawn(number).save(folder / f"{number}.png")
    drawn(0).rotate(180).save(tmp_path / "test" / "a" / "leaked.jpg", quality=92)
    division = divided(tmp_path, strategy="given")
    assert division.leakage["drawn"]["near"] == {"count": 1, "share": 0.2}
    assert division.split["split"].tolist() == ["test"] * 5 + ["train"] * 8
    last = told(division).splitlines()[-1]
    assert "the score will be too good. Of 5 test images, 1 (20.0 %) have a near-duplicate" in last
    (card,) = division.cards["crossing"]
    assert (card["kind"], card["path"], card["other"]) == (
        "near", "test/a/leaked.jpg", "train/a/0.png",
    )  # fmt: skip


def kept(root: Path, first: FolderSplit, found: Scan, groups: Path | None = None) -> FolderSplit:
    """Divide again, after the pictures changed, with the first division kept."""
    write_table(first.split, root.parent / "split.csv")
    write_table(found.manifest, root.parent / "manifest.csv")
    tables = (root.parent / name for name in ("split.csv", "manifest.csv"))
    return divided(root, Sources(groups, None, *tables), seed=9)


def test_a_few_other_names_make_no_strangers_of_known_patients(tmp_path: Path) -> None:
    root = patients(tmp_path / "data")
    found = scan(root)
    first = divided(root, found=found)
    for number in range(4):  # of 40 names these leave the scheme 90 %
        drawn(70 + number).save(root / "Macular" / f"clinic{number}.png")
        drawn(80 + number).save(root / "Macular" / f"M{2 * number:02}_02_00.png")
    second = kept(root, first, found)
    assert second.leakage["scheme"]["name"] == first.leakage["scheme"]["name"]
    part = dict(zip(second.split["path"], second.split["split"], strict=True))
    for number in range(4):
        old, new = (f"Macular/M{2 * number:02}_0{photograph}_00.png" for photograph in (1, 2))
        assert group_of(second, old) == group_of(second, new)
        assert part[old] == part[new]
    assert second.leakage["drawn"]["any"]["count"] == 0


def test_one_patient_then_is_one_now_unless_a_table_takes_them_apart(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for number in range(24):
        (root / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        drawn(number).save(root / "ab"[number % 2] / f"picture {number:02}.png")
    found = scan(root)
    paths = sorted(found.manifest["path"])
    table = tmp_path / "groups.csv"
    table.write_text("path,group\n" + "".join(f"{p},{p[0]}{n // 2}\n" for n, p in enumerate(paths)))
    first = divided(root, Sources(groups=table), found=found)
    assert first.leakage["scheme"]["groups"] == 12
    assert kept(root, first, found).leakage["scheme"]["groups"] == 12
    table.write_text("path,group\n" + "".join(f"{p},{p}\n" for p in paths))
    apart = kept(root, first, found, groups=table)
    assert apart.leakage["scheme"]["groups"] == 24
    assert apart.split["split"].tolist() == first.split["split"].tolist()


def test_classes_that_are_not_learnt_or_not_tested_are_warned_of(tmp_path: Path) -> None:
    for number, (part, label) in enumerate([("train", "a"), ("train", "b"), ("test", "c")] * 2):
        folder = tmp_path / part / label
        folder.mkdir(parents=True, exist_ok=True)
        drawn(number).save(folder / f"{number}.png")
    assert divided(tmp_path, strategy="given").leakage["warnings"][1:] == [
        "no image in train of c: it can't be learnt",
        "no image in test of a; b: it can't be tested",
    ]


def test_a_class_of_one_picture_can_be_given(tmp_path: Path) -> None:
    for path in ("train/a/1", "train/b/2", "test/a/3"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        drawn(int(path[-1])).save(tmp_path / f"{path}.png")
    assert divided(tmp_path, strategy="given").split["split"].tolist() == ["test"] + ["train"] * 2


def test_parts_that_came_with_the_data_are_not_dissolved_in_silence(tmp_path: Path) -> None:
    for number in range(24):
        folder = tmp_path / ("train", "val")[number % 3 == 0] / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        drawn(number).save(folder / f"{number}.png")
    _, warning = divided(tmp_path).leakage["warnings"]
    assert warning.startswith(
        "the folder comes divided; its splits were put together and drawn anew"
    )
    unknown, warning = divided(tmp_path, strategy="given").leakage["warnings"]
    assert unknown.startswith("the groups are not known: each of these 24 images counts as a group")
    assert warning.startswith("there is no test split: the val split is the test split")


def test_what_a_kept_split_does_not_know_and_what_left_its_part_is_told(tmp_path: Path) -> None:
    patients(tmp_path / "data", copies=0)
    first = divided(tmp_path / "data").split
    train = first.loc[first["split"] == "train", "path"].iloc[0]
    test = first.loc[(first["split"] == "test") & first["path"].str.startswith("M"), "path"].iloc[0]
    table = first.assign(group="", path=first["path"].replace(train, "gone.png"))
    write_table(table, tmp_path / "split.csv")
    one, other = (tmp_path / "data" / path for path in (test, "Macular/M00_01_00.png"))
    drawn(int(one.stem[1:3])).resize((90, 66)).save(other.with_suffix(".jpg"), quality=92)
    warnings = divided(tmp_path / "data", Sources(earlier=tmp_path / "split.csv")).leakage
    assert "1 of 16 paths of --keep-split are not in the folder: gone.png" in warnings["warnings"]


@pytest.mark.parametrize(
    "wrong",
    [
        "path,group,split\na,,TRAIN \na,,test\n",
        "path,split\na,train\n",
        "path,group,split\na,,nonsense\n",
    ],
)
def test_a_bad_split_to_keep_is_refused(wrong: str, tmp_path: Path) -> None:
    patients(tmp_path / "data", copies=0)
    (tmp_path / "split.csv").write_text(wrong)
    with pytest.raises(InputError, match=r"^--keep-split must"):
        divided(tmp_path / "data", Sources(earlier=tmp_path / "split.csv"))


def test_a_kept_split_that_leaves_a_part_empty_is_told(tmp_path: Path) -> None:
    patients(tmp_path / "data", copies=0)
    first = divided(tmp_path / "data", shares=(80, 0, 20)).split
    write_table(first, tmp_path / "split.csv")
    with pytest.raises(
        InputError, match="keep_split must leave an image to each of train, val and test, got none"
    ):
        divided(tmp_path / "data", Sources(earlier=tmp_path / "split.csv"))


# ---------------------------------------------------------------- pairs to look at


def opened(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_what_a_random_split_would_have_hidden_is_shown_where_nothing_crosses(
    tmp_path: Path,
) -> None:
    before = snapshot(patients(tmp_path))
    cards = divided(tmp_path).cards
    assert cards["crossing"] == []
    assert {card["kind"] for card in cards["random"]} <= {"copy", "group"}
    assert cards["random"]
    for card in cards["random"]:
        assert (card["part"], card["other_part"]) == ("test", "train")
        assert max(opened(card["picture"]).size) <= 160
    assert snapshot(tmp_path) == before, "the user's pictures are never changed"


def snapshot(root: Path) -> dict[str, Any]:
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(root.rglob("*.*"))
    }


# ---------------------------------------------------------------- words


# ---------------------------------------------------------------- what leakage.json holds


def test_the_order_of_the_rows_never_shows(tmp_path: Path) -> None:
    root = patients(tmp_path / "data")
    for name, seed in (("M04", 2), ("M06", 2), ("P07", 1), ("P09", 4), ("MÄ07", 900)):
        label = "Macular" if name[0] == "M" else "Pustular"
        save(root / label / f"{name}_01_00.png", drawn(seed, (90, 66)))
    found = scan(root)

    def written(rows: list[int]) -> tuple[bytes | str, ...]:
        mixed = found.manifest.iloc[rows], found.hashes[rows]
        done = split_folder(root, *mixed, SplitSettings(seed=3), workers=2)
        write_table(done.split, tmp_path / "split.csv")
        write_table(done.pairs, tmp_path / "near.csv")
        tables = [(tmp_path / f"{name}.csv").read_bytes() for name in ("split", "near")]
        return *tables, json.dumps(done.leakage), json.dumps(done.cards)

    expected = written(list(range(len(found.manifest))))
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(found.manifest)).tolist()
        assert written(order) == expected


def test_leakage_says_all_that_is_documented(tmp_path: Path) -> None:
    patients(tmp_path, count=6)
    save(tmp_path / "Macular" / "M08_01_00.png", drawn(2, (90, 66)))
    found = divided(tmp_path).leakage
    assert list(found) == [
        "strategy", "fold", "scheme", "near", "largest_group", "drawn", "drawn_val",
        "drawn_test_val", "random", "warnings",
    ]  # fmt: skip
    assert (found["strategy"], found["fold"], found["warnings"]) == ("grouped", None, [])
    assert found["scheme"] == {
        "name": "patient_photograph_copy",
        "evidence": "the form P01_02_03 (patient, photograph, copy) fits 24 of 24 names",
        "pattern": SCHEMES[0].pattern, "proposal": None, "guessed": False, "groups_known": True,
        "fits": 24, "listed": 0, "unknown": 0, "names": 24, "ids": 12, "groups": 11,
        "joined": ["M02=M08"], "decided": False,
    }  # fmt: skip
    assert found["near"] == {"joined_pairs": 1, "listed_pairs": 0}
    assert found["largest_group"] == {
        "name": "M02=M08", "ids": ["M02", "M08"], "photographs": 2, "share": 2 / 12,
    }  # fmt: skip
    for key, part in (("drawn", "test"), ("drawn_val", "val"), ("drawn_test_val", "test")):
        assert list(found[key]) == [f"{part}_pictures", *KINDS]
        assert {found[key][kind]["count"] for kind in KINDS} == {0}
    assert found["random"]["test_pictures"] == 5  # 24 - int(0.8 * 24)
    assert json.loads(json.dumps(found)) == found


def test_without_val_nothing_is_said_of_it_and_a_fold_is_named(tmp_path: Path) -> None:
    found = divided(patients(tmp_path, count=6), shares=(80, 0, 20), fold=(2, 3)).leakage
    assert (found["drawn_val"], found["drawn_test_val"], found["fold"]) == (None, None, "2/3")
    assert found["drawn"]["test_pictures"] == 4


def test_a_split_of_a_table_is_used_as_it_is(tmp_path: Path) -> None:
    patients(tmp_path / "data", count=6, copies=0)
    names = [
        f"{'Macular' if n % 2 == 0 else 'Pustular'}/{'MP'[n % 2]}{n:02}_01_00.png"
        for n in range(12)
    ]
    chosen = {name: "test" if n < 2 else "train" for n, name in enumerate(names[:10])}
    chosen |= {"gone.png": "train"}
    table = tmp_path / "mine.csv"
    write_table(pd.DataFrame({"path": list(chosen), "split": list(chosen.values())}), table)
    done = divided(tmp_path / "data", Sources(given=table), strategy="given")
    used = done.split[done.split["split"] != "unused"]
    parts = dict(zip(used["path"], used["split"], strict=True))
    assert parts | {"gone.png": "train"} == chosen
    guess, *warnings = done.leakage["warnings"]
    assert guess.startswith("groups are a guess: Macular/M00_01_00.png was read as group M00. ")
    assert warnings == [
        "1 of 11 paths of --use-split are not in the folder: gone.png",
        "2 images are not in the given split: Macular/M10_01_00.png; Pustular/P11_01_00.png",
    ]


# ---------------------------------------------------------------- the real thing


@pytest.fixture(scope="module")
def real() -> Scan:
    return users_scan()


@pytest.fixture(scope="module")
def root() -> Path:
    return next((path for path in DATA if path.is_dir()), Path())


def test_the_users_pictures_are_divided_without_a_crossing(real: Scan, root: Path) -> None:
    division = divided(root, found=real)
    scheme, drawn_split = division.leakage["scheme"], division.split
    assert (scheme["ids"], scheme["groups"]) == (113, 112)
    assert {name for name in drawn_split["group"] if "=" in name} == {"NM110=NM68"}
    counts = real.manifest["sha256"].value_counts()
    assert (int((counts > 1).sum()), len(real.manifest) - len(counts)) == (163, 174)
    for key in ("drawn", "drawn_val", "drawn_test_val"):
        assert division.leakage[key]["any"]["count"] == 0
    held_out = drawn_split[drawn_split["split"].isin(["val", "test"])]
    assert set(held_out["copy"]) == {0}
    assert division.leakage["random"]["copy"]["share"] > 0.99
    assert division.leakage["warnings"] == []


def test_of_all_the_users_pictures_only_one_photograph_is_found_under_two_patients(
    real: Scan, root: Path
) -> None:
    """The evidence for the limits: every file is searched here, augmented copies too."""
    found = find_near_duplicates(real.manifest, real.hashes, grey_reader(root, real.manifest, 2))
    joined = found.pairs[found.pairs["verdict"] == "joined"]
    patient = pd.DataFrame(
        {name: joined[name].str.extract(r"/(N?M\d+)_")[0] for name in ("path", "other")}
    )
    apart = patient[patient["path"] != patient["other"]]
    assert set(map(tuple, apart.to_numpy().tolist())) == {("NM110", "NM68")}
    assert len(joined) > 1000


# ---------------------------------------------------------------- folds


def test_over_the_folds_of_a_repeat_every_original_is_tested_once_and_nothing_leaks(
    tmp_path: Path,
) -> None:
    division = divided(patients(tmp_path, copies=2), folds=4, repeats=2)
    assert division.folds is not None
    whole = division.split.set_index("path")
    originals = whole[whole["copy"] == 0]
    assert sorted(originals["fold"].unique()) == [1, 2, 3, 4]
    assert whole.loc[whole["copy"] > 0, "fold"].isna().all()
    for repeat in (1, 2):
        mine = division.folds[division.folds["repeat"] == repeat]
        tested = mine.loc[mine["split"] == "test", "path"]
        assert sorted(tested) == sorted(originals.index)
        for number in range(1, 5):
            of_fold = mine[mine["fold"] == number].set_index("path")["split"]
            sides = {side: set(whole.loc[of_fold == side, "group"]) for side in ("train", "test")}
            assert not sides["train"] & sides["test"]
            if repeat == 1:
                assert set(of_fold.index[of_fold == "test"]) == {
                    *originals.index[originals["fold"] == number]
                }
    assert division.leakage["folds"] == 4
    assert division.leakage["drawn"]["test_pictures"] == len(originals)
    assert division.leakage["drawn"]["any"]["count"] == 0


def test_leaks_of_folds_are_added_up(tmp_path: Path) -> None:
    """Patients with two photographs each, which a stratified division may tear apart."""
    for number in range(8):
        for photograph in (1, 2):
            label = ("Macular", "Pustular")[number % 2]
            path = tmp_path / label / f"{label[0]}{number:02}_{photograph:02}_00.png"
            path.parent.mkdir(exist_ok=True)
            drawn(2 * number + photograph).save(path)
    division = divided(tmp_path, folds=4, strategy="stratified")
    each = [divided(tmp_path, fold=(n, 4), strategy="stratified").leakage for n in range(1, 5)]
    counts = [one["drawn"]["group"]["count"] for one in each]
    assert sum(counts) > 0
    found = division.leakage["drawn"]["group"]
    assert found == {"count": sum(counts), "share": sum(counts) / 16}


def test_the_table_of_parts_counts_what_is_tested_in_a_fold(tmp_path: Path) -> None:
    said = lines(divided(patients(tmp_path), folds=4))
    heading = next(line for line in said if line.startswith("images (groups)"))
    assert heading.split()[2:] == ["train", "val", "in", "a", "fold"]
    assert next(line for line in said if line.startswith("originals")).endswith("16 (16)")
