"""The page to try a model: which one, where it is served, and what the terminal says of it."""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from flows.cli import terminal
from flows.cli.flags import SYNTHETIC, PageFlags, PredictFlags
from flows.cli.plan import build, given_of, store_folder
from flows.serving.page import (
    MOST_BYTES,
    Answer,
    address_of,
    listen,
    page_app,
    require_login,
    serve,
)
from reports.prediction import answer_from
from reports.try_page import TryContent, render_try_page
from resnext.contracts.errors import InputError
from resnext.contracts.remote import Place
from resnext.data.manifest.settings import ReadingSettings
from resnext.device import describe
from resnext.inference.exported import SUFFIX
from resnext.inference.one_image import OneImage, has_heat_maps
from tasks.registry.answering import Answering, choose_answering
from tasks.registry.choose_model import choose_model, facts_of_model, log_model

log = logging.getLogger(__name__)

LOGIN = "RESNEXT_PIPELINE_PAGE_LOGIN"
HOST, PORT = "127.0.0.1", 8000
OF_FILES = ("output", "top", "history")
"""Flags that say what is done with files that are named."""
TITLES = {"score": "Balanced accuracy on its test images"}
"""Facts of the model that are called otherwise on the page."""


def serve_page(sources: Sequence[Place], settings: PredictFlags, page: PageFlags) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        InputError: flags that don't go together, no such model, no password where one is needed,
            or the port is taken.
    """
    _require_flags(sources, settings, page)
    host, login = page.host or HOST, os.environ.get(LOGIN)
    require_login(host, login, LOGIN)
    terminal.show_only_our_lines()
    port = PORT if page.port is None else page.port
    with suppress(KeyboardInterrupt), listen(host, port) as listening:
        store = store_folder(settings.store)
        found = choose_model(settings.model, store, settings.registry)
        answering = choose_answering(
            found, settings.runtime, settings.device, settings.memory_format
        )
        images = _open(found, answering, build(ReadingSettings, given_of(settings)))
        html = render_try_page(_content(store, found, answering))
        where = address_of(listening, host)
        log.info("%s answers pictures until Ctrl-C", where, extra={"plain": True})
        chosen = settings.model is not None or settings.registry is not None
        log_model(store, found, answering.card, chosen=chosen)
        serve(page_app(partial(answer_picture, images), html, host, login), listening)
    log.info("\nStopped. No picture was kept.", extra={"plain": True})


def answer_picture(images: OneImage, data: bytes, explain: bool) -> Answer:
    """Answer a picture by its bytes; with `explain`, show it too.

    Raises:
        InputError: the bytes are no image that can be used.
    """
    shown = images.answer(data, explain)
    shares = shown.answer.probabilities
    likeliest = max(shares, key=shares.__getitem__)
    said = answer_from(shares, likeliest, images.model.calibration)
    return Answer(
        answer=shown.answer.name,
        probabilities=shares,
        refer=said.refer,
        possible=[*said.possible],
        unlike_training=shown.answer.unlike_training,
        note="; ".join(filter(None, [shown.answer.oddness, said.note.strip(), shown.note])),
        thumbnail=shown.thumbnail or None,
        heat_map=shown.heat_map or None,
    )


def _require_flags(sources: Sequence[Place], settings: PredictFlags, page: PageFlags) -> None:
    """Check that flags go together.

    Raises:
        InputError: they don't.
    """
    if not page.page:
        name = "host" if page.host is not None else "port"
        raise InputError(name, "go with --page", "it alone", "Add --page.")
    if sources:
        remedy = "Give images to the page, or leave the flag out."
        raise InputError("page", "go without IMAGE_OR_FOLDER", f"'{sources[0]}'", remedy)
    for name in OF_FILES:
        if getattr(settings, name) != PredictFlags.model_fields[name].default:
            raise InputError(name, "go without --page", "both", "Leave one of them out.")


def _open(found: Path, answering: Answering, reading: ReadingSettings) -> OneImage:
    """Open the model; its heat maps are computed with its weights, where those are at hand."""
    return OneImage(answering.open(), reading, _weights(found), answering.execution.compute)


def _weights(found: Path) -> Path | None:
    return None if found.suffix == SUFFIX else found


def _content(store: Path, found: Path, answering: Answering) -> TryContent:
    """Say which model answers, with its score, but not where it lies on this machine."""
    facts = facts_of_model(store, found, answering.card)
    facts.setdefault("score", "not known")
    facts["computed by"] = f"{answering.execution.name}, {describe(answering.execution.compute)}"
    return TryContent(
        facts={TITLES.get(name, name.capitalize()): text for name, text in facts.items()},
        classes=answering.card.classes,
        calibration=answering.calibration,
        heat_maps=_weights(found) is not None and has_heat_maps(answering.card),
        most_bytes=MOST_BYTES,
        synthetic=facts.get("data", "").startswith(SYNTHETIC),
    )
