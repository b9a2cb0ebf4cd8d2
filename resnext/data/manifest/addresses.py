"""List the files at addresses such as s3://bucket/folder: folders, images and patterns.

What tells that an object changed is all that its store says of it (size, time of change, ETag), as
fsspec's `ukey` has it: its digest stands where a file here has its inode.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from glob import has_magic
from pathlib import Path
from typing import Any

from resnext.contracts.errors import InputError
from resnext.contracts.remote import Place, is_address, open_address, reached
from resnext.data.manifest.listing import (
    ARGUMENT,
    BAD_NAME,
    LARGEST_FILE,
    TABLES,
    ListedFile,
    Listing,
    Sources,
    is_left_out,
    shown,
)

DIGITS = 15  # hexadecimal: as a table's whole numbers hold them


def list_addresses(sources: Sequence[Place]) -> Sources:
    """List what is to be predicted, of one store; a row a file, as `list_sources` does.

    Raises:
        InputError: nothing is there, it can't be reached, it is a table, or there are several
            stores, or paths too.
    """
    addresses = [str(source) for source in sources]
    stores = {each.partition("://")[0] if is_address(each) else "here" for each in addresses}
    if len(stores) > 1:
        remedy = "Predict what is in the others by itself."
        raise InputError(ARGUMENT, "lie in one kind of store", ", ".join(sorted(stores)), remedy)
    opened = [open_address(each, ARGUMENT) for each in addresses]
    files: dict[str, Mapping[str, Any]] = {}
    folders = []
    for address, (store, path) in zip(addresses, opened, strict=True):
        with reached(address, ARGUMENT):
            folder, found = _find(store, path, address)
        folders.append(folder)
        files |= dict(sorted(found.items()))
    root = posixpath.commonpath(folders)
    address = opened[0][0].unstrip_protocol(root).rstrip("/")
    listing = Listing(address)
    rows = {row.path: row for row in _rows_of(files, root, listing)}
    return Sources(Path(root), list(rows.values()), [listing], [], address)


def _find(store: Any, path: str, address: str) -> tuple[str, dict[str, Mapping[str, Any]]]:
    """Give the folder of a source, and what its store says of each of its files."""
    if posixpath.splitext(path)[1].lower() in TABLES:
        remedy = "Copy the table here, or name the folder."
        raise InputError(ARGUMENT, "be a folder, an image or a pattern", f"'{address}'", remedy)
    if has_magic(path) and not store.exists(path):
        steps = path.split("/")
        magic = next(place for place, step in enumerate(steps) if has_magic(step))
        return "/".join(steps[:magic]) or "/", store.glob(path, detail=True)
    if store.isfile(path):
        return posixpath.dirname(path), {path: store.info(path)}
    if not store.exists(path):
        remedy = "Nothing is there. Check the address."
        raise InputError(ARGUMENT, "name an image or a folder", f"'{address}'", remedy)
    return path, store.find(path, detail=True)


def _rows_of(
    files: Mapping[str, Mapping[str, Any]], root: str, listing: Listing
) -> Iterator[ListedFile]:
    for name, facts in files.items():
        path = posixpath.relpath(name, root)
        size = facts.get("size") or 0
        if facts.get("type") == "directory" or name.endswith("/"):
            continue
        if any(map(is_left_out, path.split("/"))):
            listing.left_out += 1
        elif BAD_NAME.search(path):
            reason = "its name is not UTF-8 or holds a control character"
            yield ListedFile(shown(path), 0, 0, 0, reason)
        elif size > LARGEST_FILE:
            yield ListedFile(path, 0, 0, 0, f"{size:,} bytes, more than {LARGEST_FILE:,}")
        else:
            digest = hashlib.sha256(str(facts).encode()).hexdigest()
            yield ListedFile(path, size, 0, int(digest[:DIGITS], 16))
