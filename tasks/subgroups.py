"""Score subgroups of the test images: by a table of the user's, or by what the scan knows."""

import logging
from typing import Annotated

from resnext.contracts.json_files import read_json, write_json
from resnext.contracts.tables import read_predictions, read_table, write_table
from resnext.data.split.settings import JOINED_FILE
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

ATTRIBUTES, NOTES = "attributes.csv", "attributes.json"


@stage(run_name="read attributes", label="subgroups")
def attributes(
    work: Work,
    split: Annotated[Artifact, Reads("split.csv", JOINED_FILE)],
    table: Annotated[Artifact, Reads()],
) -> None:
    """Write attributes.csv, what a user's table states of each image, and attributes.json, notes.

    Raises:
        InputError: the table can't be read, or is about no image that is here.
    """
    from resnext.data.attributes import read_attributes

    given = read_table(split.path("split.csv")), read_json(split.path(JOINED_FILE))
    found = read_attributes(table.single_path(), *given, work.images)
    write_table(found.table, work.out / ATTRIBUTES)
    write_json({"notes": found.notes}, work.out / NOTES)
    for note in found.notes:
        log.warning(note)


@stage(run_name="score subgroups")
def subgroups(
    work: Work,
    predictions: Annotated[Artifact, Reads("predictions.csv")],
    cues: Annotated[Artifact, Reads("cues.csv")],
    stated: Annotated[Artifact | None, Reads(ATTRIBUTES, NOTES)] = None,
) -> None:
    """Write subgroups.csv, subgroup_gaps.csv, and in subgroups.json what must be said of them."""
    from reports.evaluation.subgroups import score_subgroups
    from resnext.data.attributes import attributes_of_scan

    if stated is None:
        table, notes = attributes_of_scan(read_table(cues.path("cues.csv"))), []
    else:
        table, notes = (
            read_table(stated.path(ATTRIBUTES)),
            read_json(stated.path(NOTES))["notes"],
        )
    found = score_subgroups(read_predictions(predictions.path("predictions.csv")), table)
    write_table(found.figures, work.out / "subgroups.csv")
    write_table(found.gaps, work.out / "subgroup_gaps.csv")
    said = {"stated": stated is not None, "notes": [*notes, *found.notes]}
    write_json(said, work.out / "subgroups.json")
