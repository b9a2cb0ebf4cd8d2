"""Tables that a user gives: parts by path, groups by path; and what is refused."""

from pathlib import Path

import pytest

from resnext.contracts.errors import InputError
from resnext.data.split.given import read_parts
from resnext.data.split.groups import ONE_GROUP, read_groups, read_names
from resnext.data.user_tables import UserTable, find_images
from tests.resnext.data.samples import prepared, table


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
    assert said(read_parts(written(tmp_path, "\n".join(rows)), "--use-split")) == {
        "a/1": "train",
        "a/2": "val",
        "b/3": "test",
        "b/4": "",
    }


def test_a_table_that_excel_wrote_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "path,group\r\na/图 1.jpg,p1\r\n", "utf-8-sig")
    assert said(read_groups(path)) == {"a/图 1.jpg": "p1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,part\na,train\n", "must hold the columns path, split, got none named split"),
        ("path,split\na,train\na,test\n", "must name each picture once, got two for 'a'"),
        ("path,split\na,out\n", "must name the parts train, val, test or unused, got 'out'"),
        ("path,split\n", "must name the part of a picture, got none"),
        ("", "must be a CSV table in UTF-8"),
        ('path,split\n"a,train\n', "must be a CSV table in UTF-8"),
    ],
)
def test_a_bad_table_of_parts_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_parts(written(tmp_path, text), "--use-split")
    assert words in str(caught.value)
    assert str(caught.value).startswith("--use-split ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,colour\na,1\n", "got none named group"),
        ("path,group\na,1\na,2\n", "must name one group for each path, got two for 'a'"),
        ("path,group\na,\x1b[31m\n", "must be printable text, got a control character for 'a'"),
        ("path,group\n", "must name the group of a picture, got none"),
        ("path,group\na, \n", "must name a group for each path, got none for 'a'"),
    ],
)
def test_a_bad_table_of_groups_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_groups(written(tmp_path, text))
    assert words in str(caught.value)


def test_spaces_around_a_group_make_no_other_group(tmp_path: Path) -> None:
    table = read_groups(written(tmp_path, "path,group\na,P0\nb,P0 \n"))
    assert said(table) == {"a": "P0", "b": "P0"}


def test_a_row_that_is_there_twice_does_no_harm(tmp_path: Path) -> None:
    assert said(read_groups(written(tmp_path, "path,group\na,1\na,1\n"))) == {"a": "1"}


def test_the_users_groups_win_over_names_and_copies_stay_with_their_photograph() -> None:
    paths = [f"a/A{n}_1_{copy:02d}.jpg" for n in range(4) for copy in range(2)]
    groups = {"a/A0_1_00.jpg": "ann", "a/A1_1_00.jpg": "ann"}
    assert read_names(table(paths), groups=groups).listed == 2
    pictures = prepared(table(paths), None, groups)
    assert pictures["group"].tolist() == ["A0=A1=ann"] * 4 + ["A2", "A2", "A3", "A3"]
    assert pictures["copy"].tolist() == [0, 1] * 4


def test_groups_of_other_pictures_are_refused(tmp_path: Path) -> None:
    groups = read_groups(written(tmp_path, "path,group\n/home/me/a/1.jpg,x\n"))
    found = find_images(groups, ["a/1.jpg"], tmp_path)
    with pytest.raises(InputError, match="groups must name pictures by their paths below the data"):
        found.answers("group", ONE_GROUP)
