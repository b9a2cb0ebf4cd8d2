"""Tell the Prefect server that a model was promoted, for automations to act on.

The event lives on the server. An automation that waits for it is made by `flows/automations.py`.
"""

import hashlib
import logging
from pathlib import Path

from tasks.registry.versions import Version

from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL

log = logging.getLogger(__name__)

PROMOTED = "model.promoted"
REGISTRY = "resnext-pipeline.registry"


def announce_promotion(store: Path, version: Version, why: str) -> None:
    """Send the event that a version is champion now; nothing where no server is connected.

    Nothing that goes wrong here fails a run: a missed notice is no reason to lose a training.
    """
    if not PREFECT_API_URL.value():  # Prefect would start a server of its own
        return
    try:
        emit_event(
            event=PROMOTED,
            resource={
                "prefect.resource.id": resource_id(store),
                "prefect.resource.name": f"models of {version.data}",
            },
            payload={
                "version": version.number,
                "why": why,
                "score": version.score,
                "data": version.data,
                "network": version.architecture,
            },
        )
    except Exception as error:
        log.warning("The promotion was not announced to the Prefect server (%s)", error)


def resource_id(store: Path) -> str:
    """Name a store's registry in Prefect's events, without its path."""
    digest = hashlib.sha256(str(store.resolve()).encode()).hexdigest()[:16]
    return f"{REGISTRY}.{digest}"
