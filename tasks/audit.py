"""Render the audit: what was found and how it was divided, before anything is trained."""

from typing import Annotated, Any

from reports.domain import ReportSettings
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

Found = Annotated[Artifact, Reads("manifest.csv", "quarantine.csv")]
Divided = Annotated[Artifact, Reads("split.csv", "leakage.json", "pairs.json")]


@stage(run_name="audit {data_name}")
def audit(
    work: Work,
    manifest: Found,
    split: Divided,
    data_name: str,
    synthetic: bool,
    command: str,
    settings: ReportSettings,
) -> None:
    """Write audit.html."""
    from reports import html
    from reports.content import AuditContent

    known = data_and_split(manifest, split)
    content = AuditContent(
        title=f"Audit of a data set: {data_name}",
        data_name=data_name,
        synthetic=synthetic,
        classes=sorted(set(known["split"]["label"])),
        command=command,
        domain=settings.domain,
        pictures=not settings.no_pictures,
        **known,
    )
    (work.out / "audit.html").write_text(html.render_audit(content), encoding="utf-8")


def data_and_split(manifest: Artifact, split: Artifact) -> dict[str, Any]:
    """Read what a page shows of the images and the split."""
    return {
        "manifest": read_table(manifest.path("manifest.csv")),
        "quarantine": read_table(manifest.path("quarantine.csv")),
        "split": read_table(split.path("split.csv")),
        "leakage": read_json(split.path("leakage.json")),
        "pairs": read_json(split.path("pairs.json")),
    }
