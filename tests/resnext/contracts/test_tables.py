"""Tables on disk: text stays text, equal tables have equal bytes, a manifest is whole."""

from pathlib import Path

import pandas as pd
import pytest

from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_manifest, read_table, write_table
from resnext.data.manifest.scan import scan
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import cats_and_dogs, save, split, table


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes with two good pictures each."""
    return cats_and_dogs(tmp_path / "data")


@pytest.mark.parametrize("name", ["NA", "001", "nan", "1e5", "True"])
def test_a_class_name_stays_text_through_the_disk(tree: Path, tmp_path: Path, name: str) -> None:
    save(tree / name / "1.png")
    found = scan(tree).manifest
    write_table(found, tmp_path / "manifest.csv")
    read = read_manifest(tmp_path / "manifest.csv")
    assert name in read["label"].tolist()
    pd.testing.assert_frame_equal(read, found)


def test_a_table_has_the_same_bytes_each_time(tree: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        write_table(scan(tree).manifest, tmp_path / f"{number}.csv")
    data = (tmp_path / "1.csv").read_bytes()
    assert data == (tmp_path / "2.csv").read_bytes()
    assert b"\r" not in data
    assert data.startswith(b"path,label,sha256,phash,bytes,width,height,mode,format,orientation\n")


def test_an_empty_quarantine_can_be_written_and_read(tree: Path, tmp_path: Path) -> None:
    write_table(scan(tree).quarantine, tmp_path / "quarantine.csv")
    assert (tmp_path / "quarantine.csv").read_text() == "path,reason\n"
    assert read_table(tmp_path / "quarantine.csv").empty


def test_a_manifest_without_a_column_is_refused(tree: Path, tmp_path: Path) -> None:
    write_table(scan(tree).manifest.drop(columns=["sha256"]), tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="got none named sha256"):
        read_manifest(tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="No such file"):
        read_manifest(tmp_path / "missing.csv")


def test_text_stays_text_through_the_disk(tmp_path: Path) -> None:
    paths = [f"{c}/{n}.jpg" for c in ("NA", "001") for n in range(9)]
    write_table(split(table(paths), SplitSettings()), tmp_path / "split.csv")
    assert set(read_table(tmp_path / "split.csv")["label"]) == {"NA", "001"}


FORMULAS = ["=1+1.jpg", "+1", "-1", "@x", "\tx", "'=x", "''@x", "'plain'", "a=b", "''", ""]


def test_no_name_begins_as_a_formula_does_and_all_come_back(tmp_path: Path) -> None:
    written = pd.DataFrame({"path": FORMULAS, "label": FORMULAS[::-1], "bytes": -1})
    write_table(written, tmp_path / "table.csv")
    cells = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
    assert not cells["path"].str.match(r"[=+\-@\t\r]").any()
    assert cells["path"].tolist()[:4] == ["'=1+1.jpg", "'+1", "'-1", "'@x"]
    assert cells["path"].tolist()[7:] == FORMULAS[7:], "what is no formula stays as it is"
    assert cells["bytes"].tolist() == ["-1"] * len(FORMULAS), "a number is no formula"
    read = read_table(tmp_path / "table.csv")
    assert read["path"].tolist() == FORMULAS
    assert read["label"].tolist() == FORMULAS[::-1]
