"""Predict the class of one image, or of every image in a folder.

$ python flows/predict.py IMAGE_OR_FOLDER

Takes the champion of the newest run's classes, else its model; or that of `--registry NAME`, or
`--model FILE`. Writes batch_predictions.csv.
"""

import logging
import sys
from pathlib import Path
from typing import Any

from flows.cli import run as command
from flows.cli.flags import PredictFlags, full_path
from flows.serving import server
from resnext.contracts.errors import InputError


def main(source: Path, /, *, settings: PredictFlags = PredictFlags()) -> None:
    """Print class and probability of one image, or of every image in a folder.

    Args:
        source: an image or a folder
    """
    if not source.exists():
        remedy = "Nothing is there. Check the path."
        raise InputError("IMAGE_OR_FOLDER", "be there", f"'{source}'", remedy)
    alone = source.is_file() and not settings.history and not server.may_be_current()
    if alone:
        from flows.cli.at_once import answer_at_once

        if answer_at_once(full_path(source), settings):
            return
    from flows import predict  # which imports Prefect

    predict.require_model(source, settings)  # wrong input is said before a server is started
    command.run_flow(predict.batch_predict, full_path(source), settings)


if __name__ == "__main__":
    command.answer_help(main, name="predict.py")
    sys.exit(command.run_command(main, name="predict.py"))

from flows.cli.command_line import command_line
from flows.cli.plan import build, given_of, store_folder
from flows.cli.terminal import is_terminal
from resnext.contracts.json_files import write_json
from resnext.data.manifest.listing import list_images
from resnext.data.manifest.settings import ReadingSettings
from resnext.device import count_cpus, plan_compute
from resnext.inference.exported import SUFFIX, Facts
from resnext.models.model_file import read_card
from tasks.callbacks.history import add_tags
from tasks.drift import drift_of_batch, publish_drift, tables_beside
from tasks.predict import answers_of, predict_images, publish_predictions
from tasks.registry.choose_model import choose_model, log_model, unaltered
from tasks.scan import scan_images
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger(__name__)

CALIBRATION = "calibration.json"
RESULT = "batch_predictions.csv"
SHOWN = 20  # images, on the terminal


@flow(
    name="batch-predict",
    flow_run_name="predict {source.name}",
    persist_result=False,
    retries=0,
)
def batch_predict(source: Path, settings: PredictFlags = PredictFlags()) -> State[Any]:
    """Predict images that have no class yet.

    Args:
        source: an image, or a folder of images
        settings: with which model and where
    """
    with command.flow_outcome() as outcome:
        add_tags(["predict"])
        outcome.state = Completed(message=run_prediction(source, settings, flow_run.id))
    return outcome.state


def run_prediction(source: Path, settings: PredictFlags, name: str) -> str:
    """Predict, show the first results and say where they all are.

    Nothing is to be done for a folder without a file, as a batch's may be on some nights.

    Raises:
        InputError: there is no such image or model.
    """
    if is_empty(source):
        text = f"{source.name}: no images"
        log.info(text, extra={"plain": True})
        return text
    store, source = store_folder(settings.store), full_path(source)
    found = choose_model(settings.model, store, settings.registry)
    model, beside = unaltered(found, "model"), found.with_name(CALIBRATION)
    exported = _facts(found, settings.device) if found.suffix == SUFFIX else None
    card = exported.card if exported else read_card(found)
    chosen = settings.model is not None or settings.registry is not None
    log_model(store, found, card, chosen=chosen)
    calibration = unaltered(beside, CALIBRATION) if beside.is_file() and not exported else None
    if calibration is None and not (exported and exported.calibration):
        log.info("calibrated_ columns repeat p_ (temperature 1): no calibration.json by the model")
    asked = {"command": command_line("predict.py", settings, positional=[str(source)])}
    asked |= {"data": str(source), "network": card.architecture}
    with open_run(store, name, asked) as run:
        runtime = Runtime(
            store=store, run=run, data=source, workers=count_cpus(),
            progress_bar=is_terminal(sys.stderr),
        )  # fmt: skip
        if exported and exported.calibration:
            write_json(exported.calibration, run / CALIBRATION)
            calibration = Artifact.of_file(run / CALIBRATION)
        reading = build(ReadingSettings, given_of(settings))
        images = scan_images(runtime, reading, card.levels)
        device = "cpu" if exported else settings.device
        compute = plan_compute(device, card.architecture, deterministic=False)
        root = source if source.is_dir() else source.parent
        workers = count_cpus() if exported else 1
        runtime = runtime.model_copy(update={"data": root, "workers": workers})
        predicted = predict_images(runtime, images, model, compute, calibration)
        text = publish_predictions(predicted, run / RESULT, calibration)
        if (tables := tables_beside(found)) is not None:
            publish_drift(drift_of_batch(runtime, images, predicted, *tables))
    answers = answers_of(predicted, calibration)
    for path, answer in answers[:SHOWN]:
        log.info("%s: %s", path, answer, extra={"plain": True})
    log.info("Predictions (%d): %s", len(answers), run / RESULT, extra={"plain": True})
    return f"{source.name}: {text}"


def _facts(file: Path, device: str) -> Facts:
    """Read what an exported model says of itself.

    Raises:
        InputError: it was not exported by this project, or another device is asked for.
    """
    from resnext.inference.runtimes.onnx_runtime import ExportedModel

    if device not in ("auto", "cpu"):
        raise InputError("device", "be auto or cpu for an exported model", device, "Leave it out.")
    return ExportedModel(file, threads=1).facts


def require_model(source: Path, settings: PredictFlags) -> None:
    """Check that there is a model, where there is an image to predict.

    Raises:
        InputError: there is none.
    """
    if not is_empty(source):
        choose_model(settings.model, store_folder(settings.store), settings.registry)


def is_empty(source: Path) -> bool:
    """Tell a folder, of any layout, that holds no file but hidden ones and a system's own."""
    listing = list_images(source)
    return not listing.files and not listing.faults
