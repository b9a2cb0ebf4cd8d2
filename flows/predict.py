"""Predict the classes of images: files, folders, patterns, and tables of paths.

$ python flows/predict.py IMAGE_OR_FOLDER ...
$ python flows/predict.py --page

Takes the champion of the newest run's classes, else its model; or that of `--registry NAME`, or
`--model FILE`. Writes batch_predictions.csv, a row a file, and up to 1,000 images predictions.html.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from flows.cli import run as command
from flows.cli.flags import PageFlags, PredictFlags, full_place
from flows.serving import server
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import is_terminal
from resnext.contracts.remote import Place, place_of
from resnext.data.manifest.sources import is_pattern, is_table, list_sources


def main(
    *sources: str, settings: PredictFlags = PredictFlags(), page: PageFlags = PageFlags()
) -> None:
    """Print class and probability of one image, or of every image in folders.

    With --page no image is named: a page in the browser takes them.

    Args:
        sources: images, folders, patterns such as "inbox/**/*.jpg", CSV tables with a column path,
            or addresses such as s3://bucket/folder
    """
    places = [place_of(full_place(source)) for source in sources]
    if page != PageFlags():
        from flows.cli.page import serve_page

        serve_page(places, settings, page)
        return
    require_sources(places if all(sources) else [], settings)
    one = places[0] if len(places) == 1 else ""
    alone = isinstance(one, Path) and one.is_file() and not is_table(one)
    if alone and not (settings.history or settings.output) and not server.may_be_current():
        from flows.cli.at_once import answer_at_once

        if answer_at_once(Path(one), settings):
            return
    from flows import predict  # which imports Prefect

    predict.require_model(places, settings)  # wrong input is said before a server is started
    command.run_flow(predict.batch_predict, [*map(str, places)], settings)


def require_sources(sources: list[Place], settings: PredictFlags) -> None:
    """Check what is named on the command line.

    Raises:
        InputError: there is nothing to predict, or the table can't be written.
    """
    if not sources:
        raise InputError("IMAGE_OR_FOLDER", "name an image or a folder", "none")
    for source in sources:
        if isinstance(source, Path) and not source.exists() and not is_pattern(source):
            remedy = "Nothing is there. Check the path."
            raise InputError("IMAGE_OR_FOLDER", "be there", f"'{source}'", remedy)
    if settings.output is not None:
        from reports.answers import require_format

        require_format(place_of(settings.output))


if __name__ == "__main__":
    command.answer_help(main, name="predict.py")
    sys.exit(command.run_command(main, name="predict.py"))

from flows.cli.command_line import command_line
from flows.cli.plan import build, given_of, store_folder
from flows.cli.terminal import table
from flows.serving.run_name import typed_or
from reports.answers import write_answers
from reports.domain import ReportSettings
from reports.prediction import BatchSummary, summarise
from reports.sections.batch import class_rows
from resnext.contracts.formatting import percent, plural, printable
from resnext.contracts.tables import iterate_rows
from resnext.data.manifest.settings import ReadingSettings
from resnext.device import count_cpus, describe, processor
from resnext.inference.calibration import rule_of
from resnext.inference.execution import Execution
from tasks.callbacks.history import add_tags
from tasks.drift import drift_of_batch, publish_drift, tables_beside
from tasks.measure import chosen_execution, measure_runtimes
from tasks.predict_images import (
    PREDICTIONS,
    THUMBNAILS,
    list_files,
    predict_images,
)
from tasks.publish import publish_predictions
from tasks.registry.answering import Answering, choose_answering
from tasks.registry.choose_model import choose_model, log_model
from tasks.show_predictions import PAGE, RULE, AboutBatch, show_predictions
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger(__name__)

SHOWN = 20  # images, on the terminal
WORTH = 1000  # files from which the seconds of a measurement pay
Source = Annotated[str, BeforeValidator(str)]
"""A path or an address."""


def _run_name() -> str:
    """Name a run by what it predicts."""
    sources: list[str] = flow_run.parameters["sources"]
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return f"predict {Path(sources[0]).name}{more}"


@flow(
    name="batch-predict",
    flow_run_name=lambda: typed_or(_run_name()),
    persist_result=False,
    retries=0,
)
def batch_predict(sources: list[Source], settings: PredictFlags = PredictFlags()) -> State[None]:
    """Predict images that have no class yet.

    Args:
        sources: Images, folders, patterns, CSV tables with a column path, and addresses.
    """
    with command.flow_outcome() as outcome:
        add_tags(["predict"])
        places = [place_of(full_place(source)) for source in sources]
        outcome.state = Completed(message=run_prediction(places, settings, flow_run.id))
    return outcome.state


def run_prediction(sources: Sequence[Place], settings: PredictFlags, name: str) -> str:
    """Predict, show the first results and say where they all are.

    Nothing is to be done for a folder without a file, as a batch's may be on some nights.

    Raises:
        InputError: there is no such image or model.
    """
    found, what = list_sources(sources), ", ".join(Path(source).name for source in sources[:3])
    if not found.files:
        text = f"{what}: no images"
        log.info(text, extra={"plain": True})
        return text
    store = store_folder(settings.store)
    file = choose_model(settings.model, store, settings.registry)
    how = settings.runtime, settings.device, settings.memory_format
    answering = choose_answering(file, *how)
    card, chosen = answering.card, settings.model is not None or settings.registry is not None
    log_model(store, file, card, chosen=chosen)
    asked = {"command": command_line("predict.py", settings, positional=[*map(str, sources)])}
    asked |= {"data": ", ".join(map(str, sources)), "network": card.architecture}
    with open_run(store, name, asked) as run:
        runtime = Runtime(
            store=store, run=run, data=found.root, address=found.address, workers=count_cpus(),
            cluster=settings.cluster, progress_bar=is_terminal(sys.stderr),
        )  # fmt: skip
        execution, asked_again = answering.execution.apart, asked["command"]
        if _is_to_be_measured(execution, settings, len(found.files)):
            measured = measure_runtimes(runtime, processor(), answering.model, execution)
            execution = chosen_execution(measured)
            asked_again = f"{asked_again} {execution.flags}"
        log.info("computed by %s", execution.name)
        answering = answering._replace(execution=execution)
        reading = build(ReadingSettings, given_of(settings))
        files, rule = list_files(found, run), rule_of(answering.calibration)
        given = files, answering.model, execution, answering.temperature, reading, rule
        predicted = predict_images(runtime, *given, answering.reference)
        text = _show(runtime, predicted, answering, settings, what, asked_again)
        if (tables := tables_beside(file)) is not None:
            publish_drift(drift_of_batch(runtime, predicted, *tables))
    return f"{what}: {text}"


def require_model(sources: list[Place], settings: PredictFlags) -> None:
    """Check that there is a model, where there is an image to predict.

    Raises:
        InputError: there is none.
    """
    if list_sources(sources).files:
        choose_model(settings.model, store_folder(settings.store), settings.registry)


def _show(
    runtime: Runtime,
    predicted: Artifact,
    answering: Answering,
    settings: PredictFlags,
    what: str,
    asked: str,
) -> str:
    """Show the answers on the terminal, on the page of the run and in files; say them in a line."""
    rule, place = answering.calibration, (runtime.run or runtime.store) / PREDICTIONS
    summary = summarise(iterate_rows(predicted.path(PREDICTIONS)), rule, settings.top)
    publish_predictions(summary, place)
    for path, answer in summary.first[:SHOWN]:
        log.info("%s: %s", printable(path), answer, extra={"plain": True})
    made: dict[str, Place] = {f"Predictions ({summary.files:,})": place}
    if THUMBNAILS in predicted.files:
        facts = (("Model", str(answering.model.single_path())), *_facts_of(answering))
        pictures = not build(ReportSettings, given_of(settings)).no_pictures
        known = {name: rule.get(name) for name in RULE}
        about = AboutBatch(data_name=what, facts=facts, command=asked, pictures=pictures, **known)
        show_predictions(runtime, predicted, about)
        made["Page"] = place.with_name(PAGE)
    if settings.output is not None:
        output = place_of(settings.output)
        write_answers(iterate_rows(predicted.path(PREDICTIONS)), output, rule, settings.top)
        made["Table"] = output
    if summary.files > 1:
        log.info("\n%s\n", _table_of(summary), extra={"plain": True})
    for name, file in made.items():
        log.info("%s: %s", name, file, extra={"plain": True})
    return str(summary)


def _is_to_be_measured(execution: Execution, settings: PredictFlags, files: int) -> bool:
    """Tell whether it pays to measure what is faster: on a CPU, and where nothing was asked for."""
    asked = settings.runtime or settings.memory_format
    return execution.compute.device == "cpu" and not asked and files >= WORTH


def _facts_of(answering: Answering) -> tuple[tuple[str, str], ...]:
    card = answering.card
    how = f"{answering.execution.name}, {describe(answering.execution.compute)}"
    network = f"{card.architecture} at {card.image_size} px"
    return ("Network", network), ("Classes", ", ".join(card.classes)), ("Computed by", how)


def _table_of(summary: BatchSummary) -> str:
    """Tabulate how many images were called what, and name what was odd."""
    rows = [
        {"class": name, "images": f"{images:,}", "share": percent(share, " ")}
        for name, images, share in class_rows(summary)
    ]
    lines = [table(rows, names=1)] if rows else []
    lines += [f"{plural(images, 'image')}: {note}" for note, images in summary.notes.items()]
    lines += [summary.unlike_in_words] if summary.unlike else []
    if summary.unread:
        more = ", such as" if summary.unread > len(summary.faults) else ":"
        faults = printable("; ".join(summary.faults))
        lines.append(f"{summary.unread:,} could not be read{more} {faults}")
    return "\n".join(lines)
