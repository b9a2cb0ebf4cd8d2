"""Webhook blocks: addresses, kept encrypted on the Prefect server, that automations call."""

import re
from uuid import UUID

from resnext.errors import InputError
from tasks.orchestrator import ObjectNotFound, Webhook, get_client

BLOCK_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def find_block(name: str) -> UUID:
    """Give the id of a webhook block.

    Raises:
        InputError: there is none of that name.
    """
    try:
        with get_client(sync_client=True) as client:
            found = client.read_block_document_by_name(name, "webhook", include_secrets=False)
    except ObjectNotFound as error:
        raise InputError(
            f"--webhook must be the name of a webhook block on the server, got '{name}'. Make one "
            "in its UI, under Blocks (with the header Content-Type: application/json), or give "
            "the address: --url https://..."
        ) from error
    return UUID(str(found.id))


def save_block(name: str, url: str, *, allow_private: bool) -> None:
    """Make a webhook block, or change the address of the one that there is."""
    block = Webhook(
        url=url,
        headers={"Content-Type": "application/json"},  # Prefect sends a rendered text without one
        allow_private_urls=allow_private,
    )
    block.save(name, overwrite=True)
