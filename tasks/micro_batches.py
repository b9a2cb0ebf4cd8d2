"""Find into how many micro-batches a batch must be cut to fit into a device's memory.

Kept like any result: the answer is in the training's key, and a run that is cached must not load
torch to ask again.
"""

import logging
from typing import Annotated

from resnext.contracts.json_files import read_json, write_json
from resnext.contracts.tables import read_table
from resnext.device import Compute
from resnext.training.recipe import Recipe
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)


@stage(run_name="find micro-batches that fit")
def micro_batches(
    work: Work,
    split: Annotated[Artifact, Reads("split.csv")],
    recipe: Recipe,
    compute: Compute,
    memory: int,
) -> None:
    """Write memory.json: `accumulate`, for a device with so many bytes of memory."""
    from resnext import device
    from resnext.training.step import micro_batches_that_fit

    device.apply(compute)
    classes = read_table(split.path("split.csv"))["label"].nunique()
    count = micro_batches_that_fit(recipe, classes, compute)
    write_json({"accumulate": count, "memory": memory}, work.out / "memory.json")
    if count > recipe.accumulate:
        log.info("batches of %d are computed in %d parts, to fit", recipe.batch_size, count)


def with_micro_batches(recipe: Recipe, artifact: Artifact) -> Recipe:
    """Cut the recipe's batches as was found."""
    found = read_json(artifact.path("memory.json"))
    return recipe.model_copy(update={"accumulate": found["accumulate"]})
