"""What the tables of a user tell of the images in a folder: groups, parts, an earlier split.

It finds the image of each row, counts what met, and keeps in words what a person must know. It
decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.data.split.given import ONE_PART, read_parts
from resnext.data.split.groups import ONE_GROUP, read_groups
from resnext.data.split.kept import FLAG, NOTHING, ids_of, old_names_warning, read_earlier
from resnext.data.user_tables import Found, find_images, first_shown, quoted


@dataclass(frozen=True)
class Sources:
    """Name the tables that a user may give: groups, a split to use, an earlier split to keep."""

    groups: Path | None = None
    given: Path | None = None
    earlier: Path | None = None
    earlier_manifest: Path | None = None
    earlier_joined: Path | None = None


NO_TABLES = Sources()


@dataclass(frozen=True, eq=False)
class Told:
    """Hold what tables tell: group and part by image, and the rows of an earlier split.

    `given` is None where no table names parts. `found` holds the images of the rows, by flag.
    """

    groups: dict[str, str]
    given: dict[str, str] | None
    earlier: pd.DataFrame
    found: dict[str, Found]
    has_manifest: bool

    def counts(self) -> dict[str, Any]:
        """Count the rows and images that met, by flag."""
        return {flag: found.counts() for flag, found in self.found.items()}

    def names(self) -> dict[str, list[str]]:
        """Give, by flag, the image of each row, or what the row calls it where it is not here."""
        return {flag: found.names for flag, found in self.found.items()}

    def warnings(self, ids: Iterable[str]) -> list[str]:
        """Say what a person must know of how the tables were read, and which images they lack.

        `ids` are those of the images that are here.
        """
        notes = [note for found in self.found.values() for note in found.table.notes]
        more = [
            self._without_row(),
            self._no_test_part(),
            self._may_have_moved(),
            old_names_warning(self.earlier, ids),
        ]
        return [*notes, *(warning for warning in more if warning)]

    def require_known(self, ids: Iterable[str]) -> None:
        """Refuse an earlier split of other images, where no id is known either.

        Raises:
            InputError: nothing of it is here.
        """
        found = self.found.get(FLAG)
        if found is None or any(found.of_rows):
            return
        before = ids_of(self.earlier, ids).values()
        if not {name for group in before for name in group} & set(ids):
            raise InputError(  # begins as `flows.retrain` expects it
                "keep_split",
                "hold a picture that is here",
                f"{quoted(found.names[0])}, where a picture is {quoted(found.images[0])}",
                "Give the split.csv of these pictures, or leave it out.",
            )

    def _without_row(self) -> str:
        """Warn of images that a table of groups does not name."""
        groups = self.found.get("--groups")
        if groups is None or not groups.without:
            return ""
        return (
            f"{len(groups.without):,} of {len(groups.images):,} pictures have no row in --groups, "
            f"which says nothing of their groups: {first_shown(groups.without)}"
        )

    def _no_test_part(self) -> str:
        """Say that val is the test part, where a table names no test part."""
        parts = set((self.given or {}).values())
        if "test" in parts or "val" not in parts:
            return ""
        return (
            "no picture is in a test part of --use-split: its val part is the test part, and "
            "nothing is chosen by it"
        )

    def _may_have_moved(self) -> str:
        """Count the images of which nothing tells whether an earlier split held them."""
        found = self.found.get(FLAG)
        if found is None or self.has_manifest or not found.without:
            return ""
        return (
            f"no manifest.csv lies beside the table of {FLAG}, so that pictures are known by their "
            f"paths alone: {len(found.without):,} of {len(found.images):,} are not known, and may "
            f"have moved to another part if they were renamed: {first_shown(found.without)}"
        )


def read_told(sources: Sources, manifest: pd.DataFrame, root: Path) -> Told:
    """Read the tables, and find the images of a manifest, below root, that they tell of.

    Raises:
        InputError: one can't be read, tells of no image, or says two things of one.
    """
    images = sorted(manifest["path"])
    found = {}
    groups, given, earlier = {}, None, NOTHING
    if sources.groups:
        found["--groups"] = find_images(read_groups(sources.groups), images, root)
        groups = found["--groups"].answers("group", ONE_GROUP)
    if sources.given:
        found["--use-split"] = find_images(read_parts(sources.given, "--use-split"), images, root)
        given = found["--use-split"].answers("split", ONE_PART)
    if sources.earlier:
        table = read_earlier(sources.earlier, sources.earlier_manifest, sources.earlier_joined)
        by_path = find_images(table, images, root)
        found[FLAG] = _found_by_bytes(by_path, manifest)
        earlier = table.rows.assign(path=pd.Series(by_path.names, dtype="str"))
    return Told(groups, given, earlier, found, sources.earlier_manifest is not None)


def _found_by_bytes(found: Found, manifest: pd.DataFrame) -> Found:
    """Find the rows of an earlier split by the bytes of their images too, if these were renamed."""
    now = dict(zip(manifest["sha256"], manifest["path"], strict=True))
    pairs = zip(found.of_rows, found.table.rows["sha256"], strict=True)
    return replace(found, of_rows=[image or now.get(digest, "") for image, digest in pairs])
