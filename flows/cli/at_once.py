"""Answer for one image at once, without Prefect, where no server is there to record it."""

import logging
from pathlib import Path

from flows.cli import terminal
from flows.cli.flags import PredictFlags
from flows.cli.plan import store_folder
from reports.prediction import answer_from
from resnext.contracts.errors import InputError
from resnext.contracts.formatting import printable
from tasks.registry.answering import choose_answering
from tasks.registry.choose_model import choose_model, log_model

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
    answering = choose_answering(found, settings.runtime, settings.device, settings.memory_format)
    model = answering.open()
    try:
        answer = model.predict(image)
    except InputError:
        return False
    terminal.show_only_our_lines()
    chosen = settings.model is not None or settings.registry is not None
    log_model(store, found, answering.card, chosen=chosen)
    shares = answer.probabilities
    likeliest = max(shares, key=shares.__getitem__)
    shown = answer_from(shares, likeliest, answering.calibration, settings.top)
    said = "; ".join(filter(None, [str(shown), answer.oddness]))
    log.info("%s: %s", printable(image.name), said, extra={"plain": True})
    log.info(UNRECORDED)
    return True
