"""Tables on disk: text stays text, equal tables have equal bytes, a manifest is whole."""

import math
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resnext.contracts import tables
from resnext.contracts.errors import InputError
from resnext.data.manifest.scan import scan
from tests.resnext.data.samples import cats_and_dogs, save


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes with two good pictures each."""
    return cats_and_dogs(tmp_path / "data")


@pytest.mark.parametrize("name", ["NA", "001", "nan", "1e5", "True"])
def test_a_class_name_stays_text_through_the_disk(tree: Path, tmp_path: Path, name: str) -> None:
    save(tree / name / "1.png")
    found = scan(tree).manifest
    tables.write_table(found, tmp_path / "manifest.csv")
    read = tables.read_manifest(tmp_path / "manifest.csv")
    assert name in read["label"].tolist()
    pd.testing.assert_frame_equal(read, found)


def test_an_empty_quarantine_can_be_written_and_read(tree: Path, tmp_path: Path) -> None:
    tables.write_table(scan(tree).quarantine, tmp_path / "quarantine.csv")
    assert (tmp_path / "quarantine.csv").read_text() == "path,reason\n"
    read = tables.read_table(tmp_path / "quarantine.csv")
    assert (list(read.columns), len(read)) == (["path", "reason"], 0)


def test_a_manifest_without_a_column_is_refused(tree: Path, tmp_path: Path) -> None:
    tables.write_table(scan(tree).manifest.drop(columns=["sha256"]), tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="got none named sha256"):
        tables.read_manifest(tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="must be a file"):
        tables.read_manifest(tmp_path / "missing.csv")


FORMULAS = ["=1+1.jpg", "+1", "-1", "@x", "\tx", "'=x", "''@x", "'plain'", "a=b", "''", ""]


def test_no_name_begins_as_a_formula_does_and_all_come_back(tmp_path: Path) -> None:
    written = pd.DataFrame({"path": FORMULAS, "label": FORMULAS[::-1], "bytes": -1})
    tables.write_table(written, tmp_path / "table.csv")
    cells = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
    assert not cells["path"].str.match(r"[=+\-@\t\r]").any()
    assert cells["path"].tolist()[:4] == ["'=1+1.jpg", "'+1", "'-1", "'@x"]
    assert cells["path"].tolist()[7:] == FORMULAS[7:], "what is no formula stays as it is"
    assert cells["bytes"].tolist() == ["-1"] * len(FORMULAS), "a number is no formula"
    read = tables.read_table(tmp_path / "table.csv")
    assert read["path"].tolist() == FORMULAS
    assert read["label"].tolist() == FORMULAS[::-1]


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


def test_an_orientation_is_a_number_of_one_image_and_a_phrase_between_two(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,orientation\na,6\n", encoding="utf-8")
    assert tables.read_table(tmp_path / "t.csv")["orientation"].tolist() == [6]
    (tmp_path / "t.csv").write_text("path,other,orientation\na,b,as it is\n", encoding="utf-8")
    assert tables.read_table(tmp_path / "t.csv")["orientation"].tolist() == ["as it is"]


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


def test_equal_tables_give_equal_bytes_with_plain_line_ends(tree: Path, tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        tables.write_table(scan(tree).manifest, tmp_path / name)
    data = (tmp_path / "one.csv").read_bytes()
    assert data == (tmp_path / "two.csv").read_bytes()
    assert b"\r" not in data
    assert data.startswith(b"path,label,sha256,phash,bytes,width,height,mode,format,orientation\n")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("\ufeffpath,label\na.jpg,NA\n".encode())
    assert list(tables.read_table(tmp_path / "t.csv")["path"]) == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be a CSV table"),
        ("path,label\na,b,c\n", "equally long rows"),
        ("epoch\nfirst\n", "must hold numbers where no text belongs, got text in 'epoch'"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_in_words(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
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
    with pytest.raises(InputError, match="must hold numbers where no text belongs"):
        tables.read_confusion(tmp_path / "c.csv")


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


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such clock")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # within a __del__
@pytest.mark.parametrize("read", [tables.read_table, tables.read_confusion])
def test_an_interruption_is_never_taken_for_a_fault_of_the_table(
    read: Callable[[Path], pd.DataFrame], tmp_path: Path
) -> None:
    """It comes at many moments of the reading; pandas loses some that come while it decodes."""
    path = tmp_path / "confusion.csv"
    path.write_text("\n".join(["true,n", *["1,2"] * 20_000]))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for moment in range(1, 200):
            try:
                signal.setitimer(signal.ITIMER_REAL, moment * 2e-5)
                read(path)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_split_that_lacks_a_column_is_said_with_the_file_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("path,label\na,A\n")
    with pytest.raises(InputError, match=r"got none named group, split\. Split the images again"):
        tables.read_split_images(tmp_path / "split.csv", tmp_path / "manifest.csv")
