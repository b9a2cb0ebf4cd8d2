"""Ask whether cues besides the subject tell the class, and what a network knows without it."""

import logging
from typing import Annotated

from resnext.contracts.tables import read_predictions, read_table, write_table
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

SAID = "shortcuts.txt"


@stage(run_name="look for shortcuts", log_again=SAID)
def shortcuts(work: Work, cues: Annotated[Artifact, Reads("cues.csv")]) -> None:
    """Write shortcuts.csv, the AUROC of each cue alone, and shortcuts.txt, what is said of it."""
    from reports.evaluation.shortcuts import find_shortcuts
    from reports.sections.shortcuts import in_a_line

    found = find_shortcuts(read_table(cues.path("cues.csv")))
    write_table(found, work.out / "shortcuts.csv")
    (work.out / SAID).write_text(f"{in_a_line(found)}\n", encoding="utf-8")
    log.info(in_a_line(found))


@stage(run_name="score covered images")
def covered(
    work: Work,
    predictions: Annotated[Artifact, Reads("predictions.csv")],
    answers: Annotated[Artifact, Reads("covered_predictions.csv")],
) -> None:
    """Write covered.csv, the scores with nothing, the centre and the border covered."""
    from reports.evaluation.covered import score_covered

    tables = [
        read_predictions(predictions.path("predictions.csv")),
        read_predictions(answers.path("covered_predictions.csv")),
    ]
    write_table(score_covered(*tables), work.out / "covered.csv")
