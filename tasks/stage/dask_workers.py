"""What a Dask worker does before its first task: it takes the run's Prefect server for its own."""

import os
from collections.abc import Mapping
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

import tasks  # noqa: F401 - its defaults must hold before Prefect is imported


class SameServer(WorkerPlugin):
    """Set a worker's environment, and what Prefect has read of it."""

    name = "resnext-pipeline"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask's interface
        """Set them; a worker may have served another run before."""
        os.environ.update(self.environment)
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
