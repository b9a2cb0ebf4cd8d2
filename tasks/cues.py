"""Measure what images show besides their subject: brightness, border, sharpness, size, file."""

from typing import Annotated

from resnext.contracts.tables import read_manifest, read_table, write_table
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="measure cues")
def cues(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
) -> None:
    """Write cues.csv: a row for each original and each held-out image.

    It says besides in which fold an original is tested; the folds are those of the split, or drawn.
    """
    from resnext.data.cues import measure_cues
    from resnext.data.split.inner import folds_of_originals
    from resnext.data.split.originals import originals

    parts = read_table(split.path("split.csv"))
    parts = parts.assign(fold=folds_of_originals(parts))
    held_out = parts["split"].isin(["val", "test"])
    rows = parts[held_out | parts.index.isin(originals(parts).index)]
    rows = rows[["path", "label", "group", "fold"]]
    images = rows[["path"]].merge(read_manifest(manifest.path("manifest.csv")), on="path")
    measured = measure_cues(work.images, images, open_pixels(pixels))
    write_table(rows.merge(measured, on="path", validate="1:1"), work.out / "cues.csv")
