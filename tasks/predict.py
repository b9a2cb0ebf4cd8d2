"""Predict with a trained network: the held-out parts of a split, or new pictures."""

from typing import Annotated

from resnext.device import Compute
from resnext.tables import write_table
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="predict val and test")
def predict(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
    model: Annotated[Artifact, Reads("model.safetensors")],
    compute: Compute,
) -> None:
    """Write predictions.csv."""
    from resnext import predictions

    table = predictions.predict_split(
        manifest.path("manifest.csv"),
        split.path("split.csv"),
        open_pixels(pixels),
        model.path("model.safetensors"),
        compute,
    )
    write_table(table, work.out / "predictions.csv")


@stage(run_name="predict new pictures")
def predict_pictures(
    work: Work,
    pictures: Annotated[Artifact, Reads("batch_manifest.csv", "batch_quarantine.csv")],
    model: Annotated[Artifact, Reads()],
    compute: Compute,
    scores: Annotated[Artifact | None, Reads("calibration.json")] = None,
) -> None:
    """Write batch_predictions.csv.

    `model` holds one file, the weights; `scores` the temperature, which is 1 without them.
    """
    from resnext import predictions

    table = predictions.predict_pictures(
        work.pictures,
        pictures.path("batch_manifest.csv"),
        pictures.path("batch_quarantine.csv"),
        model.single_path(),
        compute,
        calibration=scores.path("calibration.json") if scores else None,
        workers=work.workers,
    )
    write_table(table, work.out / "batch_predictions.csv")
