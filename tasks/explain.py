"""Explain test images: where the network looked, as heat maps over thumbnails."""

from typing import Annotated

from resnext.contracts.json_files import write_json
from resnext.device import Compute
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="explain test images", log_first="drawing heat maps (several seconds)")
def explain(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    pixels: Packed,
    model: Annotated[Artifact, Reads("model.safetensors")],
    predictions: Annotated[Artifact, Reads("predictions.csv")],
    compute: Compute,
) -> None:
    """Write explained.json: the most confident mistakes, and right answers of each class."""
    from resnext.inference import explain as explanation

    explained = explanation.explain(
        work.images,
        manifest.path("manifest.csv"),
        open_pixels(pixels),
        model.path("model.safetensors"),
        predictions.path("predictions.csv"),
        compute,
    )
    write_json(explained, work.out / "explained.json")
