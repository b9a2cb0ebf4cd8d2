"""Tables as users bring them: each is read, each row finds its image, or it is said why."""

import csv
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resnext.contracts.errors import InputError
from resnext.data.split.tables import ONE_GROUP, ONE_SPLIT, read_groups, read_split
from resnext.data.user_tables import Found, find_images, quoted, shown

IMAGES = ["bénin/1.jpg", "bénin/2.jpg", "mel/3 a,b.jpg"]
GROUPS = dict(zip(IMAGES, ["P1", "P1", "Zoë"], strict=True))
ROWS = [["path", "group"], *map(list, GROUPS.items())]
NFD = unicodedata.normalize("NFD", "é")


def plain(rows: list[list[str]], separator: str = ",", end: str = "\n") -> str:
    """Write rows as a simple program does, with quotes where they are needed."""
    cells = ([f'"{cell}"' if separator in cell else cell for cell in row] for row in rows)
    return "".join(separator.join(row) + end for row in cells)


def found(
    tmp_path: Path, text: str | bytes, images: list[str] | None = None, root: Path | None = None
) -> Found:
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return find_images(read_groups(path), images or IMAGES, root or tmp_path / "data")


def groups(tmp_path: Path, text: str | bytes, images: list[str] | None = None) -> dict[str, str]:
    return found(tmp_path, text, images).answers("group", ONE_GROUP)


def refused(tmp_path: Path, text: str | bytes, images: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        groups(tmp_path, text, images)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("--groups must ")
    return str(caught.value)


# ---------------------------------------------------------------- how a table is written


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_in_any_encoding_separator_and_line_end(
    tmp_path: Path, encoding: str, separator: str, end: str
) -> None:
    assert groups(tmp_path, plain(ROWS, separator, end).encode(encoding)) == GROUPS


def test_an_encoding_that_was_guessed_is_said(tmp_path: Path) -> None:
    assert found(tmp_path, plain(ROWS).encode()).table.notes == []
    (note,) = found(tmp_path, plain(ROWS).encode("cp1252")).table.notes
    assert note.startswith("--groups is not in UTF-8 and was read as Windows-1252")
    chinese = "path,group\n猴痘/1.jpg,甲\n".encode("gbk")
    assert groups(tmp_path, chinese, ["猴痘/1.jpg"]) == {"猴痘/1.jpg": "甲"}
    (note,) = found(tmp_path, chinese, ["猴痘/1.jpg"]).table.notes
    assert "was read as GB2312" in note


@pytest.mark.parametrize(
    "text",
    [
        'sep=;\npath;group\nx/1.jpg;P1\nx/2.jpg;P2\n',
        "PATH , Group\n x/1.jpg , P1 \nx/2.jpg\t, P2\n",
        ",path,group\n0,x/1.jpg,P1\n1,x/2.jpg,P2\n",
        '"","path","group"\n"1","x/1.jpg","P1"\n"2","x/2.jpg","P2"\n',
        '"path","group"\n"1","x/1.jpg","P1"\n"2","x/2.jpg","P2"\n',
        "path,group,,\nx/1.jpg,P1,,\nx/2.jpg,P2,,\n",
        "path,group\nx/1.jpg,P1,\nx/2.jpg,P2,\n",
        'path, group\n"x/1.jpg", "P1"\n"x/2.jpg", "P2"\n',
        "age,group,sex,path\n61,P1,f,x/1.jpg\n,P2,,x/2.jpg\n",
        "\n\npath,group\n\nx/1.jpg,P1\n,\nx/2.jpg,P2\n\n",
        "Image ID;Patient-ID\n1;P1\n2;P2\n",
        "path,group\n'=x/1.jpg,P1\nx/1.jpg,P1\nx/2.jpg,P2",
    ],
    ids=[
        "Excel's line", "blanks and case", "pandas' index", "R's row names", "R's without heading",
        "trailing commas", "trailing commas in rows", "quotes after blanks", "more columns",
        "blank lines", "others' headings", "a guarded formula",
    ],
)  # fmt: skip
def test_what_programs_add_to_a_table_is_passed_over(tmp_path: Path, text: str) -> None:
    assert groups(tmp_path, text, ["x/1.jpg", "x/2.jpg"]) == {"x/1.jpg": "P1", "x/2.jpg": "P2"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "it is empty"),
        (b"\n,\n", "it is empty"),
        (b"PK\x03\x04rest", "it is a spreadsheet. Save it as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0rest", "it is a spreadsheet. Save it as CSV UTF-8"),
        (b"path,group\n\x81,1\n", "it is text in no encoding that is known here"),
        (b'path,group\n"a,1\n', "line 2 can't be read (unexpected end of data)"),
        (
            b"path,group\na,1\nb, c.jpg,2\n",
            "line 3 has 3 cells and the header 2, read as separated by commas; put names that hold "
            "one between double quotes",
        ),
    ],
)
def test_what_is_no_table_is_refused_with_what_was_found(
    tmp_path: Path, text: bytes, words: str
) -> None:
    said = refused(tmp_path, text)
    assert said.startswith("--groups must be a CSV table in UTF-8, got '")
    assert words in said


def test_a_header_that_can_not_be_used_is_shown_with_the_separator(tmp_path: Path) -> None:
    assert refused(tmp_path, "sample;who\na;1\n").startswith(
        "--groups must hold the columns path, group, got none named path, group. Its header reads "
        "'sample', 'who', separated by semicolons. File '"
    )
    assert "Its header reads 'a/1.jpg', 'P1', separated by commas" in refused(
        tmp_path, "a/1.jpg,P1\na/2.jpg,P2\n"
    )


# ---------------------------------------------------------------- columns of the field

HAM = "lesion_id,image_id,dx,dx_type,age,sex\nHAM_1,ISIC_0027419,bkl,histo,80.0,male\n"
PAD = "patient_id,lesion_id,smoke,img_id\nPAT_1516,1765,,PAT_1516_1765_530.png\n"
ISIC = "isic_id,attribution,patient_id,lesion_id\nISIC_0024306,MUV,IP_7,IL_9\n"
ISIC_2020 = "image_name,patient_id,sex\nISIC_2637011,IP_7279968,male\n"


@pytest.mark.parametrize(
    ("text", "image", "group"),
    [
        (HAM, "bkl/ISIC_0027419.jpg", "HAM_1"),
        (PAD, "ACK/PAT_1516_1765_530.png", "PAT_1516"),
        (ISIC, "nv/ISIC_0024306.JPG", "IP_7"),
        (ISIC_2020, "nv/ISIC_2637011.dcm.png", "IP_7279968"),
        ("filename,subject\n1.jpg,7\n", "a/1.jpg", "7"),
        ("Image Index,Patient ID\n00000001_000.png,1\n", "No Finding/00000001_000.png", "1"),
    ],
    ids=["HAM10000", "PAD-UFES-20", "ISIC archive", "ISIC 2020", "a subject", "ChestX-ray14"],
)
def test_published_metadata_is_read_as_it_comes(
    tmp_path: Path, text: str, image: str, group: str
) -> None:
    if image.endswith(".dcm.png"):
        text = text.replace("ISIC_2637011", "ISIC_2637011.dcm")
    assert groups(tmp_path, text, [image]) == {image: group}


def test_groups_of_lesions_are_said_to_be_no_patients(tmp_path: Path) -> None:
    (note,) = found(tmp_path, HAM, ["bkl/ISIC_0027419.jpg"]).table.notes
    assert note.startswith("--groups names no patients: groups are those of its column 'lesion_id'")
    assert found(tmp_path, PAD, ["ACK/PAT_1516_1765_530.png"]).table.notes == []


def test_rows_of_metadata_without_a_patient_are_counted_and_left_out(tmp_path: Path) -> None:
    text = "image,patient_id\n1,P1\n2,\n3,NaN\n"
    told = found(tmp_path, text, ["a/1.jpg", "a/2.jpg", "a/3.jpg"])
    assert told.table.notes == ["2 of 3 rows of --groups name no 'patient_id'"]
    assert told.without == ["a/2.jpg", "a/3.jpg"]
    assert "name a group for each path, got none for '1'" in refused(tmp_path, "image,lesion\n1,\n")


def test_a_path_counts_before_a_file_name_before_an_id(tmp_path: Path) -> None:
    text = "image_id,filename,path,group\n9,9.jpg,a/1.jpg,P\n"
    assert groups(tmp_path, text, ["a/1.jpg", "a/9.jpg"]) == {"a/1.jpg": "P"}


@pytest.mark.parametrize(
    ("header", "rivals"),
    [
        ("path,group,patient", "'group' and 'patient'"),
        ("path,Patient ID,Group", "'Patient ID' and 'Group'"),
        ("path,group,group", "'group' and 'group'"),
    ],
)
def test_two_columns_that_could_both_be_meant_are_refused_and_renaming_one_helps(
    tmp_path: Path, header: str, rivals: str
) -> None:
    said = refused(tmp_path, f"{header}\nx/1.jpg,P,Q\n", ["x/1.jpg"])
    assert f"must hold one column that says the group, got {rivals}. Its header reads" in said
    assert said.endswith("Rename or remove all but one.")
    name, one, _ = header.split(",")
    assert groups(tmp_path, f"{name},{one},arm\nx/1.jpg,P,Q\n", ["x/1.jpg"]) == {"x/1.jpg": "P"}


def test_cells_of_other_columns_may_be_very_long(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = f"path,group,mask\nx/1.jpg,P,{'1 2 ' * 50_000}\n"
    assert groups(tmp_path, text, ["x/1.jpg"]) == {"x/1.jpg": "P"}
    assert csv.field_size_limit() == before


# ---------------------------------------------------------------- ids


def test_ids_that_differ_in_case_or_blanks_alone_are_said(tmp_path: Path) -> None:
    text = f"path,group\na,P1\nb,p1\nc,P2\nd,P2 \ne,caf{NFD}\nf,café\ng,P 3\nh,P3\n"
    told = found(tmp_path, text, list("abcdefgh"))
    assert told.answers("group", ONE_GROUP) == dict(
        zip("abcdefgh", ["P1", "p1", "P2", "P2", "café", "café", "P 3", "P3"], strict=True)
    )
    one, different = told.table.notes
    assert one == (
        "ids of --groups that differ in blanks around or Unicode form alone count as one group: "
        r"'P2' and 'P2 '; 'cafe\u0301' and 'café'"
    )
    assert different == (
        "ids of --groups that differ in case or blanks alone count as different groups: "
        "'P 3' and 'P3'; 'P1' and 'p1'"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7", "007"),
        ("7", "7.0"),
        ("P-01", "P1"),
        ("P_1", "p 1"),
        ("site=7", "Site 07"),
        ("\uff11", "1"),
    ],
)
def test_ids_that_a_spreadsheet_writes_in_two_ways_are_said(
    tmp_path: Path, one: str, other: str
) -> None:
    told = found(tmp_path, f"path,group\na,{one}\nb,{other}\nc,Q\n", list("abc"))
    (note,) = told.table.notes
    assert note.startswith("ids of --groups that differ in ")
    assert "alone count as different groups: " in note
    assert repr(one) in note or ascii(one) in note
    assert repr(other) in note


@pytest.mark.parametrize(("one", "other"), [("1-12", "11-2"), ("P10", "P1"), ("7", "site=7")])
def test_ids_that_differ_otherwise_are_no_matter(tmp_path: Path, one: str, other: str) -> None:
    told = found(tmp_path, f"path,group\na,{one}\nb,{other}\n", list("ab"))
    assert told.table.notes == []


def test_a_group_called_unknown_is_said(tmp_path: Path) -> None:
    told = found(tmp_path, "path,group\na,NA\nb,P1\nc,unknown\n", list("abc"))
    assert told.answers("group", ONE_GROUP) == {"a": "NA", "b": "P1", "c": "unknown"}
    assert told.table.notes == [
        "2 of 3 rows of --groups are of a group called 'NA' and 'unknown': if it is not known "
        "which one, remove these rows"
    ]
    told = found(tmp_path, "path,patient_id\na,Unknown\nb,P1\nc,#REF!\n", list("abc"))
    assert told.answers("group", ONE_GROUP) == {"b": "P1"}


# ---------------------------------------------------------------- names of images


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("bénin/x 1.jpg", f"b{NFD}nin/x 1.jpg"),
        (f"b{NFD}nin/x 1.jpg", "bénin/x 1.jpg"),
        ("a/b/1.jpg", "a\\b\\1.jpg"),
        ("a/1.jpg", "./a/1.jpg"),
        ("a/1.jpg", ".\\a\\.\\1.jpg"),
        ("a/1.jpg", "a//1.jpg"),
        ("a/1.jpg", "  a/1.jpg\t"),
        (" a/1.jpg ", "a/1.jpg"),
        ("a/1.jpg", "a/1"),
        ("a/1.v2.jpg", "a/1.v2"),
        ("a/1.jpg", "1.jpg"),
        ("a/1.jpg", "1"),
        ("a/1.jpg", "data/a/1.jpg"),
        ("a/IMG_1.JPG", "A/img_1.jpg"),
        ("a/Straße 1.JPG", "STRASSE 1"),
    ],
)
def test_each_writing_of_a_name_meets_its_image(tmp_path: Path, image: str, name: str) -> None:
    told = found(tmp_path, f'path,group\n"{name}",P\n', [image, "z/z.png"])
    assert told.answers("group", ONE_GROUP) == {image: "P"}
    assert told.counts()["met"] == 1
    assert told.without == ["z/z.png"]


def test_absolute_paths_are_met_below_the_data_and_through_links(tmp_path: Path) -> None:
    store, root = tmp_path / "store", tmp_path / "data"
    for path in (store / "cat" / "1.jpg", store / "more" / "2.jpg", root / "dog" / "3.jpg"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "cat").symlink_to(store / "cat")
    (root / "dog" / "2.jpg").symlink_to(store / "more" / "2.jpg")
    (tmp_path / "link").symlink_to(root)
    images = ["cat/1.jpg", "dog/2.jpg", "dog/3.jpg"]
    writings = [
        [f"{root}/cat/1.jpg", f"{root}/dog/2.jpg", f"{root}/dog/3.jpg"],
        [f"{tmp_path}/link/cat/1.jpg", f"{tmp_path}/link/dog/2.jpg", f"{tmp_path}/link/dog/3.jpg"],
        [f"{store}/cat/1.jpg", f"{store}/more/2.jpg", f"{root}/./dog/3.jpg"],
    ]
    for names in writings:
        text = plain([["path", "group"], *([name, "P"] for name in names)])
        for place in (root, tmp_path / "link"):
            assert found(tmp_path, text, images, place).of_rows == images
    text = plain([["path", "group"], [f"{tmp_path}/other/cat/1.jpg", "P"]])
    assert found(tmp_path, text, images, root).of_rows == [""]


def test_how_rows_were_met_is_counted(tmp_path: Path) -> None:
    text = "image,group\na/1.jpg,P\n2.jpg,P\n3,P\na/4,P\nA/5.JPG,P\ngone.jpg,P\n"
    images = [f"a/{number}.jpg" for number in range(1, 8)]
    assert found(tmp_path, text, images).counts() == {
        "columns": ["image", "group"], "rows": 6, "met": 5, "pictures": 7, "pictures_without": 2,
        "ways": {
            "without ending": 1, "without folder": 1, "without folder and ending": 1,
            "but for case": 1,
        },
    }  # fmt: skip


def test_case_finds_no_image_that_another_row_names(tmp_path: Path) -> None:
    told = found(tmp_path, "path,group\na/X.jpg,1\na/x.jpg,2\n", ["a/x.jpg"])
    assert told.answers("group", ONE_GROUP) == {"a/x.jpg": "2"}


FORMS = st.sampled_from(["NFC", "NFD"])
WRITINGS: list[Callable[[str], str]] = [
    lambda name: name.replace("/", "\\"),
    lambda name: f"./{name}",
    lambda name: name.replace("/", "//"),
]
NAMES = st.text(st.sampled_from("aeé 1_-.ñ图"), min_size=1, max_size=6).filter(
    lambda name: name.strip() == name and not name.startswith(".")
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=6),
    FORMS,
    FORMS,
    st.lists(st.sampled_from(WRITINGS), max_size=4),
    st.sampled_from(["", " ", "\t"]),
)
def test_however_both_sides_are_written_each_row_meets_its_own_image(
    tmp_path: Path,
    names: list[tuple[str, str]],
    here: Literal["NFC", "NFD"],
    there: Literal["NFC", "NFD"],
    changes: list[Callable[[str], str]],
    blank: str,
) -> None:
    images = sorted({unicodedata.normalize(here, f"{folder}/{name}.jpg") for folder, name in names})
    written = [unicodedata.normalize(there, path) for path in images]
    for change in changes:
        written = [change(name) for name in written]
    rows = [[f"{blank}{name}{blank}", f"g{place}"] for place, name in enumerate(written)]
    told = found(tmp_path, plain([["path", "group"], *rows]), images)
    assert told.of_rows == images
    assert told.ways == {}


# ---------------------------------------------------------------- what is ambiguous


def test_two_images_that_answer_to_one_row_are_both_shown_and_whole_paths_help(
    tmp_path: Path,
) -> None:
    images = ["a/1.jpg", "b/1.jpg", "c/2.jpg"]
    said = refused(tmp_path, "image,group\n1,P\n2,Q\n", images)
    assert "must name one image a row, got '1', to which 'a/1.jpg' and 'b/1.jpg' answer" in said
    assert said.endswith("Give each a row with its whole path below the data folder.")
    whole = {"a/1.jpg": "P", "b/1.jpg": "Q", "c/2.jpg": "Q"}
    assert groups(tmp_path, plain([["image", "group"], *map(list, whole.items())]), images) == whole


def test_images_of_one_name_in_two_unicode_forms_are_told_apart_by_a_row_each(
    tmp_path: Path,
) -> None:
    images = ["a/é.jpg", f"a/{NFD}.jpg"]
    for row in (images[0], images[1], "a\\é.jpg"):
        said = refused(tmp_path, f"path,group\n{row},P\n", images)
        assert r"to which 'a/é.jpg' and 'a/e\u0301.jpg' answer" in said
    text = plain([["path", "group"], [images[0], "P"], [images[1], "Q"]])
    assert groups(tmp_path, text, images) == dict(zip(images, "PQ", strict=True))


def test_two_rows_that_say_different_things_of_one_image_are_both_shown(tmp_path: Path) -> None:
    said = refused(tmp_path, "path,group\na/1.jpg,P\n./a/1.jpg,Q\n", ["a/1.jpg"])
    assert (
        "must name one group for each path, got two for 'a/1.jpg': 'P' (row 'a/1.jpg') and 'Q' "
        "(row './a/1.jpg')" in said
    )
    assert groups(tmp_path, "path,group\na/1.jpg,P\n./a/1.jpg,P\n", ["a/1.jpg"]) == {"a/1.jpg": "P"}
    parts = tmp_path / "parts.csv"
    parts.write_text("path,split\na/1.jpg,train\n1.jpg,test\n")
    told = find_images(read_split(parts, "--use-split"), ["a/1.jpg"], tmp_path)
    with pytest.raises(InputError, match=r"name each image once, got two for 'a/1.jpg': 'train'"):
        told.answers("split", ONE_SPLIT)


def test_where_nothing_is_met_one_name_of_each_side_is_shown(tmp_path: Path) -> None:
    assert (
        "must name images by their paths below the data folder, got 'x/1.jpg' in the column "
        "'file', where an image is 'a/1.jpg'. File '"
    ) in refused(tmp_path, "file,group\nx/1.jpg,P\n", ["a/1.jpg"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/图 1.jpg", "a/图 1.jpg"),
        ("мел/1.jpg", "мел/1.jpg"),
        ("a/é.jpg", "a/é.jpg"),
        (f"a/{NFD}.jpg", r"'a/e\u0301.jpg'"),
        ("mél\u0430nome/1.jpg", r"'m\xe9l\u0430nome/1.jpg'"),
        ("a/1.jpg ", "'a/1.jpg '"),
        ("a/1\u200b.jpg", r"'a/1\u200b.jpg'"),
        ("a/1\xa0.jpg", r"'a/1\xa0.jpg'"),
        ("", "''"),
    ],
)
def test_names_that_look_alike_are_told_apart_on_a_screen(name: str, words: str) -> None:
    assert shown(name) == words
    assert quoted(name).strip("'") == words.strip("'")
