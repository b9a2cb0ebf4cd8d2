"""Compare recipes by the predictions of their folds."""

import logging
from typing import Annotated

from resnext.contracts.tables import read_rows, read_table, write_table
from tasks.callbacks.history import call_server
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

log = logging.getLogger(__name__)

COMPARISON = "comparison.csv"


@stage(run_name="compare recipes", log_again="comparison.txt")
def compare(
    work: Work,
    recipes: tuple[str, ...],
    predictions: Annotated[tuple[Artifact, ...], Reads("predictions.csv")],
) -> None:
    """Write comparison.csv and, in words, comparison.txt.

    `predictions` holds the folds of the first recipe, then those of the second, and so on.
    """
    from reports.evaluation import comparison
    from reports.evaluation.folds import pool

    read = [read_table(artifact.path("predictions.csv")) for artifact in predictions]
    folds = len(read) // len(recipes)
    pooled = {
        name: pool(read[number * folds : (number + 1) * folds])
        for number, name in enumerate(recipes)
    }
    table = comparison.compare(pooled)
    write_table(table, work.out / COMPARISON)
    words = "\n".join(comparison.verdict(table))
    log.info(words)
    (work.out / "comparison.txt").write_text(f"{words}\n", encoding="utf-8")


@task(task_run_name="publish to the UI", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish_comparison(name: str, found: Artifact) -> None:
    """Show the comparison on the flow run's page."""
    rows = read_rows(found.path(COMPARISON))
    description = f"Recipes compared: {name}"
    call_server(
        lambda: create_table_artifact(table=rows, key="comparison", description=description)
    )
