"""Plot the learning curves and what the evaluation found."""

import logging
from typing import Annotated

from resnext.contracts.tables import read_table
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

Evaluated = Annotated[
    Artifact,
    Reads(
        "confusion.csv",
        "per_class.csv",
        "roc.csv",
        "precision_recall.csv",
        "reliability.csv",
        "confidences.csv",
        "metrics.json",
        "calibration.json",
    ),
]


@stage(run_name="plot the figures")
def plot(
    work: Work,
    split: Annotated[Artifact, Reads("split.csv")],
    model: Annotated[Artifact, Reads("history.csv", "timing.csv")],
    scores: Evaluated,
    show_time: bool,
    metric: str,
    keep: str,
) -> None:
    """Write curves, confusion, per_class, roc, precision_recall, reliability and confidences.

    Each as .png and .svg. The curves carry the time when the training ended, if wanted, and mark
    the best epoch by the metric, if the weights of the best were to be kept.
    """
    from reports.figures import fonts, gallery, style

    parts = read_table(split.path("split.csv"))
    timing = read_table(model.path("timing.csv"))
    training = gallery.watched(parts, timing, metric=metric, keep=keep, show_time=show_time)
    history = read_table(model.path("history.csv"))
    evaluated = gallery.read_scores(scores.path)
    for stem, figure in gallery.plot_all(history, training, evaluated):
        style.save_figure(figure, work.out, stem)
    if note := fonts.font_note(evaluated.confusion.index):
        log.info(note)
