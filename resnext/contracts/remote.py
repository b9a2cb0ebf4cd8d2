"""Addresses such as s3://bucket/folder, which fsspec opens by a package for each kind of store.

It keeps nothing: files are read as they are needed, some at once where the store can.

Source: https://filesystem-spec.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from resnext.contracts.errors import InputError

Place: TypeAlias = Path | str
"""A path here, or an address."""


def is_address(place: Place) -> bool:
    """Tell an address from a path."""
    return "://" in str(place)


def place_of(text: str) -> Place:
    """Give a path for what is no address."""
    return text if is_address(text) else Path(text)


def open_address(address: str, argument: str) -> tuple[Any, str]:
    """Give the file system of an address, and the path that it has there.

    Raises:
        InputError: the package for this kind of store is missing, or there is no such kind.
    """
    from fsspec.core import url_to_fs

    try:
        file_system, path = url_to_fs(address)
    except ImportError as error:
        rule = "be an address whose package is installed"
        raise InputError(argument, rule, f"'{address}'", f"{error}.") from error
    except ValueError as error:
        rule = "be a path, or an address such as s3://bucket/folder"
        raise InputError(argument, rule, f"'{address}'", f"{error}.") from error
    return file_system, path


@contextmanager
def reached(address: str, argument: str) -> Iterator[None]:
    """Say in words that an address can't be used; every kind of store has errors of its own.

    Raises:
        InputError: it can't.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            argument,
            "be reached",
            f"'{address}' ({type(error).__name__}: {error})",
            "Check the address, and who may use it.",
        ) from error


def fetch(addresses: Sequence[str]) -> list[bytes | OSError]:
    """Read files of one store, all at once where it can; an error for each that can't be read."""
    from fsspec.core import url_to_fs

    file_system, _ = url_to_fs(addresses[0])
    paths = [file_system._strip_protocol(address) for address in addresses]
    read = file_system.cat_ranges(paths, None, None, on_error="return")
    return [
        OSError(errno.EIO, " ".join(str(each).split())) if isinstance(each, Exception) else each
        for each in read
    ]


def upload(file: Path, address: str, argument: str) -> None:
    """Copy a file to an address.

    Raises:
        InputError: nothing can be written there.
    """
    file_system, path = open_address(address, argument)
    with reached(address, argument):
        file_system.put_file(str(file), path)
