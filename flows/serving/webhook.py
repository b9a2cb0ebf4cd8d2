"""Webhook blocks: addresses, kept encrypted on the Prefect server, that automations call."""

import re
import socket
import sys
from urllib.parse import urlsplit
from uuid import UUID

from resnext.contracts.errors import InputError
from tasks.orchestrator import ObjectNotFound, Webhook, get_client, validate_restricted_url

BLOCK_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def require_callable(url: str, *, allow_private: bool) -> None:
    """Refuse an address that Prefect can't call, or won't: then no notice would ever come.

    Prefect calls no host with a private address unless the block allows it. A name that this
    machine doesn't know is told on the terminal and let through: the server may know it.

    Raises:
        InputError: the address is none, or private without `allow_private`.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(
            "url",
            "begin with http:// or https://",
            "something else",
        )
    host = _host_of(url)
    if not host:
        raise InputError(
            "url",
            "name a host and no port but a number",
            "something else",
            "Write as in: https://hooks.example.org/services/...",
        )
    if allow_private:
        return
    try:
        validate_restricted_url(url)
    except ValueError:  # whose text holds the address, which is a secret
        if _is_known(host):
            raise InputError(
                "url",
                "be no address of this machine or a private network",
                f"'{host}', which Prefect refuses to call",
                "Add --allow-private.",
            ) from None
        print(f"This machine doesn't know '{host}'. Unless the server does, no notice will come.",
              file=sys.stderr)  # fmt: skip


def _host_of(url: str) -> str | None:
    """Give the host of an address; None where there is none or the address is malformed."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        malformed = parts.port == 0 or re.search(r"\s", url)
    except ValueError:
        return None
    return None if malformed else parts.hostname


def _is_known(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


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
            "webhook",
            "be the name of a webhook block on the server",
            f"'{name}'",
            "Make one in its UI, under Blocks (with the header Content-Type: "
            "application/json), or give the address: --url https://...",
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
