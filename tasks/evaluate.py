"""Evaluate predictions: per-class figures, the confusion matrix and the summary."""

from typing import Annotated

from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="evaluate on test")
def evaluate(work: Work, predictions: Annotated[Artifact, Reads("predictions.csv")]) -> None:
    """Write per_class.csv, confusion.csv and metrics.json of the test part."""
    from reports import metrics, tables

    table = tables.read_table(predictions.path("predictions.csv"))
    classes = [name.removeprefix("p_") for name in table.columns if name.startswith("p_")]
    tables.write_table(metrics.per_class(table, classes), work.out / "per_class.csv")
    tables.write_confusion(metrics.confusion(table, classes), work.out / "confusion.csv")
    tables.write_json(metrics.summary(table, classes), work.out / "metrics.json")
