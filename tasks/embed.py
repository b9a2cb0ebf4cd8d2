"""Turn images into the features of a frozen network, once for all folds, heads and seeds."""

import logging
import time
from typing import TYPE_CHECKING, Annotated

from resnext import device
from resnext.contracts.tables import write_rate
from resnext.training.recipe import Recipe
from tasks.callbacks.terminal import counting
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

if TYPE_CHECKING:
    from resnext.training.probe import Features

log = logging.getLogger(__name__)

BACKBONE = {"arch", "weights", "views", "fit", "image_size", "method"}
"""What features depend on: the fields of a recipe that are in the key."""


@stage(run_name="embed {backbone.arch}", clock_files=("embedding_timing.csv",))
def embed(
    work: Work,
    pixels: Packed,
    split: Annotated[Artifact, Reads("originals.txt")],
    backbone: Recipe,
    compute: device.Compute,
    weights: Annotated[Artifact | None, Reads()] = None,
) -> None:
    """Write features.npy, a row for each line of originals.txt, which is written too.

    embedding_timing.csv says how long it took.
    """
    from resnext.training.probe import embed as write_features
    from resnext.training.probe import load_frozen

    device.apply(compute)
    network, how = load_frozen(backbone, weights.single_path() if weights else None)
    log.info("%s at %d px: %s", backbone.arch, backbone.image_size, how)
    contents = split.path("originals.txt").read_text(encoding="utf-8")
    (work.out / "originals.txt").write_text(contents, encoding="utf-8")
    start, digests = time.perf_counter(), contents.split()
    with counting("image", "embed", shown=work.progress_bar) as progress:
        write_features(
            network, backbone, open_pixels(pixels), digests, compute,
            work.out / "features.npy", progress,
        )  # fmt: skip
    timing = work.out / "embedding_timing.csv"
    write_rate(timing, len(digests), time.perf_counter() - start)


def backbone_of(recipe: Recipe) -> Recipe:
    """Give a recipe of which only that is set which features depend on."""
    return Recipe(**recipe.model_dump(include=BACKBONE))


def open_features(artifact: Artifact) -> tuple["Features", list[str]]:
    """Open what this stage wrote: features (N, V, F), and the sha256 of each row's image."""
    import numpy as np

    digests = artifact.path("originals.txt").read_text(encoding="utf-8").split()
    return np.load(artifact.path("features.npy"), mmap_mode="r"), digests
