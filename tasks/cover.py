"""Test a network on images whose centre or border is covered."""

import logging
from typing import Annotated

from resnext.contracts.tables import read_predictions, write_table
from resnext.device import Compute
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

COVERED = "covered.csv"


@stage(run_name="test covered images", log_first="predicting covered images")
def cover(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    pixels: Packed,
    models: Annotated[tuple[Artifact, ...], Reads("model.safetensors")],
    predictions: Annotated[tuple[Artifact, ...], Reads("predictions.csv")],
    compute: Compute,
) -> None:
    """Write covered.csv, the scores with nothing, the centre and the border covered.

    The answers are in covered_predictions.csv. Of several networks, those of folds, each answers
    what it was tested on.
    """
    import pandas as pd

    from reports.evaluation.covered import score_covered
    from resnext.inference.cover import predict_covered

    plain, covered = [], []
    for model, answers in zip(models, predictions, strict=True):
        found = answers.path("predictions.csv")
        known = manifest.path("manifest.csv"), open_pixels(pixels), model.path("model.safetensors")
        covered.append(predict_covered(*known, found, compute))
        plain.append(read_predictions(found))
    answered = pd.concat(covered, ignore_index=True)
    write_table(answered, work.out / "covered_predictions.csv")
    scores = score_covered(pd.concat(plain, ignore_index=True), answered)
    write_table(scores, work.out / COVERED)
