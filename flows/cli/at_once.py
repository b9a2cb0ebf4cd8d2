"""Answer for one image at once, without Prefect, where no server is there to record it."""

import logging
from pathlib import Path

from flows.cli import terminal
from flows.cli.flags import PredictFlags
from flows.cli.plan import store_folder
from reports.prediction import PREFIX, answer_of
from resnext.contracts.errors import InputError
from resnext.inference.exported import FILE
from resnext.inference.model import load_model
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
    exported = found.with_name(FILE)
    on_cpu = settings.device in ("auto", "cpu")
    use_exported = on_cpu and exported.is_file() and not is_altered(exported)
    file = exported if use_exported else unaltered(found, "model").single_path()
    model = load_model(file, settings.device)
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
