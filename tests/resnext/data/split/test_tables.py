"""What tables tell of a folder: what met is counted, and what is missing is said."""

import json
import shutil
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from resnext.contracts.errors import InputError
from resnext.contracts.tables import write_table
from resnext.data.manifest.scan import scan
from resnext.data.split.groups import find_groups
from resnext.data.split.settings import JOINED_FILE
from resnext.data.split.split_folder import FolderSplit
from resnext.data.split.tables import Sources, read_groups, read_split
from resnext.data.user_tables import UserTable
from tests.resnext.data.samples import divided, drawn, prepared, table, told


def folder(root: Path, classes: tuple[str, str] = ("a", "b"), count: int = 12) -> Path:
    """Two classes of pictures that tell nothing by their names."""
    for number in range(2 * count):
        path = root / classes[number % 2] / f"x{number:03}y.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn(number).save(path)
    return root


def warned(division: FolderSplit) -> str:
    return "\n".join(division.leakage["warnings"])


def rows(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


# ---------------------------------------------------------------- what a table holds


def said(table: UserTable) -> dict[str, str]:
    """Give what a table says, by what its rows call the pictures."""
    names, answers = (table.rows[column] for column in table.rows.columns)
    return dict(zip(names, answers, strict=True))


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_parts_go_by_several_names_and_other_columns_are_passed_over(tmp_path: Path) -> None:
    rows = ["size,path,split", "big,a/1,Train", ",a/2,valid", ",b/3,TESTING", ",b/4,unused"]
    assert said(read_split(written(tmp_path, "\n".join(rows)), "--use-split")) == {
        "a/1": "train",
        "a/2": "val",
        "b/3": "test",
        "b/4": "",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,part\na,train\n", "must hold the columns path, split, got none named split"),
        ("path,split\na,train\na,test\n", "must name each image once, got two for 'a'"),
        ("path,split\na,out\n", "must name the splits train, val, test or unused, got 'out'"),
        ("path,split\n", "must name the split of an image, got none"),
        ("", "must be a CSV table in UTF-8"),
        ('path,split\n"a,train\n', "must be a CSV table in UTF-8"),
    ],
)
def test_a_bad_table_of_parts_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_split(written(tmp_path, text), "--use-split")
    assert words in str(caught.value)
    assert str(caught.value).startswith("--use-split ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,colour\na,1\n", "got none named group"),
        ("path,group\na,1\na,2\n", "must name one group for each path, got two for 'a'"),
        ("path,group\na,\x1b[31m\n", "must be printable text, got a control character for 'a'"),
        ("path,group\n", "must name the group of an image, got none"),
        ("path,group\na, \n", "must name a group for each path, got none for 'a'"),
    ],
)
def test_a_bad_table_of_groups_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_groups(written(tmp_path, text))
    assert words in str(caught.value)


def test_the_users_groups_win_over_names_and_copies_stay_with_their_photograph() -> None:
    paths = [f"a/A{n}_1_{copy:02d}.jpg" for n in range(4) for copy in range(2)]
    groups = {"a/A0_1_00.jpg": "ann", "a/A1_1_00.jpg": "ann"}
    assert find_groups(table(paths), groups=groups).listed == 2
    pictures = prepared(table(paths), None, groups)
    assert pictures["group"].tolist() == ["A0=A1=ann"] * 4 + ["A2", "A2", "A3", "A3"]
    assert pictures["copy"].tolist() == [0, 1] * 4


# ---------------------------------------------------------------- groups


def test_names_decomposed_as_on_a_mac_meet_a_table_that_is_composed(tmp_path: Path) -> None:
    classes = ("bénin", "mélanome")
    root = folder(tmp_path / "data", tuple(unicodedata.normalize("NFD", c) for c in classes), 16)  # type: ignore[arg-type]
    lines = [f"{classes[n % 2]}/x{n:03}y.png,{classes[n % 2]} {n // 4}" for n in range(32)]
    division = divided(root, Sources(groups=rows(tmp_path / "nfc.csv", "path,group", lines)))
    assert division.leakage["scheme"]["listed"] == 32
    assert division.leakage["scheme"]["groups"] == 16
    assert division.leakage["tables"]["--groups"]["met"] == 32
    assert "--groups (columns path, group): 32 of 32 rows met an image; 0 of 32 images" in told(
        division
    )
    assert not [line for line in division.leakage["warnings"] if "--groups" in line]


def test_pictures_without_a_row_are_counted_with_names_that_can_be_told_apart(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path / "data")
    drawn(99).save(root / "a" / "cafe\u0301.png")
    names = [path for path in sorted(scan(root).manifest["path"]) if "cafe" not in path]
    groups = rows(tmp_path / "g.csv", "image,patient", [f"{name},{name}" for name in names[1:]])
    division = divided(root, Sources(groups=groups))
    assert (
        "2 of 25 images have no row in --groups, which says nothing of their groups: "
        r"'a/cafe\u0301.png'; a/x000y.png"
    ) in warned(division)
    counts = division.leakage["tables"]["--groups"]
    assert (counts["met"], counts["pictures_without"]) == (23, 2)
    assert "23 of 23 rows met an image; 2 of 25 images have no row" in told(division)
    assert json.loads(json.dumps(division.leakage)) == division.leakage


def test_of_many_pictures_without_a_row_five_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    division = divided(root, Sources(groups=rows(tmp_path / "g.csv", "path,group", ["x000y,P"])))
    (warning,) = [line for line in division.leakage["warnings"] if "no row in" in line]
    assert warning.startswith("23 of 24 images have no row in --groups")
    assert warning.endswith("; a/x010y.png and 18 more")
    assert "1 of 1 rows met an image, 1 of them without folder and ending" in told(division)


def test_what_was_guessed_of_a_table_is_a_warning(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    (tmp_path / "g.csv").write_bytes("path;lesion_id\nx000y;é\nx001y;É\n".encode("cp1252"))
    found = warned(divided(root, Sources(groups=tmp_path / "g.csv")))
    assert "--groups is not in UTF-8 and was read as Windows-1252" in found
    assert "--groups names no patients" in found
    assert "case or blanks alone count as different groups: 'É' and 'é'" in found


# ---------------------------------------------------------------- a split to use


def test_a_given_split_without_a_test_part_says_that_val_is_the_test_part(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    paths = sorted(scan(root).manifest["path"])
    lines = [f"{path},{'valid' if place % 3 == 0 else 'train'}" for place, path in enumerate(paths)]
    table = rows(tmp_path / "s.csv", "file;Split", [line.replace(",", ";") for line in lines])
    division = divided(root, Sources(given=table), strategy="given")
    assert set(division.split["split"]) == {"train", "test"}
    words = "no image is in the test split of --use-split: its val split is the test split"
    assert division.leakage["warnings"][1].startswith(words)
    assert f"WARNING: {words}" in told(division)
    lines[0] = lines[0].replace("valid", "test")
    division = divided(
        root, Sources(given=rows(tmp_path / "s.csv", "path,split", lines)), strategy="given"
    )
    assert "test part" not in warned(division)


# ---------------------------------------------------------------- a split to keep


def kept(
    tmp_path: Path, first: FolderSplit, manifest: pd.DataFrame | None = None, *, joined: bool = True
) -> Sources:
    """Write what a run leaves, with or without the manifest and the file of joined groups."""
    write_table(first.split, tmp_path / "split.csv")
    if manifest is not None:
        write_table(manifest, tmp_path / "manifest.csv")
    (tmp_path / JOINED_FILE).write_text(json.dumps(first.joined))
    return Sources(
        earlier=tmp_path / "split.csv",
        earlier_manifest=None if manifest is None else tmp_path / "manifest.csv",
        earlier_joined=tmp_path / JOINED_FILE if joined else None,
    )


def test_without_a_manifest_it_is_said_how_many_pictures_may_have_moved(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    found = scan(root)
    first = divided(root, found=found)
    unmoved = divided(root, kept(tmp_path, first), seed=3)
    assert unmoved.split["split"].tolist() == first.split["split"].tolist()
    assert "manifest" not in warned(unmoved)
    for number in range(3):
        (root / "a" / f"x00{2 * number}y.png").rename(root / "a" / f"renamed {number}.png")
    warning = (
        "no manifest.csv lies beside the table of --keep-split, so that images are known by "
        "their paths alone: 3 of 24 are not known, and may have moved to another split if they "
        "were renamed: a/renamed 0.png; a/renamed 1.png; a/renamed 2.png"
    )
    assert warning in divided(root, kept(tmp_path, first)).leakage["warnings"]
    with_manifest = divided(root, kept(tmp_path, first, found.manifest))
    assert "manifest" not in warned(with_manifest)
    assert with_manifest.leakage["tables"]["--keep-split"]["met"] == 24


def test_a_kept_split_in_another_unicode_form_is_kept(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", ("e\u0301", "b"))
    first = divided(root)
    composed = first.split["path"].map(lambda path: unicodedata.normalize("NFC", path))
    table = first.split.assign(path=composed, group="")
    write_table(table, tmp_path / "split.csv")
    again = divided(root, Sources(earlier=tmp_path / "split.csv"), seed=7)
    assert again.split["split"].tolist() == first.split["split"].tolist()


def test_a_split_of_other_pictures_can_not_be_kept(tmp_path: Path) -> None:
    first = divided(folder(tmp_path / "one"))
    other = tmp_path / "other"
    for number in range(24):
        path = other / "cd"[number % 2] / f"z{number}z.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn(500 + number).save(path)
    with pytest.raises(InputError, match=r"keep_split must hold an image that is here, got 'a/x0"):
        divided(other, kept(tmp_path, first))
    assert divided(other).leakage["strategy"] == "grouped", "leaving it out helps"


def test_the_ids_of_joined_groups_are_kept_as_a_list(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    shutil.copy(root / "a" / "x000y.png", root / "a" / "twin.png")
    lines = [f"x{number:03}y,site={number}" for number in range(24)] + ["twin,7"]
    groups = rows(tmp_path / "g.csv", "image,group", lines)
    first = divided(root, Sources(groups=groups))
    assert first.joined == {"7=site=0": ["7", "site=0"]}
    sources = kept(tmp_path, first)
    broken = (tmp_path / JOINED_FILE).with_name("broken.json")
    for text in ("[", '["a"]', '{"a": 1}', '{"a": [1]}'):
        broken.write_text(text)
        with pytest.raises(InputError, match=r"must stand beside broken.json as it was written"):
            divided(root, Sources(earlier=sources.earlier, earlier_joined=broken))


def test_a_split_of_an_older_version_says_which_names_it_can_not_part(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    lines = [f"x{number:03}y,site={number // 2}" for number in range(24)]
    groups = rows(tmp_path / "g.csv", "image,group", lines)
    first = divided(root, Sources(groups=groups))
    old = kept(tmp_path, first, joined=False)
    again = divided(root, Sources(groups, earlier=old.earlier), seed=4)
    assert again.split["split"].tolist() == first.split["split"].tolist()
    assert "groups whose names hold a '=' count as one id each: site=0; site=1; site=10" in warned(
        again
    )
    listed = kept(tmp_path, first)
    new = divided(root, Sources(groups, None, listed.earlier, None, listed.earlier_joined), seed=4)
    assert new.leakage["warnings"] == []
