"""Choose settings by what is in the folder, and say why: `--preset auto`."""

import shlex
from dataclasses import asdict
from typing import Annotated, Any

from resnext.contracts.json_files import read_json, write_json
from resnext.contracts.tables import read_manifest, read_table
from resnext.planning.facts import Surroundings
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

PLAN = "plan.json"


@stage(run_name="plan {data_name}")
def plan(
    work: Work,
    manifest: Annotated[Artifact, Reads("manifest.csv")],
    split: Annotated[Artifact, Reads("split.csv", "leakage.json")],
    surroundings: Surroundings,
    data_name: str,
    synthetic: bool,
    command: str,
) -> None:
    """Write plan.json and plan.html: facts, decisions, minutes, and a command without `auto`.

    `command` asks for what the user asked for, without a preset.
    """
    from reports.plan import PlanContent, render_plan
    from resnext.planning.cost import estimate
    from resnext.planning.facts import count_facts
    from resnext.planning.rules import as_flags, as_table, decide

    tables = read_manifest(manifest.path("manifest.csv")), read_table(split.path("split.csv"))
    facts = count_facts(*tables, read_json(split.path("leakage.json")), surroundings)
    decisions = decide(facts)
    counted = asdict(facts)
    del counted["chosen"]  # which is in the decisions
    found: dict[str, Any] = {
        "facts": counted,
        "decisions": as_table(decisions),
        "expected": estimate(facts, {each.decides: each.value for each in decisions})._asdict(),
        "command": f"{command} {shlex.join(as_flags(decisions))}",
    }
    write_json(found, work.out / PLAN)
    page = render_plan(PlanContent(data_name=data_name, synthetic=synthetic, **found))
    (work.out / "plan.html").write_text(page, encoding="utf-8")
