"""Predict test images again, with their centre or border covered."""

from typing import Annotated

from resnext.contracts.tables import write_table
from resnext.device import Compute
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="predict covered images", log_first="predicting covered images")
def cover(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    pixels: Packed,
    models: Annotated[tuple[Artifact, ...], Reads("model.safetensors")],
    predictions: Annotated[tuple[Artifact, ...], Reads("predictions.csv")],
    compute: Compute,
) -> None:
    """Write covered_predictions.csv.

    Of several networks, those of folds, each answers what it was tested on.
    """
    import pandas as pd

    from resnext.inference.cover import predict_covered

    known, packed = manifest.path("manifest.csv"), open_pixels(pixels)
    found = [
        predict_covered(
            known, packed, model.path("model.safetensors"), tested.path("predictions.csv"), compute
        )
        for model, tested in zip(models, predictions, strict=True)
    ]
    write_table(pd.concat(found, ignore_index=True), work.out / "covered_predictions.csv")
