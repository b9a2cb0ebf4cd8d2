"""Decide between the champion and a challenger by their predictions of one test part."""

from pathlib import Path
from typing import Annotated

from reports.evaluation.settings import DecisionSettings
from resnext.contracts.json_files import write_json
from resnext.contracts.tables import read_manifest, read_table
from tasks.callbacks.history import call_server
from tasks.registry.aliases import Alias
from tasks.registry.versions import Version
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

DECISION = "decision.json"


@stage(run_name="decide between champion and challenger")
def decide(
    work: Work,
    champion: Annotated[Artifact, Reads("predictions.csv")],
    challenger: Annotated[Artifact, Reads("predictions.csv")],
    settings: DecisionSettings,
    use: int,
    then: Annotated[Artifact | None, Reads("manifest.csv")] = None,
    now: Annotated[Artifact | None, Reads("manifest.csv")] = None,
) -> None:
    """Write decision.json; `use` counts the decisions on this test part, this one included.

    With the manifests of `then` and `now`, the two are compared on the images that both were
    tested on, whatever those are called.
    """
    from reports.evaluation import decision
    from reports.evaluation.paired import on_common_images

    old, new = (read_table(artifact.path("predictions.csv")) for artifact in (champion, challenger))
    if then is not None and now is not None:
        manifests = (read_manifest(each.path("manifest.csv")) for each in (then, now))
        old, new = on_common_images(old, new, *manifests)
    write_json(decision.decide(old, new, settings, use), work.out / DECISION)


@task(task_run_name="publish the decision", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish_decision(
    text: str, versions: list[Version], alias: Alias, pages: dict[str, Path]
) -> None:
    """Show on the flow run's page what was decided, the models, and where their reports are."""
    lines = [f"# {text}", "", *(f"* {name}: `{page}`" for name, page in pages.items()), ""]
    rows = [
        {
            "champion": "yes" if version.number == alias.champion else "",
            "version": version.number,
            "registered": version.created,
            "data": version.data,
            "network": version.architecture,
            "score": version.score,
            "decision": version.decision,
        }
        for version in reversed(versions)
    ]
    about = "Registered models when this run ended, newest first"

    def create() -> None:
        create_markdown_artifact(markdown="\n".join(lines), key="decision", description=text)
        create_table_artifact(table=rows, key="models", description=about)

    call_server(create)
