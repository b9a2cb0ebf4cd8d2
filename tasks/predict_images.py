"""Predict images that have no class yet: any number of files, in shards, a row a file."""

import logging
from pathlib import Path
from typing import Annotated

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few, plural
from resnext.contracts.tables import iterate_rows, read_table, write_table
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.manifest.sources import ListedFile, Sources
from resnext.inference.predictor import Execution
from tasks.callbacks.terminal import counting
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

FILES = "batch_files.csv"
PREDICTIONS = "batch_predictions.csv"
THUMBNAILS = "batch_thumbnails.csv"
MOST_THUMBNAILS = 1000  # images, on the page


def list_files(found: Sources, folder: Path) -> Artifact:
    """Write batch_files.csv into a folder: which files there are, and what tells that one changed.

    They are not read for it: a file is known by its size, its time of change and its inode.
    """
    import pandas as pd

    from resnext.data.manifest.describe import describe_listing

    said = [plural(len(found.files), "file")]
    said += [line for listing in found.listings for line in describe_listing(listing)]
    log.info("%s", "\n".join([*said, *found.notes]))
    write_table(pd.DataFrame(found.files, columns=ListedFile._fields), folder / FILES)
    return Artifact.of_file(folder / FILES)


@stage(run_name="predict new images", log_first="loading the network (several seconds)")
def predict_images(
    work: Work,
    files: Annotated[Artifact, Reads(FILES)],
    model: Annotated[Artifact, Reads()],
    execution: Execution,
    temperature: float,
    reading: ReadingSettings = ReadingSettings(),
) -> bool:
    """Write batch_predictions.csv, and batch_thumbnails.csv where there are few images.

    `model` holds one file, weights or an exported model; `temperature` is that of its calibration.
    On a CPU each process computes by the threads of `execution`. Tells whether another try would
    end alike: a file that can't be opened now may be open later.
    """
    from resnext.inference import shards
    from resnext.inference.batch import FileToAnswer, Job, require_agreement
    from resnext.inference.model import read_facts

    listed = read_table(files.path(FILES), ["path", "reason"])
    rows = zip(listed["path"].tolist(), listed["reason"].tolist(), strict=True)
    images = [FileToAnswer(f"{work.images}/{path}", path, reason) for path, reason in rows]
    file, small = model.single_path(), len(images) <= MOST_THUMBNAILS
    job = Job(file, read_facts(file).card, execution, reading, small)
    work.scratch.mkdir(parents=True, exist_ok=True)
    require_agreement(job, images)
    with counting("image", "predict", shown=work.progress_bar) as progress:
        shards.predict_in_shards(work.scratch, job, images, temperature, work.workers, progress)
    shards.join_shards(work.scratch, shards.PREDICTIONS, work.out / PREDICTIONS)
    if small:
        shards.join_shards(work.scratch, shards.THUMBNAILS, work.out / THUMBNAILS)
    _require_an_image(work.out / PREDICTIONS)
    return not (work.scratch / shards.UNSETTLED).exists()


def _require_an_image(predictions: Path) -> None:
    """Raise an InputError where no file could be answered."""
    rows = iterate_rows(predictions)
    bad = []
    for row in rows:
        if row["status"] == "ok":
            return
        bad.append(f"{row['path']} ({row['error']})")
    remedy = "Add images, or give another path."
    raise InputError("source", "hold a readable image", first_few(bad, "; "), remedy)
