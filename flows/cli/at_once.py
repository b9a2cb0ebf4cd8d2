"""Answer for one image at once, without Prefect, where no server is there to record it."""

import logging
from contextlib import suppress
from pathlib import Path

from flows.cli import terminal
from flows.cli.flags import PredictFlags
from flows.cli.plan import store_folder
from reports.prediction import PREFIX, answer_of
from resnext.contracts.errors import InputError
from resnext.device import count_cpus
from resnext.inference.exported import FILE
from resnext.inference.model import Model, load_model
from tasks.registry.choose_model import choose_model, log_model, unaltered
from tasks.stage.store import is_altered

log = logging.getLogger(__name__)

UNRECORDED = (
    "No Prefect server runs, so the run history has nothing of this. --history starts one and "
    "writes a run folder."
)


def answer_at_once(image: Path, settings: PredictFlags) -> bool:
    """Print the answer, and tell whether there was one: an image that is odd is left to the flow.

    A model that was exported answers by its ONNX file, so that torch is not imported.

    Raises:
        InputError: there is no such model, or it was altered.
    """
    store = store_folder(settings.store)
    found = choose_model(settings.model, store, settings.registry)
    model = _load(found, settings.device)
    try:
        answer = model.predict(image)
    except InputError:
        return False
    terminal.show_only_our_lines()
    chosen = settings.model is not None or settings.registry is not None
    log_model(store, found, model.card, chosen=chosen)
    shares = {f"{PREFIX}{name}": share for name, share in answer.probabilities.items()}
    likeliest = max(answer.probabilities, key=answer.probabilities.__getitem__)
    shown = answer_of({"predicted": likeliest, **shares}, model.calibration)
    log.info("%s: %s", image.name, shown, extra={"plain": True})
    log.info(UNRECORDED)
    return True


def _load(file: Path, device: str) -> Model:
    """Load the export of a model that lies beside it, as it was written, else the model itself."""
    known, exported = unaltered(file, "model"), file.with_name(FILE)
    if device in ("auto", "cpu") and exported.is_file() and not is_altered(exported):
        from resnext.inference.runtimes.onnx_runtime import ExportedModel

        with suppress(InputError):  # a file of somebody else's
            opened = ExportedModel(exported, count_cpus())
            if opened.facts.made_of in known.files.values():
                return Model(opened.predict, opened.facts.card, opened.facts.calibration)
    return load_model(file, device)
