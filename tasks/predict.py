"""Predict the held-out parts of a split with a trained network."""

from functools import partial
from typing import Annotated

from resnext.contracts.tables import write_rate, write_table
from resnext.device import Compute
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(
    run_name="predict val and test",
    registered=("predictions.csv",),
    clock_files=("prediction_timing.csv",),
)
def predict(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
    model: Annotated[Artifact, Reads("model.safetensors")],
    compute: Compute,
) -> None:
    """Write predictions.csv and prediction_timing.csv."""
    from resnext.inference import predict as predictions

    table = predictions.predict_split(
        manifest.path("manifest.csv"),
        split.path("split.csv"),
        open_pixels(pixels),
        model.path("model.safetensors"),
        compute,
        partial(write_rate, work.out / "prediction_timing.csv"),
    )
    write_table(table, work.out / "predictions.csv")
