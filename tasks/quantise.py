"""Make an exported model compute in 8 bits, and measure what that costs in accuracy."""

import logging
from typing import Annotated, Any

import numpy as np
import pandas as pd

from resnext.contracts.formatting import defined, percent, plural
from resnext.contracts.json_files import write_json
from resnext.contracts.tables import read_split_images
from resnext.inference.exported import FILE, SMALL
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

RANGES = 256  # images that ranges are taken from, at most
REPORT = "int8.json"


@stage(
    run_name="quantise to 8 bits",
    log_first="computing the ranges of 8-bit numbers (half a minute)",
)
def quantise(
    work: Work,
    exported: Annotated[Artifact, Reads("model.onnx")],
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
) -> None:
    """Write model.int8.onnx, and in int8.json its accuracy beside that of the exact model.

    Ranges are taken from images of the training part. Both models answer the test part; where
    there is none, the images of the next part that there are: val, or train.
    """
    from resnext.inference.quantise import answers_of
    from resnext.inference.quantise import quantise as write

    rows = read_split_images(split.path("split.csv"), manifest.path("manifest.csv"))
    packed = open_pixels(pixels)
    train = packed.rows(rows.loc[rows["split"] == "train", "sha256"].tolist())
    spread = np.unique(np.linspace(0, len(train) - 1, RANGES).round().astype(np.int64))
    write(exported.path(FILE), packed, train[spread], work.out / SMALL)
    part = next(name for name in ("test", "val", "train") if (rows["split"] == name).any())
    tested = rows[rows["split"] == part].reset_index(drop=True)
    files = exported.path(FILE), work.out / SMALL
    seen = packed.rows(tested["sha256"].tolist())
    found = _compare(*(answers_of(file, tested, packed, seen) for file in files)) | {
        "images": len(tested), "part": part, "ranges_from": len(spread),
        "bytes": files[0].stat().st_size, "int8_bytes": files[1].stat().st_size,
    }  # fmt: skip
    write_json(found, work.out / REPORT)
    log.info("%s", describe(found))


def _compare(exact: pd.DataFrame, rough: pd.DataFrame) -> dict[str, Any]:
    """Compare two models' answers to the same images, by the paired bootstrap over groups."""
    from reports.evaluation.metrics import select
    from reports.evaluation.paired import difference, read_pair

    right = [(table["predicted"] == table["label"]).mean() for table in (exact, rough)]
    found = difference(*read_pair(exact, rough), *select(["accuracy"]))
    names = ("accuracy", "int8_accuracy", "difference", "low", "high")
    return dict(zip(names, map(float, (*right, *found[:3])), strict=True))


def describe(found: dict[str, Any]) -> str:
    """Say in a line what 8 bits cost."""
    bounds = defined((found["low"], found["high"]))
    sure = "" if bounds is None else f", {100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
    return (
        f"8 bits: accuracy {percent(found['int8_accuracy'], ' ')} instead of "
        f"{percent(found['accuracy'], ' ')} on {plural(found['images'], 'image')} of the part "
        f"{found['part']} (difference {100 * found['difference']:+.1f} points{sure}); "
        f"{found['int8_bytes'] / 1e6:.0f} MB instead of {found['bytes'] / 1e6:.0f}"
    )
