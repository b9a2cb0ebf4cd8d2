"""Put the answers of the networks of all folds together."""

from typing import Annotated

from resnext.contracts.tables import read_predictions, write_table
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="pool the folds")
def pool(
    work: Work,
    predictions: Annotated[tuple[Artifact, ...], Reads("predictions.csv")],
    folds: int,
) -> None:
    """Write predictions.csv, with repeat and fold of each answer.

    `predictions` holds the folds of the first repeat, then those of the second, and so on.
    """
    from reports.evaluation.folds import pool_repeats

    tables = [read_predictions(each.path("predictions.csv")) for each in predictions]
    write_table(pool_repeats(tables, folds), work.out / "predictions.csv")
