"""Names of class folders: which are one class, which look like one, which look like parts."""

import unicodedata
from pathlib import Path

import pytest

from resnext.data.manifest.class_folders import class_name, folder_warnings, split_folders
from resnext.data.manifest.scan import scan
from tests.resnext.data.samples import cats_and_dogs, picture, save

NFC, NFD = (unicodedata.normalize(form, "bénin") for form in ("NFC", "NFD"))


def warnings(*folders: str) -> list[str]:
    """Warn of folders that pictures lie in, of which the first one names the class."""
    return folder_warnings({folder: class_name(folder.split("/")[0]) for folder in folders})


# ---------------------------------------------------------------- names that are nearly equal


def test_folders_that_differ_in_unicode_form_or_blanks_are_one_class(tmp_path: Path) -> None:
    for number, name in enumerate((NFC, NFD, f"{NFC} ", "cat")):
        save(tmp_path / name / f"{number}.png", picture(seed=number))
    found = scan(tmp_path)
    assert found.manifest["label"].value_counts().to_dict() == {NFC: 3, "cat": 1}
    assert set(found.manifest["path"]) == {f"{NFC}/0.png", f"{NFD}/1.png", f"{NFC} /2.png",
                                           "cat/3.png"}  # fmt: skip
    assert found.warnings == (
        "the class folders 'be\\u0301nin', 'b\\xe9nin', 'b\\xe9nin ' have one name, but for its "
        "Unicode form or blanks at its ends: they count as one class, 'bénin'",
    )


def test_a_class_may_be_written_in_two_ways_in_two_parts(tmp_path: Path) -> None:
    for number, name in enumerate((f"train/{NFC}", "train/cat", f"test/{NFD}", "test/cat")):
        save(tmp_path / name / f"{number}.png", picture(seed=number))
    found = scan(tmp_path)
    assert sorted(found.manifest["label"].unique()) == [NFC, "cat"]
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("Benign", "benign"),
        ("basal cell", "basal_cell"),
        ("basal cell", "basal\u00a0cell"),
        ("nevus", "ｎｅｖｕｓ"),  # noqa: RUF001 - wide letters
        ("nevus", "ne\u200bvus"),
        ("STRASSE", "straße"),
    ],
)
def test_classes_that_differ_in_case_or_the_like_are_two_with_a_warning(
    names: tuple[str, str],
) -> None:
    labels = {name: class_name(name) for name in names}
    assert sorted(labels.values()) == sorted(names)
    (warning,) = folder_warnings(labels)
    assert "and count as 2 classes. If they are one, give their folders one name" in warning


def test_giving_folders_one_name_makes_them_one_class(tmp_path: Path) -> None:
    for number, name in enumerate(("Benign", "benign", "cat")):
        save(tmp_path / name / f"{number}.png", picture(seed=number))
    (tmp_path / "benign" / "1.png").rename(tmp_path / "Benign" / "1.png")
    (tmp_path / "benign").rmdir()
    found = scan(tmp_path)
    assert sorted(found.manifest["label"]) == ["Benign", "Benign", "cat"]
    assert found.warnings == ()


def test_plain_classes_are_not_warned_of() -> None:
    assert warnings("Monkeypox", "Others") == []
    assert warnings("mel/P1", "mel/P2", "nev/P3", "nev/P4") == []
    anew = [f"{name}/{number:03}" for name in ("mel", "nev") for number in range(9)]
    assert warnings(*anew) == [], "patients who are numbered anew in each class are no classes"
    assert warnings("contest", "interval", "batch", "crash test dummy", "valve", "trainee") == []
    assert folder_warnings({}) == []


# ---------------------------------------------------------------- parts and sites

PARTS = [
    "train", "mydata_train", "test-set", "Training Set", "images_test", "train_images", "val",
    "x valid", "my.validation", "HAM10000_images_part_1", "images_part2", "fold_3", "Fold 0",
    "part-10", "batch_2", "split1", "test_2",
]  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_a_folder_that_is_named_like_a_part_is_said(name: str) -> None:
    (warning,) = warnings(name, "nevus")
    assert warning.startswith(f"the class folder {name} looks like a part of a data set")


def test_folders_of_parts_with_classes_in_them_need_another_name(tmp_path: Path) -> None:
    for part in ("train", "test"):
        cats_and_dogs(tmp_path / f"mydata_{part}")
    (warning,) = scan(tmp_path).warnings
    assert warning == (
        "the class folders mydata_test, mydata_train look like parts of a data set, not like "
        "classes. If so, rename them (mydata_test to test, mydata_train to train): they are then "
        "used as parts"
    )
    for part in ("train", "test"):
        (tmp_path / f"mydata_{part}").rename(tmp_path / part)
    assert split_folders(tmp_path) == ["test", "train"]
    found = scan(tmp_path)
    assert sorted(found.manifest["label"].unique()) == ["cat", "dog"]
    assert found.warnings == ()


def test_parts_without_classes_need_folders_of_classes(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"HAM10000_images_part_{number % 2 + 1}" / f"{number}.png")
    (warning,) = scan(tmp_path).warnings
    assert warning.endswith(
        "look like parts of a data set, not like classes. If so, put the images of each class, "
        "of all parts, into one folder named for the class"
    )
    for number, path in enumerate(sorted(tmp_path.glob("*/*.png"))):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        path.rename(tmp_path / "ab"[number % 2] / path.name)
    for number in (1, 2):
        (tmp_path / f"HAM10000_images_part_{number}").rmdir()
    assert scan(tmp_path).warnings == ()


@pytest.mark.parametrize("tops", [("site_a", "site_b"), ("fold_1", "fold_2"), ("8863", "8864")])
def test_folders_that_all_hold_the_same_folders_are_said_to_be_sites(
    tops: tuple[str, str], tmp_path: Path
) -> None:
    for top in tops:
        cats_and_dogs(tmp_path / "data" / top)
    (warning,) = scan(tmp_path / "data").warnings
    assert warning.endswith(
        f"put the classes on top, as in cat/{tops[0]} (links will do), or give one of these "
        "folders as --data" + ("" if "fold" in tops[0] else "; else all is well")
    )
    for top in tops:
        for label in ("cat", "dog"):
            (tmp_path / "classes" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "classes" / label / top).symlink_to(tmp_path / "data" / top / label)
    for remedied, pictures in (("classes", 8), (f"data/{tops[0]}", 4)):
        found = scan(tmp_path / remedied)
        assert sorted(found.manifest["label"].unique()) == ["cat", "dog"]
        assert len(found.manifest) == pictures
        assert found.warnings == ()


def test_grades_below_sites_are_said_and_patients_below_grades_are_not() -> None:
    sites = [f"site_{site}/grade_{grade}" for site in "ab" for grade in (1, 2, 3)]
    assert len(warnings(*sites)) == 1
    patients = [f"grade_{grade}/P{patient:03}" for grade in (1, 2) for patient in range(20)]
    assert warnings(*patients) == []


def test_parts_below_the_classes_are_said_and_belong_on_top(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            save(tmp_path / "data" / label / part / "1.png")
            (tmp_path / "links" / part).mkdir(parents=True, exist_ok=True)
            (tmp_path / "links" / part / label).symlink_to(tmp_path / "data" / label / part)
    (warning,) = scan(tmp_path / "data").warnings
    assert "To use them, put them on top, as in test/cat (links will do)" in warning
    assert split_folders(tmp_path / "links") == ["test", "train"]
    assert scan(tmp_path / "links").warnings == ()


def test_sites_of_which_one_lacks_a_class_are_said() -> None:
    (warning,) = warnings("a/mel", "a/nev", "a/bcc", "b/mel", "b/nev")
    assert "the class folders a, b all hold the same folders (mel, nev)" in warning
