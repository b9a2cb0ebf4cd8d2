"""The listing: links, odd entries, what is left out, and folders that hold no classes."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest

from resnext.manifest import listing
from resnext.manifest.scan import scan
from tests.resnext.samples import assert_quarantined, cats_and_dogs, message, reasons, row, save


def sparse(path: Path) -> None:
    """Take no room on the disk but more than is read."""
    path.touch()
    os.truncate(path, listing.LARGEST_FILE + 1)


def lacking_for(name: str) -> str:
    """Say why a kind can't be made here; empty where it can."""
    unable = name == "socket" and sys.platform != "linux"
    return "only Linux lets any user make a socket by its name" if unable else ""


def as_shown(path: PurePath) -> str:
    """Escape what a name holds that a table can't, as backslashes and hexadecimal digits."""
    text = path.as_posix().replace("\n", "\\x0a").replace("\t", "\\x09")
    return text.replace("\udcff", "\\udcff")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "broken": (lambda path: path.symlink_to("nowhere"), "broken link"),
    "loop": (lambda path: path.symlink_to("loop"), "link loop"),
    "outside": (lambda path: path.symlink_to(__file__), "outside the folder"),
    "device": (lambda path: path.symlink_to("/dev/null"), "outside the folder"),
    "turn": (lambda path: path.symlink_to("../dog"), "link to a folder"),
    "pipe": (os.mkfifo, "not a regular file"),
    "socket": (lambda path: os.mknod(path, stat.S_IFSOCK | 0o600), "not a regular file"),
    "sparse.png": (sparse, "536,870,913 bytes, more than 536,870,912"),
    "a\nb.png": (save, "control character"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes with two good pictures each."""
    return cats_and_dogs(tmp_path / "data")


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_entry_is_quarantined_with_its_reason(tree: Path, name: str) -> None:
    if lacking := lacking_for(name):
        pytest.skip(lacking)
    assert_quarantined(tree, name, *FAULTS[name])


@pytest.mark.parametrize("name", ["a\tb.png", "\udcff.png"], ids=["tab", "not UTF-8"])
def test_a_name_that_no_table_can_hold_is_shown_escaped(tree: Path, name: str) -> None:
    try:
        save(tree / "cat" / "1.png").rename(tree / "cat" / name)
    except OSError:
        pytest.skip("this file system refuses such a name")
    assert reasons(scan(tree)) == {
        as_shown(PurePath("cat", name)): "its name is not UTF-8 or holds a control character"
    }


def test_a_link_to_a_file_inside_is_followed(tree: Path) -> None:
    (tree / "cat" / "link.png").symlink_to("1.png")
    found = scan(tree)
    assert row(found, "cat/link.png")["sha256"] == row(found, "cat/1.png")["sha256"]


def test_a_huge_file_is_not_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "cat" / "film.png").write_bytes(b"x" * 5000)
    monkeypatch.setattr(listing, "LARGEST_FILE", 4000)
    assert reasons(scan(tree)) == {"cat/film.png": "5,000 bytes, more than 4,000"}


def test_files_outside_the_class_folders_are_quarantined(tree: Path) -> None:
    save(tree / "loose.png")
    (tree / "labels.csv").write_text("a,b\n")
    assert reasons(scan(tree)) == {
        "labels.csv": "lies outside the class folders",
        "loose.png": "lies outside the class folders",
    }


def test_an_empty_class_folder_is_not_lost(tree: Path) -> None:
    (tree / "empty").mkdir()
    assert reasons(scan(tree)) == {"empty": "class folder without a picture"}


def test_hidden_and_system_entries_are_left_out_and_counted(tree: Path) -> None:
    for name in (".hidden.png", "__MACOSX/1.png", ".git/1.png"):
        save(tree / "cat" / name)
    for name in (".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini"):
        (tree / name).touch()
    found = scan(tree)
    assert len(found.manifest) == 4
    assert found.quarantine.empty
    assert found.left_out == 7


# ---------------------------------------------------------------- one line for wrong input


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    assert message(tmp_path / "nowhere") == (
        f"data must name a folder, got '{tmp_path / 'nowhere'}'. No such folder. "
        "Give the folder that holds one folder per class."
    )


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    assert "This is a file." in message(save(tmp_path / "a.png"))


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    assert message(tmp_path).startswith("data must hold at least 2 class folders, got none.")


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "1.png")
    assert message(tmp_path).startswith("data must hold at least 2 class folders, got 1 ('cat').")


def test_a_folder_around_the_class_folders_is_named(tree: Path) -> None:
    assert f"Give '{tree}' if the class folders lie there." in message(tree.parent)


@pytest.mark.parametrize(
    "folders",
    [
        ["train/a", "train/b", "val/a", "val/b", "test"],
        ["train/a", "train/b", "test/a", "test/b", "masks"],
        ["train/a", "val/a", "validation/a"],
        ["val/a", "test/a"],
    ],
)
def test_a_divided_folder_that_is_not_whole_is_refused_and_not_taken_for_classes(
    folders: list[str], tmp_path: Path
) -> None:
    for folder in folders:
        save(tmp_path / folder / "1.png")
    assert message(tmp_path).startswith("data must hold class folders, or train and test folders")


def test_the_classes_of_a_divided_folder_lie_one_deeper(tmp_path: Path) -> None:
    for folder in ("train/a", "train/b", "Test/a"):
        save(tmp_path / folder / "1.png")
    save(tmp_path / "train" / "loose.png")
    found = scan(tmp_path)
    assert found.manifest["label"].tolist() == ["a", "a", "b"]
    assert reasons(found) == {"train/loose.png": "lies outside the class folders"}
