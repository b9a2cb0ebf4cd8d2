"""A table of path,label is scanned like class folders."""

from pathlib import Path

import pandas as pd
import pytest

from resnext.contracts.errors import InputError
from resnext.data.manifest.scan import scan, scan_table
from tests.resnext.data.samples import cats_and_dogs, picture, reasons, save


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_it_gives_the_rows_that_the_folders_give(tmp_path: Path) -> None:
    root = cats_and_dogs(tmp_path / "images")
    rows = ["dog/2.png,dog", "cat/1.png, cat", "./cat/2.png,cat", "dog/1.png,dog", "dog/1.png,dog"]
    found = scan_table(written(root / "list.csv", "\n".join(["Image ID,dx", *rows])))
    (root / "list.csv").unlink()
    expected = scan(root)
    pd.testing.assert_frame_equal(found.manifest, expected.manifest)
    assert (found.hashes == expected.hashes).all()


def test_paths_may_lead_elsewhere_and_what_is_missing_is_quarantined(tmp_path: Path) -> None:
    above, full = save(tmp_path / "a.png"), save(tmp_path / "far" / "b.png", picture(seed=9))
    rows = ["path,label", "../a.png,cat", f"{full},dog", "gone.png,dog"]
    (tmp_path / "tables").mkdir()
    found = scan_table(written(tmp_path / "tables" / "list.csv", "\n".join(rows)))
    labels = dict(zip(found.manifest["path"], found.manifest["label"], strict=True))
    assert labels == {"../a.png": "cat", str(full): "dog"}
    assert above.is_file()
    assert reasons(found) == {"gone.png": "no such file"}


def test_what_was_read_before_is_not_read_again(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    table = written(tmp_path / "list.csv", "path,label\na.png,cat\n")
    first = scan_table(table)
    again = scan_table(table, remembered=first.memory)
    assert (first.opened, again.opened) == (1, 0)
    pd.testing.assert_frame_equal(first.manifest, again.manifest)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,x\na.png,cat\n", r"data must hold the columns path, label, got none named label"),
        ("path,label\na.png,\n", r"name the class of each image, got none for 'a\.png'"),
        ("path,label\na.png,cat\n./a.png,dog\n", r"name one class for each image, got two for"),
        ("path,label\nb.png,cat\n", r"hold a readable image, got b\.png \(no such file\)"),
    ],
)
def test_what_can_not_be_used_is_wrong_input(tmp_path: Path, text: str, said: str) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(InputError, match=said):
        scan_table(written(tmp_path / "list.csv", text))


def test_names_are_met_as_those_of_other_tables_are(tmp_path: Path) -> None:
    """Published tables name ids without folder and ending, or paths of another system."""
    root = cats_and_dogs(tmp_path / "images")
    (root / "cat" / "1.png").rename(root / "cat" / "ISIC_7.png")
    rows = ["image_id,diagnosis", "ISIC_7,cat", "cat\\2.png,cat", f"{root}/dog/1.png,Cat"]
    found = scan_table(written(root / "list.csv", "\n".join(rows)))
    assert dict(zip(found.manifest["path"], found.manifest["label"], strict=True)) == {
        "cat/2.png": "cat", "cat/ISIC_7.png": "cat", "dog/1.png": "Cat",
    }  # fmt: skip
    assert found.quarantine.empty
    assert any("'Cat', 'cat' differ in case" in each for each in found.warnings)


def test_one_image_by_two_paths_has_one_class(tmp_path: Path) -> None:
    image = save(tmp_path / "a.png")
    table = written(tmp_path / "list.csv", f"path,label\na.png,cat\n{image},dog\n")
    with pytest.raises(InputError, match=r"name one class for each image, got two for 'a\.png'"):
        scan_table(table)
