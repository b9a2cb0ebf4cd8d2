"""Fill a plan of `--preset auto` in: look at the images first, then decide."""

import logging
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from flows.cli import terminal
from flows.cli.flags import AUTO
from flows.cli.plan import Plan, given_of, resolve
from resnext.contracts.json_files import read_json
from resnext.device import count_cpus, probe_memory
from resnext.models.architectures import find_architecture
from resnext.planning.facts import Surroundings
from resnext.planning.rules import WATCHED
from tasks.callbacks.history import add_tags
from tasks.plan import PLAN
from tasks.plan import plan as choose
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime

log = logging.getLogger(__name__)

NOTE = (
    "The settings were chosen by --preset auto from what is in the folder. plan.html says why. The "
    "command of this report names them."
)


def decided(plan: Plan, runtime: Runtime, manifest: Artifact) -> Generator[Artifact, None, Plan]:
    """Choose settings by the images; give the page, and return the plan with what was chosen.

    Raises:
        InputError: the images can't be split, or a flag does not go with what was chosen.
    """
    log.info("looking at the images, to choose settings for them")
    parts = split(runtime, manifest, plan.split, *plan.tables)
    about = (plan.data_name, plan.data is None, plan.command)
    chosen = choose(runtime, manifest, parts, surroundings(plan), *about)
    found = read_json(chosen.path(PLAN))
    terminal.show_plan(found)
    yield chosen
    values = {each["decides"]: each["value"] for each in found["decisions"]}
    made = resolve(*with_decided(plan.flags, values))
    add_tags(made.tags)
    return replace(made, command=found["command"], notes=(*made.notes, NOTE))


def surroundings(plan: Plan) -> Surroundings:
    """Gather what the rules look at besides the images."""
    given, network = given_of(*plan.flags), find_architecture(plan.recipe.arch)
    return Surroundings(
        device=plan.compute.device,
        cores=count_cpus(),
        gpu_memory=probe_memory() if plan.compute.device == "cuda" else 0,
        network=network.name,
        network_size=network.input_size,
        fixed_size=network.fixed_size,
        asked=tuple(
            (name, value if isinstance(value, int) else str(value))
            for name, value in sorted(given.items())
            if name in WATCHED
        ),
    )


def with_decided(flags: tuple[BaseModel, ...], values: Mapping[str, Any]) -> tuple[BaseModel, ...]:
    """Fill flags that the user left empty, and the preset, with what was decided."""
    return tuple(
        each.model_copy(
            update={
                name: values[name]
                for name in type(each).model_fields
                if name in values and getattr(each, name) in (None, AUTO)
            }
        )
        for each in flags
    )
