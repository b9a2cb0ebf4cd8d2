"""From class folders to a report, in stages.

$ python flows/full_pipeline.py --data FOLDER

The stages are scan, split, pack, train, predict, evaluate, explain, plot and report. Each keeps its
output as a cached artifact, so that what did not change is not computed again. With `--preset auto`
a stage `plan` chooses settings after the split. `--help` names the flags.
"""

import logging
import sys
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from flows.cli import run as command
from flows.cli.flags import (
    AUTO,
    ConfigFile,
    DataFlags,
    EvaluationFlags,
    FoldFlags,
    MachineFlags,
    SplitFlags,
    TrainingFlags,
    group,
)

Stop = Literal[
    "scan", "split", "plan", "pack", "embed", "shortcuts", "train", "predict", "evaluate",
    "explain", "plot", "report",
]  # fmt: skip


@group()
class RunFlags(MachineFlags):
    """Where and how to compute."""

    only: Stop | None = Field(None, description="stop after this stage [default: none]")
    with_probe: bool = Field(
        False,
        description="train a frozen probe (preset transfer, one view) on the same split besides, "
        "and say what it scores [default: off]",
    )
    find_doubts: bool = Field(
        False,
        description="compare the images by a frozen network, and list near-duplicates, groups, "
        "labels and images that a person should look at; of a probe it is always done "
        "[default: off]",
    )
    export: bool = Field(
        False,
        description="write model.onnx besides, which predicts without torch: see export.py "
        "[default: off]",
    )


def main(
    *,
    data: DataFlags = DataFlags(),
    split: SplitFlags = SplitFlags(),
    folds: FoldFlags = FoldFlags(),
    training: TrainingFlags = TrainingFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
    run: RunFlags = RunFlags(),
    config: ConfigFile = None,  # noqa: ARG001 - read by run_command, before the other flags
) -> None:
    """From class folders to a report, in stages.

    The stages are scan, split, pack, train, predict, evaluate, explain, plot and report.

    What did not change since an earlier run is not computed again.
    """
    if given_of(training).get("arch") == "list":
        return print(terminal.architectures())
    flags = (data, split, training, run, evaluation, folds)
    resolve(*flags)  # wrong input is said before a server is started
    return command.run_flow(full_pipeline, data, training, folds, run, split, evaluation)


if __name__ == "__main__":
    command.answer_help(main, name="full_pipeline.py")

from flows.cli import terminal
from flows.cli.plan import (
    Plan,
    given_of,
    name_of,
    resolve,
)
from flows.serving.run_name import typed_or
from flows.training.auto import decided
from flows.training.networks import STANDS_FOR
from flows.training.stages import stages_after_scan
from resnext.data.demonstration import DemoSettings
from tasks.callbacks.history import add_tags
from tasks.draw import IMAGES, draw
from tasks.scan import scan
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run, point_latest

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.full_pipeline")  # also where this file is the program


@flow(
    name="full-pipeline",
    flow_run_name=lambda: typed_or(run_name()),
    persist_result=False,
    retries=0,
)
def full_pipeline(
    data: DataFlags = DataFlags(),
    training: TrainingFlags = TrainingFlags(),
    folds: FoldFlags = FoldFlags(),
    run: RunFlags = RunFlags(),
    split: SplitFlags = SplitFlags(),
    evaluation: EvaluationFlags = EvaluationFlags(),
) -> State[Any]:
    """Train a classifier on class folders and report how good it is."""
    with command.flow_outcome() as outcome:
        plan = resolve(data, split, training, run, evaluation, folds)
        add_tags(plan.tags)
        outcome.state = Completed(message=run_pipeline(plan, flow_run.id))
    return outcome.state


def run_name() -> str:
    """Name a flow run by its images, its network, and where it stops, if it does."""
    given = flow_run.parameters
    groups = [given[name] for name in ("data", "training", "run") if given.get(name)]
    only = getattr(given.get("run"), "only", None)  # which a retraining has not
    return f"{name_of(*groups)}, only {only}" if only else name_of(*groups)


def run_pipeline(plan: Plan, name: str) -> str:
    """Run a plan in a run folder of its own; say in a line how good the network is.

    Raises:
        InputError: the images can't be used as they were asked to be.
    """
    with open_run(plan.store, name, plan.facts) as run:
        terminal.log_images(plan)
        runtime = with_images(plan.runtime(run))
        for artifact in pipeline_stages(plan, runtime):
            if STANDS_FOR.get(artifact.stage, artifact.stage) == plan.only:
                break
        if plan.only is None:
            point_latest(plan.store, run)
    add_tags(terminal.score_tags(run))
    return terminal.conclusion(run, plan)


def with_images(runtime: Runtime) -> Runtime:
    """Draw the demonstration set for a run that was given no images."""
    if runtime.data is not None:
        return runtime
    drawn = draw(runtime, DemoSettings())
    return runtime.model_copy(update={"data": drawn.folder / IMAGES})


def pipeline_stages(plan: Plan, runtime: Runtime) -> Iterator[Artifact]:
    """Run the stages, giving the artifacts in their order; plot runs beside explain."""
    yield (manifest := scan(runtime, plan.reading, plan.decisions))
    if plan.preset == AUTO and plan.only != "split":
        plan = yield from decided(plan, runtime, manifest)
    yield from stages_after_scan(plan, runtime, manifest)


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="full_pipeline.py"))
