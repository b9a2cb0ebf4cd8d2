"""Plot the learning curves and the confusion matrix."""

import logging
from typing import Annotated

from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)


@stage(run_name="plot curves and confusion")
def plot(
    work: Work,
    split: Annotated[Artifact, Reads("split.csv")],
    model: Annotated[Artifact, Reads("history.csv", "timing.csv")],
    scores: Annotated[Artifact, Reads("confusion.csv")],
    show_time: bool,
) -> None:
    """Write curves.png, curves.svg, confusion.png and confusion.svg.

    The curves carry the time when the training ended, if wanted.
    """
    from reports import division, figures, tables

    history = tables.read_table(model.path("history.csv"))
    confusion = tables.read_confusion(scores.path("confusion.csv"))
    ended = tables.read_table(model.path("timing.csv"))["finished_at"].iloc[-1]
    caption = f"Training ended {ended}" if show_time else None
    watched = division.validation_name(tables.read_table(split.path("split.csv"))).lower()
    curves = figures.plot_curves(history, validation_name=watched, caption=caption)
    figures.save_figure(curves, work.out, "curves")
    figures.save_figure(figures.plot_confusion(confusion), work.out, "confusion")
    if note := figures.font_note(confusion.index):
        log.info(note)
