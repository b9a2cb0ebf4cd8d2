"""Decode every image once and keep its pixels, resized, for training and evaluation."""

from typing import Annotated

from resnext.contracts.tables import read_manifest
from resnext.data.decoding.levels import Levels
from resnext.data.fit import Fit
from resnext.data.pixels import PackedPixels, scanned_images
from resnext.data.pixels import pack as pack_pixels
from tasks.callbacks.terminal import counting
from tasks.scan import read_levels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

Packed = Annotated[Artifact, Reads("pixels.npy", "pixels.txt")]


@stage(run_name="pack {size} px")
def pack(
    work: Work,
    manifest: Annotated[
        Artifact, Reads("contents.txt", "levels.json", uncounted=("manifest.csv",))
    ],
    size: int,
    levels: Levels | None = None,
    fit: Fit = "stretch",
) -> None:
    """Write pixels.npy, a row for each line of contents.txt, which is written too.

    Deep images are scaled as the scan found it right, or by the levels of another model.
    Renamed, moved and relabelled images are the same pixels: the key counts contents alone.
    """
    contents = manifest.path("contents.txt").read_text(encoding="utf-8")
    table = read_manifest(manifest.path("manifest.csv")).drop_duplicates("sha256")
    rows = table.set_index("sha256", drop=False).loc[contents.split()]
    images = scanned_images(work.images, rows)
    levels = levels or read_levels(manifest)
    with counting("image", "pack", shown=work.progress_bar) as progress:
        pack_pixels(
            images, size, work.out / "pixels.npy", levels,
            fit=fit, workers=work.workers, progress=progress,
        )  # fmt: skip
    (work.out / "pixels.txt").write_text(contents, encoding="utf-8")


def open_pixels(artifact: Artifact) -> PackedPixels:
    """Open what this stage wrote."""
    digests = artifact.path("pixels.txt").read_text(encoding="utf-8").split()
    return PackedPixels(artifact.path("pixels.npy"), digests)
