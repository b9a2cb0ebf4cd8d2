"""Take the memory format that is faster on this machine, where it is worth to measure."""

from dataclasses import replace

from flows.cli.plan import Plan
from resnext.contracts.tables import read_table
from resnext.device import Compute, processor
from resnext.models.views import TURNS
from tasks.measure import chosen_format, measure
from tasks.stage.artifact import Artifact, Runtime

WORTH = 1000  # images to compute from which the seconds of a measurement pay


def measured_compute(plan: Plan, runtime: Runtime, split: Artifact) -> Compute:
    """Give how a plan's network is computed: measured on a CPU, where much is to be computed.

    A training goes through its images once an epoch; a probe once a view, and predicts alone.
    """
    recipe, compute = plan.recipe, plan.compute
    images = int((read_table(split.path("split.csv"))["split"] == "train").sum())
    training = recipe.method != "probe"
    passes = recipe.epochs if training else len(TURNS[recipe.views])
    used = not training or plan.only != "shortcuts"  # which needs no network
    if not (plan.measured and used) or compute.device != "cpu" or images * passes < WORTH:
        return compute
    found = measure(runtime, processor(), recipe.arch, recipe.image_size, training, compute)
    return compute.model_copy(update={"memory_format": chosen_format(found)})


def with_compute(plan: Plan, compute: Compute) -> Plan:
    """Put how it is computed into a plan; its command names what was measured."""
    if compute == plan.compute:
        return plan
    command = f"{plan.command} --memory-format {compute.memory_format}"
    return replace(plan, compute=compute, command=command)
