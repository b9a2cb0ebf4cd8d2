"""Ask whether cues besides the subject tell the class."""

import logging
from typing import Annotated

from resnext.contracts.tables import read_table, write_table
from tasks.cues import CUES
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

SHORTCUTS, SAID = "shortcuts.csv", "shortcuts.txt"


@stage(run_name="look for shortcuts", log_again=SAID)
def shortcuts(work: Work, cues: Annotated[Artifact, Reads(CUES)]) -> None:
    """Write shortcuts.csv, the AUROC of each cue alone, and shortcuts.txt, what is said of it."""
    from reports.evaluation.shortcuts import find_shortcuts
    from reports.sections.shortcuts import in_a_line

    found = find_shortcuts(read_table(cues.path(CUES)))
    write_table(found, work.out / SHORTCUTS)
    (work.out / SAID).write_text(f"{in_a_line(found)}\n", encoding="utf-8")
    log.info(in_a_line(found))
