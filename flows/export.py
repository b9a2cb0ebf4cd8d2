"""Export a trained model: an ONNX file that predicts without torch, Prefect or this program.

$ python flows/export.py
$ python flows/export.py --model model.safetensors --output model.onnx
$ python flows/export.py --hub FOLDER

The file is kept only where it answers images as torch does. `--hub` lays out a folder that can be
pushed to a model hub as it is.
"""

import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.cli import run as command
from flows.cli.flags import ExportFlags
from resnext.contracts.formatting import is_terminal


def main(*, settings: ExportFlags = ExportFlags()) -> None:
    """Write a trained model as an ONNX file, once it answers images as torch does."""
    choose_model(settings.model, store_folder(settings.store), settings.registry)
    command.run_flow(export_model, settings)


if __name__ == "__main__":
    command.answer_help(main, name="export.py")

from flows.cli.command_line import command_line
from flows.cli.plan import store_folder
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import plural
from resnext.contracts.json_files import read_json, write_json
from resnext.data.manifest.settings import ReadingSettings
from resnext.device import count_cpus, plan_compute
from resnext.inference.exported import FILE, SMALL, SUFFIX, example_for
from resnext.models.model_file import ModelCard, read_card
from tasks.callbacks.history import add_tags
from tasks.export import export
from tasks.pack import pack
from tasks.quantise import quantise
from tasks.registry.choose_model import choose_model, log_model, unaltered
from tasks.registry.versions import FACTS, Version, read
from tasks.report import CARD
from tasks.scan import scan
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import MODEL, RUNS, open_run
from tasks.stage.store import stored

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.export")  # also where this file is the program

CALIBRATION = "calibration.json"


@flow(name="export", persist_result=False, retries=0)
def export_model(settings: ExportFlags = ExportFlags()) -> State[Any]:
    """Write a trained model as an ONNX file.

    Args:
        settings: which model, checked on which images, and where to
    """
    with command.flow_outcome() as outcome:
        add_tags(["export"])
        outcome.state = Completed(message=run_export(settings, flow_run.id))
    return outcome.state


def run_export(settings: ExportFlags, name: str) -> str:
    """Export, and say in a line where the file is and how it was checked.

    Raises:
        InputError: there is no such model, no images to check it with, or something in the folder
            for a hub already.
        ExportError: the file does not answer as torch does.
    """
    folder = settings.hub
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        remedy = "Name another one, or empty it."
        raise InputError("hub", "be a new or an empty folder", f"'{folder}'", remedy)
    store = store_folder(settings.store)
    found = choose_model(settings.model, store, settings.registry)
    card = read_card(found)
    if settings.int8 and (settings.data or not found.with_name("split.csv").is_file()):
        rule, remedy = "go with a model's own images", "Leave `data` out, or name another model."
        raise InputError("int8", rule, "other ones, or no split.csv by the model", remedy)
    log_model(store, found, card, chosen=settings.model is not None or bool(settings.registry))
    asked = {"command": command_line("export.py", settings)}
    asked |= {"data": str(settings.data or ""), "network": card.architecture}
    with open_run(store, name, asked) as run:
        runtime = Runtime(
            store=store, run=run, data=settings.data, workers=count_cpus(),
            progress_bar=is_terminal(sys.stderr),
        )  # fmt: skip
        model, words = unaltered(found, "model"), _beside(found, CARD)
        manifest, split = _beside(found, "manifest.csv"), _beside(found, "split.csv")
        scores = _beside(found, CALIBRATION)
        if settings.data is None:
            pixels = _pixels_of(store, found)
        else:
            manifest = scan(runtime, ReadingSettings())
            pixels = pack(runtime, manifest, card.image_size, card.levels, card.fit)
        compute = plan_compute("cpu")
        made = export(runtime, model, scores, words, pixels, compute, manifest, split)
        checked = read_json(made.path("export.json"))
        files = {MODEL: model.single_path(), FILE: made.path(FILE)}
        files |= {CALIBRATION: scores.single_path()} if scores else {}
        shown = run / FILE
        if settings.int8 and manifest is not None and split is not None:
            files[SMALL] = quantise(runtime, made, manifest, split, pixels).path(SMALL)
            log.info("8-bit model: %s", run / SMALL, extra={"plain": True})
    if settings.output is not None:
        settings.output.parent.mkdir(parents=True, exist_ok=True)
        shown = Path(shutil.copyfile(made.path(FILE), settings.output))
        if SMALL in files:
            shutil.copyfile(files[SMALL], shown.with_suffix(f".int8{SUFFIX}"))
    if settings.hub is not None:
        lay_out(settings.hub, files, card, words)
        log.info("Folder for a model hub: %s", settings.hub, extra={"plain": True})
    log.info("Exported model: %s", shown, extra={"plain": True})
    return (
        f"{card.architecture}: {plural(checked['images'], 'image')} answered as torch does, within "
        f"{checked['difference']:.1g}"
    )


def lay_out(
    folder: Path, files: Mapping[str, Path], card: ModelCard, words: Artifact | None
) -> None:
    """Put model, calibration, card, configuration and an example into a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        shutil.copyfile(file, folder / name)
    if words is not None:
        shutil.copyfile(words.single_path(), folder / "README.md")
    write_json(card.model_dump(mode="json"), folder / "config.json")
    (folder / "example.py").write_text(example_for(card), encoding="utf-8")


def _beside(model: Path, name: str) -> Artifact | None:
    """Give a file that lies beside a model as it was written; None where there is none.

    Raises:
        InputError: it was altered since.
    """
    file = model.with_name(name)
    return unaltered(file, name) if file.is_file() else None


def _pixels_of(store: Path, model: Path) -> Artifact:
    """Give the packed images of the run that made a model.

    Raises:
        InputError: they are not in the store.
    """
    folder = model.parent
    if (folder / FACTS).is_file():
        folder = store / RUNS / read(Version, folder / FACTS).run
    found = stored(folder / "pixels.npy")
    if found is None:
        remedy = "Name class folders whose images it is checked with."
        raise InputError(
            "data", "be given where the store has no images of the model", "none", remedy
        )
    return found


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="export.py"))
