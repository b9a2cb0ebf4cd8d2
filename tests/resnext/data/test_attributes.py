"""Tables of attributes: which image is told what, what must be said, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest

from resnext.contracts.errors import InputError
from resnext.data.attributes import Attributes, attributes_of_scan, read_attributes

SPLIT = pd.DataFrame(
    {
        "path": ["a/1.png", "a/2.png", "b/3.png", "b/4.png"],
        "group": ["P1", "P1", "P2", "P3 = P4"],
        "copy": None,
    }
)
JOINED = {"P3 = P4": ["P3", "P4"]}


def read(text: str, folder: Path) -> Attributes:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return read_attributes(path, SPLIT, JOINED, folder / "data")


def told(found: Attributes) -> dict[str, dict[str, str]]:
    rows = found.table.groupby("attribute")
    return {str(name): dict(zip(x["path"], x["subgroup"], strict=True)) for name, x in rows}


def test_images_are_found_as_in_any_table_and_what_is_unknown_is_empty(tmp_path: Path) -> None:
    found = read("image_id;Skin tone;age\n1;II;34\n2; II ;n/a\n3;;51\n4;V;\n", tmp_path)
    assert told(found) == {
        "Skin tone": {"a/1.png": "II", "a/2.png": "II", "b/3.png": "", "b/4.png": "V"},
        "age": {"a/1.png": "34", "a/2.png": "", "b/3.png": "51", "b/4.png": ""},
    }
    assert found.notes == []


def test_a_row_for_each_group_is_about_all_its_images_and_joined_ids_must_agree(
    tmp_path: Path,
) -> None:
    found = read("patient_id,sex,site\nP1,f,x\nP3,m,x\nP4,m,y\nP9,f,y\n", tmp_path)
    assert told(found)["sex"] == {"a/1.png": "f", "a/2.png": "f", "b/4.png": "m"}
    assert told(found)["site"] == {"a/1.png": "x", "a/2.png": "x", "b/4.png": ""}
    assert found.notes == [
        "1 row of --attributes is about no group that is here: P9",
        "1 of 4 originals have no row in --attributes, so that nothing is stated of them: b/3.png",
    ]


def test_unknown_images_are_counted_and_named(tmp_path: Path) -> None:
    found = read("path,age\na/1.png,3\nx/8.png,4\nx/9.png,5\n", tmp_path)
    assert found.notes[0] == (
        "2 rows of --attributes are about no image that is used (see quarantine.csv): x/8.png; "
        "x/9.png"
    )
    assert "3 of 4 originals have no row" in found.notes[1]


def test_augmented_copies_need_no_row(tmp_path: Path) -> None:
    split = SPLIT.assign(copy=[0, 1, 0, 2])
    path = tmp_path / "table.csv"
    path.write_text("path,age\na/1.png,3\nb/3.png,4\n", encoding="utf-8")
    assert read_attributes(path, split, JOINED, tmp_path).notes == []


def test_ids_are_no_attributes(tmp_path: Path) -> None:
    found = read("path,patient_id,split,age\na/1.png,P1,train,3\n", tmp_path)
    assert set(found.table["attribute"]) == {"age"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("who,age\n1,2\n", "--attributes must hold a column path or group, got none named so."),
        ("path,patient\na/1.png,P1\n", "must hold columns besides the path, each of another name"),
        ("path,age,age\na/1.png,1,2\n", "each of another name, got 'age', 'age'."),
        (
            "path,age\na/1.png,30\na/1.png,31\n",
            "must state one thing of each, got two for 'a/1.png': '30' (row 'a/1.png') and '31'",
        ),
        ("group,age\nP1,30\nP1,31\n", "must state one thing of each, got two for 'P1'"),
        ("path,age\nx.png,1\n", "must name images by their paths below the data folder"),
        ("group,age\nQ1,1\n", "must name groups that are here, got Q1, where groups are P1;"),
        ("", "must be a CSV table in UTF-8"),
        ("path,age\n", "--attributes must have a row for each image or group, got none."),
        ("group,age\n", "--attributes must have a row for each image or group, got none."),
    ],
)
def test_a_bad_table_is_refused_in_words(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(text, tmp_path)
    assert said in str(error.value)
    assert "table.csv" in str(error.value)


def test_what_the_scan_knows_is_format_size_brightness_and_the_folder_in_that_of_the_class() -> (
    None
):
    cues = pd.DataFrame(
        {
            "path": ["train/mel/cam 1/x.png", "mel/y.png", "mel/cam/deep/z.png"],
            "label": "mel",
            "format": ["PNG", "JPEG", "JPEG"],
            "megapixels": [0.05017, 12.1, 1.0],
            "brightness": [0.123, 0.5, 1.0],
        }
    )
    found = told(Attributes(attributes_of_scan(cues), []))
    assert list(found["folder"].values()) == ["cam 1", "in the class folder itself", "cam"]
    assert list(found["megapixels"].values()) == ["0.0502", "12.1", "1"]
    assert list(found["brightness"].values()) == ["0.12", "0.50", "1.00"]
