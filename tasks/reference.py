"""Keep features of the images that a model was trained on, to tell which new ones are unlike."""

import logging
from typing import Annotated

from resnext.contracts.formatting import plural
from resnext.device import Compute
from resnext.inference.reference import FEWEST, FILE
from tasks.embed import open_features
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.runs import MODEL

log = logging.getLogger(__name__)


@stage(run_name="features of the training images", registered=(FILE,))
def reference(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
    model: Annotated[Artifact, Reads(MODEL)],
    compute: Compute,
    features: Annotated[Artifact | None, Reads("features.npy", "originals.txt")] = None,
) -> None:
    """Write reference.safetensors; `features` are those of a probe's frozen network."""
    from resnext.inference.known_images import reference_of
    from resnext.inference.reference import write_reference

    found = reference_of(
        manifest.path("manifest.csv"),
        split.path("split.csv"),
        open_pixels(pixels),
        model.path(MODEL),
        compute,
        None if features is None else open_features(features),
    )
    measured = len(found.held_out)
    if measured < FEWEST:
        few = f"{plural(measured, 'held-out image')}, fewer than {FEWEST}"
        log.info("which new images are unlike the training images can't be told: %s", few)
    write_reference(found, model.files[MODEL], work.out / FILE)
