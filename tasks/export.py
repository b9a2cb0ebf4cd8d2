"""Export a model: an ONNX file that predicts without torch, kept only where it answers alike."""

import logging
from typing import Annotated

from resnext.contracts.formatting import plural
from resnext.contracts.json_files import read_json, write_json
from resnext.contracts.tables import read_split_images
from resnext.device import Compute
from resnext.inference.exported import FILE
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)


@stage(
    run_name="export to ONNX",
    log_first="writing the network as ONNX (some ten seconds)",
    registered=(FILE,),
)
def export(
    work: Work,
    model: Annotated[Artifact, Reads()],
    scores: Annotated[Artifact | None, Reads("calibration.json")],
    card: Annotated[Artifact | None, Reads("MODEL_CARD.md")],
    pixels: Packed,
    compute: Compute,
    manifest: Annotated[Artifact | None, Reads("manifest.csv")] = None,
    split: Annotated[Artifact | None, Reads("split.csv")] = None,
) -> None:
    """Write model.onnx, and in export.json how it answered images that torch answered too.

    Those are the images that the split tests on, in folds too, and all that were packed where no
    split is known of them. `model` holds one file, the weights.
    """
    from resnext.inference.export import check_export, export_model

    packed = open_pixels(pixels)
    digests = list(packed.row_of)
    if manifest is not None and split is not None:
        rows = read_split_images(split.path("split.csv"), manifest.path("manifest.csv"))
        tested = (rows["split"] == "test") | (rows["fold"].notna() if "fold" in rows else False)
        digests = rows.loc[tested, "sha256"].tolist() or digests
    weights, file = model.single_path(), work.out / FILE
    about = {"card": card.path("MODEL_CARD.md").read_text(encoding="utf-8")} if card else {}
    export_model(weights, read_json(scores.path("calibration.json")) if scores else {}, file, about)
    found = check_export(weights, file, packed, packed.rows(digests), compute)
    log.info(
        "%s answered as torch does; the largest difference of a probability is %.1g",
        plural(found.images, "image"),
        found.difference,
    )
    write_json(found._asdict(), work.out / "export.json")
