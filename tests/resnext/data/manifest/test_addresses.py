"""Addresses are listed like folders, and a changed object has another row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from resnext.contracts.errors import InputError
from resnext.contracts.remote import fetch, is_address
from resnext.data.manifest.sources import list_sources
from tests.resnext.data.samples import encoded, picture

FILES = ("2.png", "sub/1.png", "sub/[1].png", ".hidden/3.png", "Thumbs.db")


@pytest.fixture
def store() -> Iterator[Any]:
    """A store in memory, of which this test alone knows."""
    found = fsspec.filesystem("memory")
    for number, name in enumerate(FILES):
        found.pipe_file(f"/bucket/inbox/{name}", encoded(picture(seed=number), "PNG"))
    yield found
    found.rm("/bucket", recursive=True)


@pytest.mark.usefixtures("store")
def test_a_folder_a_file_and_a_pattern_are_listed_sorted_and_read_by_their_addresses() -> None:
    found = list_sources(["memory://bucket/inbox"])
    assert [row.path for row in found.files] == ["2.png", "sub/1.png", "sub/[1].png"]
    assert found.listings[0].left_out == 2
    first, *_ = fetch([f"{found.address}/{row.path}" for row in found.files])
    assert first == encoded(picture(seed=0), "PNG")
    one = list_sources(["memory://bucket/inbox/sub/1.png"])
    assert [row.path for row in one.files] == ["1.png"]
    several = list_sources(["memory://bucket/inbox/*.png", "memory://bucket/inbox/sub"])
    assert [row.path for row in several.files] == [row.path for row in found.files]


def test_an_object_that_changed_has_another_row_though_its_size_is_the_same(store: Any) -> None:
    before = list_sources(["memory://bucket/inbox"]).files
    assert list_sources(["memory://bucket/inbox"]).files == before
    store.pipe_file("/bucket/inbox/2.png", store.cat_file("/bucket/inbox/2.png"))
    after = list_sources(["memory://bucket/inbox"]).files
    assert after[0] != before[0]
    assert after[0].size == before[0].size
    assert after[1:] == before[1:]


@pytest.mark.usefixtures("store")
def test_a_file_that_can_not_be_read_costs_no_other_one() -> None:
    there = "memory://bucket/inbox/2.png"
    lost, found = fetch(["memory://bucket/inbox/lost.png", there])
    assert isinstance(lost, OSError)
    assert isinstance(found, bytes)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (["memory://bucket/nowhere"], r"name an image or a folder.*Nothing is there"),
        (["memory://bucket/list.csv"], r"be a folder, an image or a pattern.*Copy the table here"),
        (["memory://bucket/inbox", Path("/tmp")], r"lie in one kind of store, got here, memory"),
        (["lost://bucket"], r"be a path, or an address such as.*Protocol not known: lost"),
        (
            ["gdrive://bucket"],
            r"be an address whose package is installed.*Please install gdrive_fs",
        ),
    ],
)
def test_an_address_that_can_not_be_listed_is_said_in_words(
    sources: list[Path | str], said: str
) -> None:
    with pytest.raises(InputError, match=f"source must {said}"):
        list_sources(sources)


def test_a_path_is_no_address() -> None:
    paths: list[Path | str] = ["/a/b", "C:\\a", "a//b", Path("/s3:/a")]
    assert not any(map(is_address, paths))
