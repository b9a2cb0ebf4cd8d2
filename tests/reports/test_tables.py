import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports import tables
from resnext.contracts import tables as library_tables

AWKWARD = ["NA", "001", "猴痘", "", "nan", 'a "quoted", name', "two\nlines", "bare\rreturn", "None"]


def test_class_and_file_names_survive_a_write_and_a_read(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": AWKWARD, "label": AWKWARD, "confidence": 0.5})
    tables.write_table(table, tmp_path / "t.csv")
    back = tables.read_table(tmp_path / "t.csv")
    assert list(back["path"]) == AWKWARD
    assert list(back["label"]) == AWKWARD


def test_a_file_name_that_is_not_utf8_keeps_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"path,reason\n\xff.jpg,broken\n")
    table = tables.read_table(tmp_path / "t.csv")
    tables.write_table(table, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()


def test_numbers_read_back_as_the_same_numbers(tmp_path: Path) -> None:
    numbers = [0.1, 1 / 3, 1e-300, 123456789.123456789, float(np.float32(0.7)), 2.0]
    tables.write_table(pd.DataFrame({"p_a": numbers}), tmp_path / "t.csv")
    assert list(tables.read_table(tmp_path / "t.csv")["p_a"]) == numbers


def test_hashes_of_a_manifest_are_text_even_where_they_look_like_numbers(tmp_path: Path) -> None:
    text = "path,sha256,phash,mode,format,width\n1.jpg,0012,9e99,1,JPEG,8\n"
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    row = tables.read_table(tmp_path / "m.csv").iloc[0].tolist()
    assert row == ["1.jpg", "0012", "9e99", "1", "JPEG", 8]


def test_an_undefined_number_is_an_empty_field(tmp_path: Path) -> None:
    table = pd.DataFrame({"class": ["a", "b"], "support": [0, 3], "recall": [math.nan, 1.0]})
    tables.write_table(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b"class,support,recall\na,0,\nb,3,1.0\n"
    pd.testing.assert_frame_equal(
        tables.read_table(tmp_path / "t.csv"), table, check_dtype=False, check_column_type=False
    )


def test_whole_numbers_stay_whole_and_empty_ones_become_nan(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("epoch,copy\n1,\n2,0\n", encoding="utf-8")
    table = tables.read_table(tmp_path / "t.csv")
    assert list(table["epoch"]) == [1, 2]
    assert table["epoch"].dtype == np.int64
    assert math.isnan(table["copy"][0])
    assert table["copy"][1] == 0


def test_a_heading_without_rows_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,reason\n", encoding="utf-8")
    table = tables.read_table(tmp_path / "t.csv")
    assert list(table.columns) == ["path", "reason"]
    assert len(table) == 0


def test_equal_tables_give_equal_bytes_with_plain_line_ends(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["b", "a"], "p_a": [0.25, 1 / 3]})
    for name in ("one.csv", "two.csv"):
        tables.write_table(table.copy(), tmp_path / name)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert b"\r" not in (tmp_path / "one.csv").read_bytes()


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("\ufeffpath,label\na.jpg,NA\n".encode())
    assert list(tables.read_table(tmp_path / "t.csv")["path"]) == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must begin with a heading"),
        ("path,label\na,b,c\n", "equally long rows"),
        ("epoch\nfirst\n", "Column 'epoch' must hold numbers"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_in_words(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        tables.read_table(tmp_path / "t.csv")


def test_a_confusion_table_survives_classes_named_like_its_headings(tmp_path: Path) -> None:
    names = ["true", "NA", "001", "predicted"]
    confusion = tables.confusion_table(np.arange(16).reshape(4, 4), names, names)
    tables.write_confusion(confusion, tmp_path / "c.csv")
    back = tables.read_confusion(tmp_path / "c.csv")
    pd.testing.assert_frame_equal(back, confusion)
    assert (tmp_path / "c.csv").read_text(encoding="utf-8").startswith("true,true,NA,001,predicted")


def test_a_confusion_cell_that_is_no_count_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("true,a\na,many\n", encoding="utf-8")
    with pytest.raises(ValueError, match="whole numbers"):
        tables.read_confusion(tmp_path / "c.csv")


def test_json_writes_null_for_nan_and_keeps_order_and_names(tmp_path: Path) -> None:
    content = {
        "n": np.int64(3),
        "猴痘": math.nan,
        "pair": (np.float64(0.5), math.inf),
        "in": {1: "x"},
    }
    tables.write_json(content, tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"n": 3, "猴痘": None, "pair": [0.5, None], "in": {"1": "x"}}
    assert tables.read_json(tmp_path / "m.json")["猴痘"] is None
    assert text.index('"n"') < text.index("猴痘")


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ValueError, match="must hold a JSON object, got a list"):
        tables.read_json(tmp_path / "m.json")


def test_names_that_are_formulas_are_inert_on_disk_and_come_back(tmp_path: Path) -> None:
    names = ["=1+1", "-2", "'=x", "plain"]
    table = pd.DataFrame({"class": names, "support": [1, 2, 3, 4], "recall": [-0.5, 0, 1, 1]})
    tables.write_table(table, tmp_path / "per_class.csv")
    lines = (tmp_path / "per_class.csv").read_text().splitlines()
    assert lines[1:] == ["'=1+1,1,-0.5", "'-2,2,0.0", "''=x,3,1.0", "plain,4,1.0"]
    assert tables.read_table(tmp_path / "per_class.csv")["class"].tolist() == names
    counts = tables.confusion_table([[1, 2], [3, 4]], names[:2], names[:2])
    tables.write_confusion(counts, tmp_path / "confusion.csv")
    assert (tmp_path / "confusion.csv").read_text().startswith("true,'=1+1,'-2\n'=1+1,1,2\n")
    pd.testing.assert_frame_equal(tables.read_confusion(tmp_path / "confusion.csv"), counts)


def test_what_the_library_wrote_reads_back_alike(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["=1", "'+2", "x"], "confidence": [0.5, 0.6, 0.7]})
    library_tables.write_table(table, tmp_path / "predictions.csv")
    assert tables.read_table(tmp_path / "predictions.csv")["path"].tolist() == ["=1", "'+2", "x"]
