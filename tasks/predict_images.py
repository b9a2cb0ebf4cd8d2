"""Predict images that have no class yet: any number of files, in shards, a row a file."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few, plural
from resnext.contracts.tables import iterate_rows, read_table, write_table
from resnext.data.manifest.listing import ListedFile, Sources
from resnext.data.manifest.settings import ReadingSettings
from resnext.inference.calibration import AnswerRule
from resnext.inference.execution import Execution
from tasks.callbacks.terminal import counting
from tasks.stage.artifact import PROCESSES, Artifact, Reads, Work
from tasks.stage.cluster import is_of_engine, require_seen, workers
from tasks.stage.decorator import stage

from prefect import task
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    from resnext.data.pixels import Progress
    from resnext.inference.batch import FileToAnswer, Job

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
    rule: AnswerRule = AnswerRule(),
    reference: Annotated[Artifact | None, Reads()] = None,
) -> bool:
    """Write batch_predictions.csv, and batch_thumbnails.csv where there are few images.

    `model` holds one file, weights or an exported model; `temperature` and `rule` are those of its
    calibration; `reference` holds the features of its training images. On a CPU each process
    computes by the threads of `execution`. Tells whether another try would end alike: a file that
    can't be opened now may be open later.
    """
    from resnext.inference import shards
    from resnext.inference.batch import FileToAnswer, Job, require_agreement
    from resnext.inference.model import read_facts

    listed = read_table(files.path(FILES), ["path", "reason"])
    rows = zip(listed["path"].tolist(), listed["reason"].tolist(), strict=True)
    root = f"{work.address}/" if work.address else f"{work.images}/"
    images = [  # a table may hold paths from the root on
        FileToAnswer(path if path.startswith("/") else root + path, path, reason)
        for path, reason in rows
    ]
    file, small = model.single_path(), len(images) <= MOST_THUMBNAILS
    job = Job(file, read_facts(file).card, execution, reading, small, rule)
    if reference is not None:
        job = job._replace(reference=reference.single_path())
    work.scratch.mkdir(parents=True, exist_ok=True)
    require_agreement(job, images)
    with counting("image", "predict", shown=work.progress_bar) as progress:
        if work.cluster != PROCESSES:
            _share_out(work, job, images, temperature, progress)
        shards.predict_in_shards(work.scratch, job, images, temperature, work.workers, progress)
    shards.join_shards(work.scratch, shards.PREDICTIONS, work.out / PREDICTIONS)
    if small:
        shards.join_shards(work.scratch, shards.THUMBNAILS, work.out / THUMBNAILS)
    _require_an_image(work.out / PREDICTIONS)
    return not (work.scratch / shards.UNSETTLED).exists()


def _share_out(
    work: Work,
    job: "Job",
    images: "Sequence[FileToAnswer]",
    temperature: float,
    progress: "Progress",
) -> None:
    """Let a cluster's workers write the missing shards; those that it fails with stay missing."""
    from resnext.inference import shards

    left = {
        start: images[start : start + shards.SIZE]
        for start in shards.missing(work.scratch, len(images))
    }
    if not left or work.run is None:
        return
    done, failed = len(images) - sum(map(len, left.values())), 0
    files = [job.model] if job.reference is None else [job.model, job.reference]
    needed = (work.run, *files, *([] if work.address else [work.images]))
    with workers(work.cluster, work.run) as runner:
        given = {"needed": needed, "folder": work.scratch, "job": job, "temperature": temperature}
        futures = [
            runner.submit(predict_shard, given | {"start": start, "files": some})
            for start, some in left.items()
        ]
        for future, some in zip(futures, left.values(), strict=True):
            try:
                error = future.result(raise_on_failure=False)
            except Exception as lost:
                if not is_of_engine(lost):
                    raise
                failed += 1
                continue
            if isinstance(error, BaseException):
                raise error
            done += len(some)
            progress(done, len(images))
    if failed:
        log.warning("%s failed on the cluster: predicted here", plural(failed, "shard"))


@task(name="predict-shard", cache_policy=NO_CACHE, persist_result=False, retries=0)
def predict_shard(
    needed: tuple[Path, ...],
    folder: Path,
    start: int,
    job: "Job",
    files: "Sequence[FileToAnswer]",
    temperature: float,
) -> None:
    """Write one shard into a folder, on a worker that must see what is `needed` for it.

    Raises:
        InputError: it does not, or the model can't be read.
    """
    from resnext.inference import shards

    require_seen(folder, *needed)
    shards.predict_shard(folder, start, job, files, temperature)


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
