"""Find into how many parts a batch must be cut to fit into a device's memory.

Kept like any result: the answer is in the training's key, and a run that is cached must not load
torch to ask again.
"""

import json
import logging
from typing import Annotated

from resnext.device import Compute
from resnext.training.recipe import Recipe
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.store import write_json

log = logging.getLogger(__name__)


@stage(run_name="probe the memory")
def probe(
    work: Work,
    split: Annotated[Artifact, Reads("split.csv")],
    recipe: Recipe,
    compute: Compute,
    memory: int,
) -> None:
    """Write memory.json: `accumulate`, for a device with so many bytes of memory."""
    from resnext import device
    from resnext.contracts import tables
    from resnext.training.memory import parts_that_fit

    device.apply(compute)
    classes = tables.read_table(split.path("split.csv"))["label"].nunique()
    parts = parts_that_fit(recipe, classes, compute)
    write_json(work.out / "memory.json", {"accumulate": parts, "memory": memory})
    if parts > recipe.accumulate:
        log.info("batches of %d are computed in %d parts, to fit", recipe.batch_size, parts)


def fitted(recipe: Recipe, artifact: Artifact) -> Recipe:
    """Cut the recipe's batches as was found."""
    found = json.loads(artifact.path("memory.json").read_text(encoding="utf-8"))
    return recipe.model_copy(update={"accumulate": found["accumulate"]})
