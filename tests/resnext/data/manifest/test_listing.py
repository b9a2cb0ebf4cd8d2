"""The listing: links, odd entries, what is left out, and folders that hold no classes."""

import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest

from resnext.contracts.errors import InputError
from resnext.data.manifest import listing
from resnext.data.manifest.class_folders import split_folders
from resnext.data.manifest.describe import describe_scan
from resnext.data.manifest.scan import Scan, scan
from tests.resnext.data.samples import (
    assert_quarantined,
    cats_and_dogs,
    message,
    picture,
    reasons,
    row,
    save,
)


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
    "outside": (lambda path: path.symlink_to(__file__), "not an image, but text"),
    "device": (lambda path: path.symlink_to("/dev/null"), "not a regular file"),
    "turn": (lambda path: path.symlink_to(".."), "link back to a folder that it lies in"),
    "pipe": (os.mkfifo, "not a regular file"),
    "socket": (lambda path: os.mknod(path, stat.S_IFSOCK | 0o600), "not a regular file"),
    "sparse.png": (sparse, "536,870,913 bytes, more than 536,870,912"),
    "a\nb.png": (save, "control character"),
}


def notes(found: Scan) -> list[str]:
    """Say what is said besides classes, formats and sizes."""
    return describe_scan(found)[2:]


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


# ---------------------------------------------------------------- links


def linked(root: Path, store: Path) -> Path:
    """Class folders and pictures that are links to another place."""
    cats_and_dogs(store)
    (root / "dog").mkdir(parents=True)
    (root / "cat").symlink_to(store / "cat")
    for path in (store / "dog").iterdir():
        (root / "dog" / path.name).symlink_to(path)
    return root


def test_a_linked_set_gives_the_manifest_of_a_copied_one(tmp_path: Path) -> None:
    found = scan(linked(tmp_path / "linked", tmp_path / "store"))
    copied = scan(Path(shutil.copytree(tmp_path / "store", tmp_path / "copied")))
    assert found.manifest.equals(copied.manifest)
    assert found.quarantine.equals(copied.quarantine)
    assert (found.hashes == copied.hashes).all()
    (tmp_path / "way").symlink_to(tmp_path / "linked")
    assert scan(tmp_path / "way").manifest.equals(copied.manifest)


def test_what_lies_outside_is_said_once_with_where_a_link_leads(tmp_path: Path) -> None:
    found = scan(linked(tmp_path / "linked", tmp_path / "store"))
    assert notes(found) == [
        "4 files lie outside the folder, through 3 links: cat leads to "
        f"{(tmp_path / 'store' / 'cat').resolve()}",
    ]
    assert notes(scan(tmp_path / "store")) == []


def test_links_inside_are_counted_as_copies_and_not_said(tree: Path) -> None:
    (tree / "cat" / "more").symlink_to("../dog")
    (tree / "bird").symlink_to("dog")
    (tree / "dog" / "link.png").symlink_to("1.png")
    found = scan(tree)
    names = ["1.png", "2.png", "link.png"]
    assert found.manifest["path"].tolist() == [
        *(f"bird/{name}" for name in names), "cat/1.png", "cat/2.png",
        *(f"{folder}/{name}" for folder in ("cat/more", "dog") for name in names),
    ]  # fmt: skip
    assert row(found, "dog/link.png")["sha256"] == row(found, "dog/1.png")["sha256"]
    assert notes(found) == []


def test_links_back_end_the_walk_and_each_is_named_once(tree: Path) -> None:
    back = "link back to a folder that it lies in"
    (tree / "cat" / "up").symlink_to("..")
    (tree / "cat" / "here").symlink_to(".")
    (tree / "cat" / "far").symlink_to("../../..")
    (tree / "cat" / "all").symlink_to("/")
    assert reasons(scan(tree)) == {f"cat/{name}": back for name in ("all", "far", "here", "up")}


def test_links_around_in_a_circle_end_the_walk(tree: Path) -> None:
    (tree / "cat" / "to").symlink_to("../dog")
    (tree / "dog" / "to").symlink_to("../cat")
    found = scan(tree)
    assert sorted(reasons(found)) == ["cat/to/to", "dog/to/to"]
    assert len(found.manifest) == 8


def test_a_link_back_from_outside_ends_the_walk(tree: Path, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "deep" / "3.png")
    (tmp_path / "elsewhere" / "deep" / "around").symlink_to("..")
    (tmp_path / "elsewhere" / "home").symlink_to(tree)
    (tree / "cat" / "out").symlink_to(tmp_path / "elsewhere")
    found = scan(tree)
    assert sorted(reasons(found)) == ["cat/out/deep/around", "cat/out/home"]
    assert "cat/out/deep/3.png" in found.manifest["path"].tolist()


def test_a_link_to_a_pipe_and_a_broken_class_folder_are_named(tree: Path) -> None:
    os.mkfifo(tree.parent / "pipe")
    (tree / "cat" / "pipe.png").symlink_to(tree.parent / "pipe")
    (tree / "bird").symlink_to(tree.parent / "unplugged disk")
    assert reasons(scan(tree)) == {"bird": "broken link", "cat/pipe.png": "not a regular file"}


def test_a_rescan_notices_that_a_links_target_changed(tmp_path: Path) -> None:
    root = linked(tmp_path / "linked", tmp_path / "store")
    first = scan(root)
    assert scan(root, remembered=first.memory).opened == 0
    save(tmp_path / "store" / "cat" / "1.png", picture(seed=9))
    (root / "dog" / "1.png").unlink()
    (root / "dog" / "1.png").symlink_to(save(tmp_path / "other.png", picture(seed=8)))
    found = scan(root, remembered=first.memory)
    assert found.opened == 2
    assert row(found, "cat/1.png")["sha256"] != row(first, "cat/1.png")["sha256"]
    assert row(found, "dog/1.png")["sha256"] != row(first, "dog/1.png")["sha256"]


def test_a_divided_folder_may_be_links(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / part).symlink_to(cats_and_dogs(tmp_path / f"my {part}"))
    (tmp_path / "data" / "back").symlink_to(".")
    assert split_folders(tmp_path / "data") == ["test", "train"]
    assert sorted(scan(tmp_path / "data").manifest["label"].unique()) == ["cat", "dog"]


# ---------------------------------------------------------------- files and folders of others


def test_files_outside_the_class_folders_and_empty_classes_are_quarantined(tree: Path) -> None:
    save(tree / "loose.png")
    (tree / "labels.csv").write_text("a,b\n")
    (tree / "empty").mkdir()
    assert reasons(scan(tree)) == {
        "empty": "class folder without an image",
        "labels.csv": "lies outside the class folders",
        "loose.png": "lies outside the class folders",
    }


def test_hidden_and_system_entries_are_left_out_and_counted(tree: Path) -> None:
    for name in (".hidden.png", "__MACOSX/1.png", ".git/1.png"):
        save(tree / "cat" / name)
    for name in (".DS_Store", "cat/.DS_Store", "cat/Icon\r", "cat/Thumbs.db", "dog/desktop.ini"):
        (tree / name).touch()
    found = scan(tree)
    assert len(found.manifest) == 4
    assert found.quarantine.empty
    assert notes(found) == [
        "8 hidden or system entries left out",
        "of these the system's own: Icon 1, Thumbs.db 1, __MACOSX 1, desktop.ini 1",
    ]


SYSTEM_FOLDERS = [
    "@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", ".@__thumb",
    "~snapshot", ".snapshot", ".zfs", ".recycle",
    "__MACOSX", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems", ".AppleDouble",
    "Network Trash Folder", "Temporary Items",
    "$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "System Volume Information", "FOUND.000",
    "DfsrPrivate", "found.012", "lost+found", "LOST.DIR", ".Trash-1000", ".thumbnails",
    ".ipynb_checkpoints",
]  # fmt: skip


def test_a_system_folder_is_no_class_at_any_depth(tree: Path) -> None:
    for name in SYSTEM_FOLDERS:
        for folder in (tree / name, tree / "cat" / name, tree / "dog" / "ward" / name):
            save(folder / "deep" / "1.png")
    found = scan(tree)
    assert sorted(found.manifest["label"].unique()) == ["cat", "dog"]
    assert len(found.manifest) == 4
    left, shown = notes(found)
    assert left == f"{3 * len(SYSTEM_FOLDERS)} hidden or system entries left out"
    visible = sorted(name for name in SYSTEM_FOLDERS if name[0] != ".")
    assert shown == f"of these the system's own: {', '.join(f'{name} 3' for name in visible)}"


def test_a_class_of_recycled_things_is_a_class(tree: Path) -> None:
    save(tree / "Recycled" / "1.png")
    assert sorted(scan(tree).manifest["label"].unique()) == ["Recycled", "cat", "dog"]


def test_system_folders_beside_the_parts_leave_a_divided_folder_divided(tmp_path: Path) -> None:
    for folder in ("train/a", "train/b", "test/a", "@eaDir/a", "__MACOSX/train", "lost+found/x"):
        save(tmp_path / folder / "1.png")
    save(tmp_path / "train" / "@eaDir" / "1.png")
    assert split_folders(tmp_path) == ["test", "train"]
    assert scan(tmp_path).manifest["label"].tolist() == ["a", "a", "b"]


# ---------------------------------------------------------------- one line for wrong input


def test_what_is_no_folder_of_class_folders_is_said(tmp_path: Path) -> None:
    assert message(tmp_path / "nowhere") == (
        f"data must name a folder, got '{tmp_path / 'nowhere'}'. No such folder. "
        "Give the folder that holds one folder per class."
    )
    assert message(tmp_path).startswith("data must hold at least 2 class folders, got none.")
    image = save(tmp_path / "cat" / "1.png")
    assert "This is a file." in message(image)
    assert message(tmp_path).startswith("data must hold at least 2 class folders, got 1 ('cat').")


def test_one_class_folder_is_enough_where_the_class_is_known(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "1.png")
    assert scan(tmp_path, known=("cat", "dog")).manifest["label"].tolist() == ["cat"]
    with pytest.raises(
        InputError, match=r"called like a class of the model \(a, b\), got 1 \('cat"
    ):
        scan(tmp_path, known=("a", "b"))


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
