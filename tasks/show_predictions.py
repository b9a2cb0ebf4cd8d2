"""Render the page of a batch of new images: thumbnails with their answers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict

from resnext.contracts.tables import read_rows
from tasks.predict_images import PREDICTIONS, THUMBNAILS
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

PAGE = "predictions.html"
RULE = (
    *("temperature", "fitted_on", "reason", "positive", "threshold"),
    *("max_error", "refer_below", "refer_reason", "set_level", "set_from"),
)
"""What the page knows of calibration.json."""


class AboutBatch(BaseModel):
    """What the page says besides the tables, and what calibration.json holds; None without it."""

    model_config = ConfigDict(frozen=True)

    data_name: str
    temperature: float | None
    fitted_on: str | None = None
    reason: str | None = None
    positive: str | None
    threshold: float | None
    max_error: float | None = None
    refer_below: float | None = None
    refer_reason: str | None = None
    set_level: float | None = None
    set_from: float | None = None
    facts: tuple[tuple[str, str], ...]
    command: str
    pictures: bool = True


@stage(run_name="page of {about.data_name}")
def show_predictions(
    work: Work, batch: Annotated[Artifact, Reads(PREDICTIONS, THUMBNAILS)], about: AboutBatch
) -> None:
    """Write predictions.html."""
    from reports.batch import BatchContent, render_batch
    from reports.prediction import summarise

    rows = read_rows(batch.path(PREDICTIONS))
    small = [row["thumbnail"] for row in read_rows(batch.path(THUMBNAILS))]
    known = about.model_dump(include={*RULE})
    rule = {name: value for name, value in known.items() if value is not None}
    content = BatchContent(
        data_name=about.data_name,
        rows=[row | {"thumbnail": each} for row, each in zip(rows, small, strict=True)],
        calibration=rule,
        summary=summarise(rows, rule),
        facts=dict(about.facts),
        command=about.command,
        pictures=about.pictures,
    )
    (work.out / PAGE).write_text(render_batch(content), encoding="utf-8")
