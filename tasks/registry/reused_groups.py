"""How often the groups of a test part have served to decide between models.

Of many challengers that are no better, one leads by luck, so that each decision on the same test
groups must be harder than the one before (see `reports.evaluation.decision`). The registry knows
all of them. A group is known by the bytes of its images, whatever they and it are called now.
"""

from pathlib import Path

import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_split_images
from tasks.registry.versions import Version, all_versions, version_file

DECIDED = ("better", "worse", "undecided", "undefined")
"""Verdicts of a decision that could have made a challenger champion."""


def use_of(store: Path, split: Path, manifest: Path) -> int:
    """Give the number of the decision to come on a test part: 1 where its groups served in none.

    An earlier decision counts by the share of today's test groups that served in it, so that
    groups that are new begin anew, and a few of them don't begin everything anew.
    """
    tested = _tested(split, manifest)
    earlier = sum(
        _share(store, version, tested)
        for version in all_versions(store)
        if version.against is not None and version.verdict in DECIDED
    )
    return 1 + int(earlier + 0.5)


def _share(store: Path, version: Version, tested: pd.DataFrame) -> float:
    """Give the share of groups of which a version's test part held an image; 1 where unknown."""
    try:
        then = _tested(
            *(version_file(store, version, name) for name in ("split.csv", "manifest.csv"))
        )
    except (InputError, OSError):  # it was altered or is gone
        return 1.0
    return float(tested["sha256"].isin(then["sha256"]).groupby(tested["group"]).any().mean())


def _tested(split: Path, manifest: Path) -> pd.DataFrame:
    """Read the images of a split that were tested, in a fold or not: path, group, sha256."""
    images = read_split_images(split, manifest)
    in_folds = images["fold"].notna() if "fold" in images else images["split"] == "test"
    return images[in_folds]
