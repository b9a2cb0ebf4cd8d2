"""Ask a session's server for what one test is about: it gives the first 200 of anything."""

import tasks.orchestrator  # noqa: F401 - its settings come before Prefect's import

from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey  # isort: skip


def of_key(key: str) -> ArtifactFilter:
    """Choose the artifacts of one key."""
    return ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
