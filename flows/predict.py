"""Predict the class of one picture, or of every picture in a folder.

$ python flows/predict.py PICTURE_OR_FOLDER

Takes the champion of the newest run's classes, else its model; or that of `--registry NAME`, or
`--model FILE`. Writes batch_predictions.csv.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flows.cli import run as command
from flows.cli import terminal
from flows.cli.command_line import command_line
from flows.cli.flags import PredictFlags
from flows.cli.model_choice import choose_model, say_who_answers
from flows.cli.plan import reading_of, store_folder
from flows.retraining.drift import note_drift_of_batch
from flows.serving import server
from resnext.contracts.errors import InputError
from resnext.data.manifest.listing import list_pictures
from resnext.device import count_cpus, plan_compute
from resnext.models.model_file import ModelCard, read_card
from tasks.callbacks.history import add_tags
from tasks.orchestrator import Completed, State, flow, run_id
from tasks.predict import answers_of, predict_pictures, publish_predictions
from tasks.scan import scan_pictures
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run
from tasks.stage.store import is_altered

log = logging.getLogger("flows.predict")  # also where this file is the program

CALIBRATION = "calibration.json"
RESULT = "batch_predictions.csv"
SHOWN = 20  # pictures, on the terminal


@flow(
    name="batch-predict",
    flow_run_name="predict {source.name}",
    persist_result=False,
    retries=0,
)
def batch_predict(source: Path, settings: PredictFlags = PredictFlags()) -> State[Any]:
    """Predict pictures that have no class yet.

    Args:
        source: a picture, or a folder of pictures
        settings: with which model and where
    """
    with command.wrong_input_fails_in_words() as outcome:
        add_tags(["predict"])
        outcome.state = Completed(message=run_prediction(source, settings, run_id()))
    return outcome.state


def run_prediction(source: Path, settings: PredictFlags, name: str) -> str:
    """Predict, show the first results and say where they all are.

    Nothing is to be done for a folder without a file, as a batch's may be on some nights.

    Raises:
        InputError: there is no such picture or model.
    """
    if _is_empty(source):
        words = f"{source.name}: no pictures"
        log.info(words, extra={"plain": True})
        return words
    store = store_folder(settings.store)
    model, card = find_model(settings, store)
    calibration = find_calibration(model.single_path())
    if calibration is None:
        log.info("calibrated_ columns repeat p_ (temperature 1): no calibration.json by the model")
    source = source.absolute()
    root = source if source.is_dir() else source.parent
    asked = command_line("predict.py", settings, words=[str(source)])
    with open_run(store, name, {"command": asked, "data": str(source)}) as run:
        runtime = Runtime(store=store, run=run, data=source, progress_bar=terminal.is_watched())
        scanning = runtime.model_copy(update={"workers": count_cpus()})
        pictures = scan_pictures(scanning, reading_of(settings), card.levels)
        compute = plan_compute(settings.device, card.architecture, deterministic=False)
        reading = runtime.model_copy(update={"data": root})
        done = predict_pictures(reading, pictures, model, compute, calibration)
        words = publish_predictions(done, run / RESULT, calibration)
        note_drift_of_batch(reading, pictures, done, model.single_path())
    show(done, run / RESULT, calibration)
    return f"{source.name}: {words}"


def _is_empty(source: Path) -> bool:
    """Tell a folder, of any layout, that holds no file but hidden ones and a system's own."""
    listing = list_pictures(source)
    return not listing.files and not listing.faults


def find_model(settings: PredictFlags, store: Path) -> tuple[Artifact, ModelCard]:
    """Give the weights to use, known by their bytes, and their card; say which model it is.

    Raises:
        InputError: there are none, they were altered, or the file is no model of this project.
    """
    found = choose_model(settings.model, store, settings.registry)
    _require_unaltered(found, "--model")
    card = read_card(found)
    chosen = settings.model is not None or settings.registry is not None
    say_who_answers(store, found, card, chosen=chosen)
    return Artifact.of_file(found), card


def find_calibration(model: Path) -> Artifact | None:
    """Give the calibration.json beside a model, in its run folder as a rule; None without one.

    Raises:
        InputError: it was altered.
    """
    found = model.parent / CALIBRATION
    if not found.is_file():
        return None
    _require_unaltered(found, CALIBRATION)
    return Artifact.of_file(found)


def _require_unaltered(file: Path, what: str) -> None:
    """Check a file that lies in a store against what was written down of it there.

    Raises:
        InputError: it was altered since.
    """
    if is_altered(file):
        raise InputError(
            what,
            "be as it was written",
            f"'{file}', which was altered since",
            "Put the file back, or name another model with --model.",
        )


def show(predictions: Artifact, link: Path, calibration: Artifact | None) -> None:
    """Print class and probability of the first pictures, and where all of them are."""
    answers = answers_of(predictions, calibration)
    for path, answer in answers[:SHOWN]:
        log.info("%s: %s", path, answer, extra={"plain": True})
    log.info("Predictions (%d): %s", len(answers), link, extra={"plain": True})


def main(
    source: Path,
    /,
    *,
    settings: Annotated[PredictFlags, Parameter(name="*")] = PredictFlags(),
) -> None:
    """Print class and probability of one picture, or of every picture in a folder.

    Args:
        source: A picture or a folder.
        settings: With which model and where.
    """
    if not source.exists():
        raise InputError(
            "PICTURE_OR_FOLDER",
            "be there",
            f"'{source}'",
            "Nothing is there. Check the path.",
        )
    if not _is_empty(source):  # wrong input is said before a server is started
        choose_model(settings.model, store_folder(settings.store), settings.registry)
    terminal.show_only_our_lines()
    with server.connected():
        command.run_flow(batch_predict, source.absolute(), settings)


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="predict.py"))
