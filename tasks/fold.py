"""Take the split of one fold out of a division into folds."""

from typing import Annotated

from resnext.contracts.tables import read_table, write_table
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="fold {number} of repeat {repeat}")
def fold(
    work: Work,
    split: Annotated[Artifact, Reads("split.csv", "folds.csv")],
    repeat: int,
    number: int,
) -> None:
    """Write split.csv of one fold, by its numbers in folds.csv."""
    images = read_table(split.path("split.csv"), ["path", "label", "group", "copy"])
    folds = read_table(split.path("folds.csv"))
    mine = folds.loc[(folds["repeat"] == repeat) & (folds["fold"] == number), ["path", "split"]]
    write_table(images.merge(mine, on="path", validate="1:1"), work.out / "split.csv")
