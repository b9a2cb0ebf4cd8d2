"""Split the images, and measure what leaks between train, val and test."""

import logging
from typing import Annotated

from resnext.contracts.json_files import write_json
from resnext.contracts.tables import read_manifest, read_table, write_table
from resnext.data.split.settings import JOINED_FILE, SplitSettings
from tasks.scan import DECIDED, read_levels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

UserTable = Annotated[Artifact | None, Reads()]


@stage(
    run_name="split {settings.strategy}",
    registered=("split.csv", JOINED_FILE),
    log_again="division.txt",
)
def split(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv", "hashes.npy", "levels.json", DECIDED)],
    settings: SplitSettings,
    groups: UserTable = None,
    given: UserTable = None,
    earlier: UserTable = None,
    earlier_manifest: UserTable = None,
    earlier_joined: UserTable = None,
) -> None:
    """Write split.csv, leakage.json, near.csv, division.txt and, with thumbnails, pairs.json.

    originals.txt lists the contents of all images that are no augmented copies.

    joined_groups.json lists the ids of each group that several were joined to. With folds,
    split.csv says in which of them an image is tested, and folds.csv holds the split of each.

    What leaks is said at every run, cached or not.
    """
    import numpy as np

    from resnext.data.split.describe import describe_split
    from resnext.data.split.originals import originals
    from resnext.data.split.split_folder import split_folder
    from resnext.data.split.tables import Sources

    table = read_manifest(manifest.path("manifest.csv"))
    given_tables = (groups, given, earlier, earlier_manifest, earlier_joined)
    tables = (table.single_path() if table else None for table in given_tables)
    found = split_folder(
        work.images,
        table,
        np.load(manifest.path("hashes.npy")),
        settings,
        Sources(*tables),
        levels=read_levels(manifest),
        workers=work.workers,
        decided=read_table(manifest.path(DECIDED)),
    )
    write_table(found.split, work.out / "split.csv")
    digests = originals(found.split).merge(table[["path", "sha256"]], on="path")["sha256"]
    (work.out / "originals.txt").write_text("".join(f"{each}\n" for each in sorted({*digests})))
    write_json(found.leakage, work.out / "leakage.json")
    write_table(found.pairs, work.out / "near.csv")
    write_json(found.cards, work.out / "pairs.json")
    write_json(found.joined, work.out / JOINED_FILE)
    if found.folds is not None:
        write_table(found.folds, work.out / "folds.csv")
    said = describe_split(found.split, found.leakage)
    (work.out / "division.txt").write_text(f"{said}\n", encoding="utf-8")
    log.info(said)
