"""Score a model on labelled images from elsewhere: external validation.

$ python flows/evaluate.py --data FOLDER_OR_TABLE

Images that the model was trained or chosen with are found, named and left out. The score of the
others stands beside that of the model's own test part. Nothing of the model is changed.
"""

import logging
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flows.cli import run as command
from flows.cli.flags import ExternalFlags
from resnext.contracts.formatting import is_terminal


def main(*, external: ExternalFlags = ExternalFlags()) -> None:
    """Score a model on labelled images from elsewhere.

    Images that it was trained or chosen with are named and left out. Nothing of it is changed.
    """
    from flows import evaluate  # which imports Prefect

    evaluate.require(external)  # wrong input is said before a server is started
    command.run_flow(evaluate.evaluate_external, external)


if __name__ == "__main__":
    command.answer_help(main, name="evaluate.py")
    sys.exit(command.run_command(main, name="evaluate.py"))

from flows.cli.command_line import command_line
from flows.cli.plan import build, existing_table, given_of, store_folder
from flows.cli.terminal import table
from reports.sections.external import headline, in_both, never_found, short_rows
from reports.sections.score import only_answer
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import percent, plural, share_with_interval
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.manifest.sources import is_table
from resnext.data.split.settings import SplitSettings
from resnext.device import count_cpus, describe
from tasks.callbacks.history import add_tags
from tasks.drift import drift_of_labelled, publish_drift
from tasks.external import (
    COMPARISON,
    PAGE,
    AboutExternal,
    Facts,
    overlap,
    own_files,
    publish_external,
    show_external,
    validate,
)
from tasks.predict_images import FILES, predict_images
from tasks.registry.answering import Answering, choose_answering
from tasks.registry.choose_model import choose_model, facts_of_model, log_model
from tasks.scan import scan
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import METRICS, open_run

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger(__name__)


def _run_name() -> str:
    """Name a run by what is scored."""
    data = flow_run.parameters["external"].data
    return f"evaluate {data.name if data else 'nothing'}"


@flow(name="evaluate", flow_run_name=_run_name, persist_result=False, retries=0)
def evaluate_external(external: ExternalFlags) -> State[None]:
    """Score a model on labelled images from elsewhere, without those that it learnt from."""
    with command.flow_outcome() as outcome:
        add_tags(["evaluate"])
        outcome.state = Completed(message=run_evaluation(external, flow_run.id))
    return outcome.state


def require(external: ExternalFlags) -> tuple[Path, Path]:
    """Give the images, a folder or a table, and the model.

    Raises:
        InputError: one of them is not there.
        pydantic.ValidationError: a setting is wrong.
    """
    if external.data is None:
        raise InputError("data", "be given", "nothing", "Name a folder of class folders.")
    if not (external.data.is_dir() or is_table(external.data)):
        there = "a file" if external.data.exists() else "nothing"
        rule = "be a folder of class folders, or a table (.csv or .tsv) of path,label"
        remedy = f"There is {there} at that place. Check the path."
        raise InputError("data", rule, f"'{external.data}'", remedy)
    existing_table("groups", external.groups)
    build(SplitSettings, given_of(external))
    store = store_folder(external.store)
    return external.data, choose_model(external.model, store, external.registry)


def run_evaluation(external: ExternalFlags, name: str) -> str:
    """Score a model on images from elsewhere; say in a line how good it is.

    Raises:
        InputError: the images or the model can't be used.
    """
    data, file = require(external)
    store = store_folder(external.store)
    how = external.runtime, external.device, external.memory_format
    answering = choose_answering(file, *how)
    log.info("images: %s", data)
    log_model(store, file, answering.card, chosen=bool(external.model or external.registry))
    asked = {"command": command_line("evaluate.py", external), "data": data.name}
    with open_run(store, name, asked | {"network": answering.card.architecture}) as run:
        runtime = Runtime(
            store=store, run=run, data=data.resolve() if data.is_dir() else data.parent,
            workers=count_cpus(), progress_bar=is_terminal(sys.stderr),
        )  # fmt: skip
        facts = facts_of_model(store, file, answering.card) | {"file": str(file)}
        about = AboutExternal(
            data_name=data.name,
            model=tuple((name.capitalize(), text) for name, text in facts.items()),
            command=asked["command"],
            environment=_environment(answering),
        )
        made = {each.stage: each for each in _stages(external, runtime, answering, file, about)}
        publish_external(data.name, made["validate"])
        if "drift-of-labelled" in made:
            publish_drift(made["drift-of-labelled"])
        return _conclude(run, made["validate"], data.name)


def _stages(
    external: ExternalFlags,
    runtime: Runtime,
    answering: Answering,
    file: Path,
    about: AboutExternal,
) -> Iterator[Artifact]:
    """Run the stages, giving the artifacts in their order."""
    given = given_of(external)
    reading, settings = build(ReadingSettings, given), build(SplitSettings, given)
    own = own_files(file)
    known, parts, hashes, joined, held_out, scores = map(own.get, (
        "manifest.csv", "split.csv", "hashes.npy", "joined_groups.json", "predictions.csv", METRICS,
    ))  # fmt: skip
    folder = external.data is not None and external.data.is_dir()
    listed = None if folder else existing_table("data", external.data)
    groups, classes = existing_table("groups", external.groups), answering.card.classes
    yield (manifest := scan(runtime, reading, None, listed, classes))
    beside = groups, known, parts, hashes, joined
    yield (split := overlap(runtime, manifest, classes, settings, external.new_groups, *beside))
    how = answering.execution.apart, answering.temperature, reading
    yield (answers := predict_images(runtime, split.only([FILES]), answering.model, *how))
    rule = tuple((key, value) for key, value in answering.calibration.items() if _is_plain(value))
    yield (found := validate(runtime, manifest, split, answers, rule, scores, known, held_out))
    drift = None
    if parts is not None and held_out is not None:
        yield (drift := drift_of_labelled(runtime, found, parts, held_out))
    yield show_external(runtime, split, found, drift, about)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | float | int)


def _environment(answering: Answering) -> Facts:
    execution, packages = answering.execution, ("torch", "pandas", "scipy", "prefect")
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        ("Computed by", f"{execution.name}, {describe(execution.compute)}"),
        ("Python", python),
        *((name, version(name)) for name in packages),
    )


def _conclude(run: Path, found: Artifact, name: str) -> str:
    """Show the scores and where the page is; give the score in a line."""
    metrics, comparison = (read_json(found.path(each)) for each in (METRICS, COMPARISON))
    text = (
        f"{percent(metrics['accuracy'], ' ')} of {plural(metrics['n'], 'image')} of "
        f"{plural(metrics['groups'], 'group')} right; balanced accuracy "
        f"{share_with_interval(metrics, 'balanced_accuracy')}"
    )
    pairs = comparison["in_both"]
    per_class = read_table(found.path("per_class.csv"))
    missed = [only_answer(per_class)] if only_answer(per_class) else never_found(per_class)
    more = [*missed, *([in_both(pairs)] if pairs else [])]
    said = "\n".join([text, headline(comparison), *more])
    rows = table(short_rows(comparison, metrics), names=1)
    log.info("\n%s\n\n%s", rows, said, extra={"plain": True})
    log.info("Page: %s", run / PAGE, extra={"plain": True})
    return f"{name}: {text}"
