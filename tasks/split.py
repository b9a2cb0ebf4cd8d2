"""Draw the split and measure what leaks across it."""

import logging
from typing import Annotated

from resnext.split import draw as splits
from resnext.split import leakage as leaks
from resnext.tables import read_manifest, write_table
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.store import write_json

log = logging.getLogger(__name__)


@stage(run_name="split {settings.strategy}")
def split(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    settings: splits.SplitSettings,
) -> None:
    """Write split.csv and leakage.json."""
    pictures = read_manifest(manifest.path("manifest.csv"))
    drawn = splits.split(pictures, settings)
    leakage = leaks.leakage_report(pictures, settings, drawn)
    write_table(drawn, work.out / "split.csv")
    write_json(work.out / "leakage.json", leakage)
    log.info(leaks.describe_split(drawn, leakage))
