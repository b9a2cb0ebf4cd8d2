"""What is to be predicted: folders, images, patterns and tables, a row a file, in order."""

from pathlib import Path

import pytest

from resnext.contracts.errors import InputError
from resnext.data.manifest.listing import ListedFile, Sources
from resnext.data.manifest.sources import list_sources
from tests.resnext.data.samples import save


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    for name in ("b/2.jpg", "b/10.jpg", "a/1.png", "c.png"):
        save(tmp_path / "inbox" / name)
    (tmp_path / "inbox" / ".hidden.png").touch()
    (tmp_path / "inbox" / "gone.png").symlink_to(tmp_path / "nowhere")
    return tmp_path / "inbox"


def paths(found: Sources) -> list[str]:
    return [row.path for row in found.files]


def test_a_folder_is_listed_by_path_with_what_can_not_be_opened_in_its_place(inbox: Path) -> None:
    found = list_sources([inbox])
    assert found.root == inbox
    assert paths(found) == ["a/1.png", "b/10.jpg", "b/2.jpg", "c.png", "gone.png"]
    stat = (inbox / "c.png").stat()
    assert found.files[3] == ListedFile("c.png", stat.st_size, stat.st_mtime_ns, stat.st_ino)
    assert [row.reason for row in found.files] == ["", "", "", "", "broken link"]
    (listing,) = found.listings
    assert listing.left_out == 1


def test_several_sources_follow_one_another_and_a_file_is_listed_once(inbox: Path) -> None:
    found = list_sources([inbox / "b", inbox / "a" / "1.png", inbox])
    assert found.root == inbox
    assert paths(found) == ["b/10.jpg", "b/2.jpg", "a/1.png", "c.png", "gone.png"]
    table = inbox / "list.csv"
    table.write_text("path\nc.png\n./c.png\na/../c.png\n c.png \n")
    assert paths(list_sources([table])) == ["c.png"]
    table.unlink()
    one = list_sources([inbox / "c.png"])
    assert (one.root, paths(one)) == (inbox, ["c.png"])


def test_a_pattern_names_files_of_all_folders_below(inbox: Path) -> None:
    assert paths(list_sources([inbox / "**" / "*.jpg"])) == ["b/10.jpg", "b/2.jpg"]
    assert paths(list_sources([inbox / "*.gif"])) == []
    (inbox / "b" / "gone.jpg").symlink_to(inbox / "nowhere")
    found = list_sources([inbox / "b" / "*.jpg"])
    assert paths(found) == ["10.jpg", "2.jpg", "gone.jpg"]
    assert found.files[2].reason == "broken link"
    save(inbox / "x[1]" / "1.png")
    assert paths(list_sources([inbox / "x[1]" / "*.png"])) == ["1.png"]
    odd = inbox / "[1].png"  # a name that is there is no pattern
    save(odd)
    assert paths(list_sources([odd])) == ["[1].png"]


def test_a_table_keeps_its_order_and_its_own_paths(inbox: Path, tmp_path: Path) -> None:
    table = tmp_path / "lists" / "mine.csv"
    table.parent.mkdir()
    elsewhere = inbox / "c.png"
    rows = ["../inbox/b/2.jpg", "no.png", "../inbox/a", str(elsewhere), "../inbox/b/2.jpg", "a\x07"]
    table.write_text("\n".join(["id,image", *(f"{n},{row}" for n, row in enumerate(rows))]))
    found = list_sources([table])
    assert found.root == table.parent
    assert paths(found) == [*rows[:4], r"a\x07"]
    reasons = [row.reason for row in found.files]
    assert reasons[:4] == ["", "no such file", "a folder, no image", ""]
    assert reasons[4].startswith("its name is empty")
    assert found.files[0].size == (inbox / "b" / "2.jpg").stat().st_size
    with_folder = list_sources([table, inbox / "a"])
    assert with_folder.root == tmp_path
    assert paths(with_folder)[0] == "inbox/b/2.jpg"
    assert paths(with_folder)[-1] == "inbox/a/1.png"


def test_what_is_missing_or_no_table_of_paths_is_refused(inbox: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source must name an image or a folder"):
        list_sources([inbox / "nowhere"])
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"source must hold the columns path, got none named path"):
        list_sources([tmp_path / "x.csv"])
