"""List the files that are to be predicted: folders, images, patterns, and tables of paths.

What lies at addresses such as s3://bucket/folder is listed by `resnext.data.manifest.addresses`.

A row a file, in the order of the sources: within a folder sorted by path, within a table as it
stands there. A file that is named twice is listed once. Paths are relative to the folder that all
sources lie in; those of a single table are what it says itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

from resnext.contracts.remote import Place, is_address
from resnext.data.manifest.listing import (
    ARGUMENT,
    BAD_NAME,
    TABLES,
    ListedFile,
    Sources,
    list_images,
    shown,
)


def list_sources(sources: Sequence[Place]) -> Sources:
    """List what is to be predicted.

    Raises:
        InputError: a source doesn't exist or can't be reached, or is a table that can't be read.
    """
    if any(map(is_address, sources)):
        from resnext.data.manifest.addresses import list_addresses

        return list_addresses(sources)
    places = [Path(source) for source in sources]
    found = Sources(common_folder(places), [], [], [])
    rows: dict[str, ListedFile] = {}
    for source in places:
        for row in _rows_of(source, found):
            rows.setdefault(os.path.normpath(row.path), row)
    found.files.extend(rows.values())
    return found


def common_folder(sources: Sequence[Path]) -> Path:
    """Give the folder that all sources lie in: of a single folder, itself."""
    return Path(os.path.commonpath([_folder_of(source) for source in sources]))


def is_table(source: Path) -> bool:
    """Tell a table of paths by its name."""
    return source.suffix.lower() in TABLES and source.is_file()


def is_pattern(source: Path) -> bool:
    """Tell a pattern such as `inbox/**/*.jpg`, which names no file itself."""
    return has_magic(str(source)) and not source.exists()


def _folder_of(source: Path) -> Path:
    """Give the folder that a source names; of a pattern, the last one above it that is there."""
    if is_pattern(source):  # whose folders may have brackets in their names
        return next(folder for folder in source.parents if folder.is_dir())
    return source if source.is_dir() else source.parent


def _rows_of(source: Path, found: Sources) -> Iterator[ListedFile]:
    if is_table(source):
        yield from _rows_of_table(source, found)
    elif is_pattern(source):
        for match in _matches(source):
            if match.exists():
                yield from _rows_of(match, found)
            else:
                yield _fault(os.path.relpath(match, found.root), "broken link")
    else:
        listing = list_images(source)
        found.listings.append(listing)
        before = os.path.relpath(_folder_of(source), found.root)
        rows = [ListedFile(*each) for each in listing.files]
        rows += [_fault(path, reason) for path, reason in listing.faults.items()]
        for row in sorted(rows):
            yield row._replace(path=_joined(before, row.path))


def _matches(pattern: Path) -> list[Path]:
    folder = _folder_of(pattern)
    rest = str(pattern.relative_to(folder))
    found = glob(rest, root_dir=folder, recursive=True)  # noqa: PTH207 - leaves hidden files out
    return [folder / each for each in sorted(found)]


def _rows_of_table(source: Path, found: Sources) -> Iterator[ListedFile]:
    from resnext.data.user_tables import IMAGE, read_user_table  # pandas takes a while to import

    table = read_user_table(source, ARGUMENT, [IMAGE], "Name the images in a column `path`.")
    found.notes.extend(table.notes)
    before = os.path.relpath(source.parent, found.root)
    for cell in table.rows[IMAGE.name].str.strip():
        yield list_named(found.root, _joined(before, cell) if cell else "")


def list_named(root: Path, path: str) -> ListedFile:
    """Look at one file that a table names."""
    if BAD_NAME.search(path) or not path:
        return _fault(shown(path), "its name is empty, not UTF-8 or holds a control character")
    file = root / path
    if file.is_dir() or not file.exists():
        return _fault(path, "a folder, no image" if file.is_dir() else "no such file")
    listing = list_images(file)
    for _, size, mtime_ns, inode in listing.files:
        return ListedFile(path, size, mtime_ns, inode)
    return _fault(path, *listing.faults.values())


def _fault(path: str, reason: str) -> ListedFile:
    return ListedFile(path, 0, 0, 0, reason)


def _joined(before: str, path: str) -> str:
    return path if before == "." else os.path.normpath(os.path.join(before, path))  # noqa: PTH118
