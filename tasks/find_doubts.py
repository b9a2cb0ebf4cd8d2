"""List what a person should look at in the images, by the features of a frozen network."""

from typing import Annotated

from resnext.contracts.tables import read_predictions, read_split_images, read_table, write_table
from tasks.embed import open_features
from tasks.pack import Packed, open_pixels
from tasks.scan import DECIDED
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

DOUBTS = "doubts.csv"
PAGE = "doubts.html"


@stage(
    run_name="doubts about {data_name}",
    label="doubts",
    log_first="comparing the images by their features",
)
def find_doubts(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv", DECIDED)],
    split: Annotated[Artifact, Reads("split.csv")],
    pixels: Packed,
    features: Annotated[Artifact, Reads("features.npy", "originals.txt")],
    predictions: Annotated[Artifact | None, Reads("predictions.csv")],
    data_name: str,
    synthetic: bool,
) -> None:
    """Write doubts.csv, the page doubts.html, and decisions.csv to be filled in.

    `predictions` are those of folds, each of an image that the network had not seen.
    """
    from reports.doubts import DoubtsContent, render_doubts
    from resnext.data.doubts.find import find_doubts as find
    from resnext.data.doubts.find import known_images, to_be_decided
    from resnext.data.doubts.thumbnails import thumbnails_of

    table = read_split_images(split.path("split.csv"), manifest.path("manifest.csv"))
    answers = read_predictions(predictions.path("predictions.csv")) if predictions else None
    known = known_images(table, *open_features(features), answers)
    decided = read_table(manifest.path(DECIDED))
    doubts = find(known, decided)
    write_table(doubts, work.out / DOUBTS)
    write_table(to_be_decided(doubts, known.images, decided), work.out / "decisions.csv")
    small = thumbnails_of(doubts, known.images, open_pixels(pixels))
    content = DoubtsContent(data_name, synthetic, doubts, known.images, small)
    (work.out / PAGE).write_text(render_doubts(content), encoding="utf-8")
