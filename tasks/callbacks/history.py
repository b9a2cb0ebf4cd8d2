"""Write to the run history: a server that is gone neither stops nor delays a run."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 10.0  # seconds for one request
NEXT_TRY = 60.0  # seconds after one that failed


class Connection:
    """The way to the server: after a call that failed it is left alone for a while."""

    def __init__(self) -> None:
        self.silent_until = 0.0

    def call(self, function: Callable[[], T]) -> T | None:
        """Call a function that asks the server, once; give None where that failed."""
        if time.monotonic() < self.silent_until:
            return None
        at_once = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: PATIENCE}
        try:
            with temporary_settings(updates=at_once):
                return function()
        except Exception as error:
            self.silent_until = time.monotonic() + NEXT_TRY
            log.warning("The Prefect server is away (%s); the run goes on without it", error)
            return None


call_server = Connection().call


def add_tags(tags: Iterable[str]) -> None:
    """Tag the flow run that this is.

    Its tasks get none: for each tagged one Prefect asks the server whether it may run.
    """
    context = FlowRunContext.get()
    run = context and context.flow_run
    if not run:
        return
    run.tags = sorted({*run.tags, *tags})  # as it is, so that the next ones are added to them

    def update() -> None:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run.id, tags=run.tags)

    call_server(update)
