"""Note how new images differ from those that a model was made with; see `reports.drift`.

What the model's own data were is read from the files beside it; nothing is noted where these are
missing or altered.
"""

import logging
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from resnext.contracts.formatting import percent_interval, plain, printable
from resnext.contracts.json_files import read_json, write_json
from resnext.contracts.tables import read_manifest, read_split_images, read_table, write_table
from resnext.device import Compute
from tasks.callbacks.history import call_server
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.store import is_altered

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

log = logging.getLogger(__name__)

DRIFT = "drift.json"
ANSWERS = "new_predictions.csv"

Known = Annotated[Artifact, Reads("manifest.csv")]
Parts = Annotated[Artifact, Reads("split.csv")]
HeldOut = Annotated[Artifact, Reads("predictions.csv")]


@stage(run_name="predict what is new")
def predict_new(
    work: Work,
    manifest: Known,
    split: Parts,
    known: Known,
    pixels: Packed,
    model: Annotated[Artifact, Reads("model.safetensors")],
    compute: Compute,
) -> None:
    """Write new_predictions.csv: answers to the images that the manifest `known` lacks."""
    from resnext.inference import predict as predictions

    table = predictions.predict_new(
        manifest.path("manifest.csv"),
        split.path("split.csv"),
        known.path("manifest.csv"),
        open_pixels(pixels),
        model.path("model.safetensors"),
        compute,
    )
    write_table(table, work.out / ANSWERS)


@stage(run_name="drift since the model was trained")
def drift_since_training(
    work: Work,
    manifest: Known,
    split: Parts,
    answers: Annotated[Artifact, Reads("new_predictions.csv")],
    known: Known,
    parts: Parts,
    held_out: HeldOut,
) -> None:
    """Write drift.json and drift.csv of labelled images.

    `manifest` and `split` are of all images there are now; `known`, `parts` and `held_out` are
    the manifest, split and predictions of the model that gave the answers.
    """
    from reports import drift

    before = read_split_images(parts.path("split.csv"), known.path("manifest.csv"))
    now = read_split_images(split.path("split.csv"), manifest.path("manifest.csv"))
    learnt = now["sha256"].isin(before.loc[before["split"] == "train", "sha256"])
    of_learnt = now["group"].isin(now.loc[learnt & (now["group"] != ""), "group"])
    found = drift.since_training(
        read_table(answers.path(ANSWERS)),
        read_table(held_out.path("predictions.csv")),
        read_table(parts.path("split.csv")),
        now.loc[of_learnt, "path"].tolist(),
    )
    _write(work.out, *found)


@stage(run_name="drift of the new images")
def drift_of_batch(
    work: Work,
    batch: Annotated[Artifact, Reads("batch_predictions.csv")],
    known: Known,
    parts: Parts,
    held_out: HeldOut,
) -> None:
    """Write drift.json and drift.csv of images that have no class yet.

    `known`, `parts` and `held_out` are the manifest, split and predictions of the model that gave
    the answers. Images that its manifest holds are not new, and left out.
    """
    from reports import drift

    answers = read_table(batch.path("batch_predictions.csv"))
    seen = answers["sha256"].isin(read_manifest(known.path("manifest.csv"))["sha256"])
    found = drift.of_batch(
        answers,
        read_table(held_out.path("predictions.csv")),
        read_table(parts.path("split.csv")),
        answers.loc[seen, "path"].tolist(),
    )
    _write(work.out, *found)


@stage(run_name="drift of the labelled images")
def drift_of_labelled(work: Work, predictions: HeldOut, parts: Parts, held_out: HeldOut) -> None:
    """Write drift.json and drift.csv of images whose classes are known, none of which was learnt.

    `parts` and `held_out` are the split and the predictions of the model that gave the answers.
    """
    from reports import drift

    new, old = (read_table(each.path("predictions.csv")) for each in (predictions, held_out))
    _write(work.out, *drift.since_training(new, old, read_table(parts.path("split.csv"))))


def tables_beside(model: Path) -> tuple[Artifact, Artifact, Artifact] | None:
    """Give a model's manifest.csv, split.csv and predictions.csv; None where one is missing.

    They lie beside it, in a run's folder and in the registry's.
    """
    names = ("manifest.csv", "split.csv", "predictions.csv")
    manifest, split, predictions = paths = [model.parent / name for name in names]
    wrong = [path.name for path in paths if not path.is_file() or is_altered(path)]
    if wrong:
        log.info("no note on drift: %s beside the model missing or altered", ", ".join(wrong))
        return None
    return Artifact.of_file(manifest), Artifact.of_file(split), Artifact.of_file(predictions)


@task(task_run_name="publish the drift", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish_drift(found: Artifact) -> None:
    """Log the note on drift, and show it with the class shares on the flow run's page."""
    drift = read_json(found.path(DRIFT))
    log.info(drift["words"], extra={"plain": True})
    reference = drift["reference"]["what"]
    rows = [  # what the cells hold is shown as text, not rendered
        {
            "class": printable(share["class"]),
            "new": str(share["new_n"]),
            "share (95 % interval)": percent_interval(
                share["new_share"], (share["new_share_low"], share["new_share_high"])
            ),
            reference: str(share["reference_n"]),
            f"share of the {reference}": percent_interval(share["reference_share"], None),
        }
        for share in drift["shares"]
    ]
    words = plain(drift["words"])
    call_server(lambda: create_table_artifact(table=rows, key="drift", description=words))


def _write(out: Path, found: dict[str, Any], shares: pd.DataFrame) -> None:
    write_json(found, out / DRIFT)
    write_table(shares, out / "drift.csv")
