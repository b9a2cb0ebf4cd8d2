"""Ask a session's server for what one test is about: it gives the first 200 of anything."""

from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey


def of_key(key: str) -> ArtifactFilter:
    """Choose the artifacts of one key."""
    return ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
