"""Measure once what is faster on this machine, memory format and runtime, and keep the answer.

What was chosen is in the keys of what is computed by it; another store may choose otherwise. That
is why the command of a page names the choice.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from resnext.contracts.json_files import read_json, write_json
from resnext.contracts.tables import write_table
from resnext.device import Compute, MemoryFormat
from resnext.inference.execution import Execution
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

CHOICE, RATES = "memory_format.json", "memory_format_timing.csv"
RUNTIME = "runtime.json"


@stage(
    run_name="measure memory formats of {architecture}",
    log_first="measuring which memory format is faster here (some seconds, once)",
    clock_files=(RATES,),
)
def measure(
    work: Work,
    processor: str,  # noqa: ARG001 - measured elsewhere, it would be another
    architecture: str,
    image_size: int,
    training: bool,
    compute: Compute,
) -> None:
    """Write memory_format.json, the choice, and memory_format_timing.csv, images a second."""
    from resnext.speed import fastest
    from resnext.training.formats import measure_formats

    rates = measure_formats(architecture, image_size, compute, training=training)
    chosen = fastest(rates, compute.memory_format)
    write_json({"memory_format": chosen}, work.out / CHOICE)
    _write_rates(rates, chosen, work.out / RATES)


@stage(
    run_name="measure runtimes",
    log_first="measuring what predicts faster here (some seconds, once)",
    clock_files=("runtime_timing.csv",),
)
def measure_runtimes(
    work: Work,
    processor: str,  # noqa: ARG001 - measured elsewhere, it would be another
    model: Annotated[Artifact, Reads()],
    execution: Execution,
) -> None:
    """Write runtime.json, the choice, and runtime_timing.csv, images a second of one process.

    `model` holds one file: weights, for which torch's memory formats are compared, or an exported
    model, for which ONNX Runtime and OpenVINO are, where that is installed.
    """
    from resnext.inference.rates import measure_predictors
    from resnext.speed import fastest

    alternatives = execution.alternatives()
    rates = measure_predictors(model.single_path(), alternatives)
    chosen = fastest(rates, execution.name)
    write_json(alternatives[chosen].model_dump(), work.out / RUNTIME)
    _write_rates(rates, chosen, work.out / "runtime_timing.csv")


def _write_rates(rates: Mapping[Any, float], chosen: str, file: Path) -> None:
    rows = [{"name": name, "images_per_second": rate} for name, rate in rates.items()]
    write_table(pd.DataFrame(rows), file)
    said = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
    small = "" if rates[chosen] == max(rates.values()) else ": another would gain little"
    log.info("images a second: %s; %s is taken%s", said, chosen, small)


def chosen_format(measured: Artifact) -> MemoryFormat:
    """Read which format was chosen."""
    found: MemoryFormat = read_json(measured.path(CHOICE))["memory_format"]
    return found


def chosen_execution(measured: Artifact) -> Execution:
    """Read what computes answers, and how."""
    return Execution(**read_json(measured.path(RUNTIME)))
