"""Plot the learning curves and what the evaluation found."""

import logging
from typing import Annotated

from reports.gallery import TABLES, plot_all
from resnext.contracts.tables import read_confusion
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

OF_SPLIT, OF_MODEL = frozenset({"split.csv"}), frozenset({"history.csv", "timing.csv"})


@stage(run_name="plot the figures", log_first="drawing the figures (several seconds)")
def plot(
    work: Work,
    split: Annotated[Artifact, Reads(*sorted(TABLES & OF_SPLIT))],
    model: Annotated[Artifact, Reads(*sorted(TABLES & OF_MODEL))],
    scores: Annotated[Artifact, Reads(*sorted(TABLES - OF_SPLIT - OF_MODEL))],
    show_time: bool,
    metric: str,
    keep: str,
) -> None:
    """Write each figure as .png and .svg.

    The curves carry the time when the training ended, if wanted, and mark the best epoch by the
    metric, if the weights of the best were to be kept.
    """
    from reports.drawing import fonts, style
    from resnext.data.thumbnails import reduce_colours

    sources = dict.fromkeys(OF_SPLIT, split) | dict.fromkeys(OF_MODEL, model)
    figures = plot_all(
        lambda name: sources.get(name, scores).path(name),
        show_time=show_time,
        metric=metric,
        keep=keep,
    )
    for name, figure in figures:
        image, _ = style.save_figure(figure, work.out, name)
        reduce_colours(image)
    if note := fonts.font_note(read_confusion(scores.path("confusion.csv")).index):
        log.info(note)
