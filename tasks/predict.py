"""Predict with a trained network: the held-out parts of a split, or new images."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated

from reports.prediction import Answer, answer_of
from resnext.contracts.formatting import plain, plural, printable
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table, write_rate, write_table
from resnext.device import Compute
from tasks.callbacks.history import call_server
from tasks.callbacks.terminal import counting
from tasks.pack import Packed, open_pixels
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

LISTED = 200  # images, on the page


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


@stage(run_name="predict new images", log_first="loading the network (several seconds)")
def predict_images(
    work: Work,
    images: Annotated[Artifact, Reads("batch_manifest.csv", "batch_quarantine.csv")],
    model: Annotated[Artifact, Reads()],
    compute: Compute,
    scores: Annotated[Artifact | None, Reads("calibration.json")] = None,
) -> None:
    """Write batch_predictions.csv.

    `model` holds one file, weights or an exported model; `scores` the temperature, which is 1
    without them.
    """
    from resnext.inference import predict as predictions

    with counting("image", "predict", shown=work.progress_bar) as progress:
        table = predictions.predict_images(
            work.images,
            images.path("batch_manifest.csv"),
            images.path("batch_quarantine.csv"),
            model.single_path(),
            compute,
            calibration=scores.path("calibration.json") if scores else None,
            workers=work.workers,
            progress=progress,
        )
    write_table(table, work.out / "batch_predictions.csv")


@task(
    task_run_name="publish the predictions", cache_policy=NO_CACHE, persist_result=False, retries=0
)
def publish_predictions(found: Artifact, place: Path, calibration: Artifact | None = None) -> str:
    """Show the first answers on the flow run's page; say how many images were called what."""
    answers = answers_of(found, calibration)
    counts = Counter(answer.name for _, answer in answers if isinstance(answer, Answer))
    said = [f"{printable(name)} {counts[name]}" for name in sorted(counts)]
    unread = len(answers) - counts.total()
    said += [f"{unread} could not be read"] if unread else []
    words = f"{plural(len(answers), 'image')}: {', '.join(said)}" if said else "no images"
    shown = [{"image": printable(path), "answer": str(said)} for path, said in answers[:LISTED]]
    text = f"{plain(words)}. All of them: `{place}`"
    call_server(lambda: create_table_artifact(table=shown, key="predictions", description=text))
    return words


def answers_of(found: Artifact, calibration: Artifact | None) -> list[tuple[str, Answer | str]]:
    """Give the path and the answer of each image, in the table's order; for one, why none."""
    rule = read_json(calibration.single_path()) if calibration else None
    rows = read_table(found.path("batch_predictions.csv"))
    return [
        (
            row["path"],
            answer_of(row, rule)
            if row["status"] == "ok"
            else f"no prediction: {printable(row['error'])}",
        )
        for _, row in rows.iterrows()
    ]
